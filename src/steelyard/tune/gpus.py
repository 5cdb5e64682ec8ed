"""What GPUs can do, by the item that a price book prices them under. Prices are not here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """`peak_tflops` are its bf16 matrix units', dense, as its maker states them."""

    item: str
    name: str
    peak_tflops: float
    memory_gib: int


GPUS: tuple[Gpu, ...] = (
    Gpu("gpu/l4", "L4", 121, 24),
    Gpu("gpu/a100-80", "A100 80 GB", 312, 80),
    Gpu("gpu/h100-sxm", "H100 SXM", 989, 80),
    Gpu("gpu/h200", "H200", 989, 141),
)
