"""What training costs elsewhere: dated rows with their sources, never constants.

A price is a range over sellers of the same thing, in US dollars. A row that is old says so.
"""

from dataclasses import dataclass
from datetime import date

OLD_DAYS = 120


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """An hour of one GPU on demand. `peak_tflops` are its bf16 matrix units', dense, as its maker
    states them."""

    gpu: str
    low_usd: float
    high_usd: float
    peak_tflops: float
    memory_gib: int
    source: str
    seen: date


@dataclass(frozen=True, slots=True)
class ManagedPrice:
    """A million training tokens of a LoRA run on a model of at most `max_billions` parameters."""

    offer: str
    max_billions: float
    usd: float
    source: str
    seen: date


GPUS: tuple[GpuPrice, ...] = (
    GpuPrice("L4", 0.80, 0.80, 121, 24, "Modal, by a secondary page", date(2026, 5, 7)),
    GpuPrice("A100 80 GB", 1.19, 3.67, 312, 80,
             "vendors' pages (RunPod, Akash, AWS, Azure)", date(2026, 11, 9)),
    GpuPrice("H100 SXM", 2.40, 12.29, 989, 80,
             "vendors' pages (Vast, RunPod, Lambda, AWS, GCP, Azure)", date(2026, 11, 9)),
    GpuPrice("H200", 4.45, 4.59, 989, 141, "vendors' pages (Akash, RunPod)", date(2026, 10, 7)),
)  # fmt: skip
MANAGED: tuple[ManagedPrice, ...] = (
    ManagedPrice("Together", 16, 0.48, "not verified", date(2026, 11, 1)),
    ManagedPrice("Together", 69, 1.50, "not verified", date(2026, 11, 1)),
    ManagedPrice("Fireworks", 16, 0.50, "its page, as stored without a date", date(2026, 1, 1)),
    ManagedPrice("Fireworks", 80, 3.00, "its page, as stored without a date", date(2026, 1, 1)),
)


def age_warning(source: str, seen: date, *, today: date) -> str:
    """Return a warning for a price that was seen long ago, "" for a fresh one."""
    days = (today - seen).days
    if days <= OLD_DAYS:
        return ""
    return f"seen {days} days ago ({source}): look it up again before you rely on it"


def managed_offers(billions: float) -> tuple[ManagedPrice, ...]:
    """Return each seller's price for a model of so many billions of parameters."""
    fitting = sorted(
        (one for one in MANAGED if billions <= one.max_billions), key=lambda one: one.max_billions
    )
    cheapest: dict[str, ManagedPrice] = {}
    for one in fitting:
        cheapest.setdefault(one.offer, one)
    return tuple(cheapest.values())
