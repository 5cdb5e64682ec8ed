"""What is known of an arm: its quality by question, tokens and waiting; or a stated default."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from steelyard.advise.inputs import ASSUMED


class Arm(StrEnum):
    BASE = "base"
    RAG = "rag"
    TUNED = "tuned"
    BOTH = "tuned+rag"

    @property
    def retrieves(self) -> bool:
        return self in (Arm.RAG, Arm.BOTH)

    @property
    def is_tuned(self) -> bool:
        return self in (Arm.TUNED, Arm.BOTH)


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean with its 95 % interval, and where it comes from."""

    value: float
    low: float
    high: float
    source: str
    seen: str = ""

    @property
    def assumed(self) -> bool:
        return self.source.startswith(ASSUMED)


@dataclass(frozen=True, slots=True)
class ArmMeasured:
    """`first_word_ms` is the p95 of the first token. Tokens are None where none were counted.

    `calls_model` is False where answers come from the documents' own words, with no language
    model: then they cost no tokens and need no GPU.
    """

    quality: Figure
    first_word_ms: Figure
    prompt_tokens: Figure | None = None
    answer_tokens: Figure | None = None
    calls_model: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """What a report of the harness says, or the stated defaults.

    `values[arm]` is each question's quality (N,), paired over arms, and `clusters` (N,) what
    errors are shared within; both empty where only figures are known.
    """

    arms: Mapping[Arm, ArmMeasured]
    measure: str = "quality"
    source: str = ASSUMED
    values: Mapping[Arm, NDArray[np.float64]] = field(default_factory=dict)
    clusters: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def assumed(self) -> bool:
        return self.source.startswith(ASSUMED)


_QUALITY_SOURCE = (
    f"{ASSUMED}, from Balaguer et al., 2024 (arXiv 2401.08406), one domain; the range is wide "
    "because yours is another"
)
_WAIT_SOURCE = f"{ASSUMED}: nothing was measured"

DEFAULTS = Measured(
    {
        arm: ArmMeasured(
            Figure(quality, quality - spread, min(1.0, quality + spread), _QUALITY_SOURCE),
            Figure(wait_ms, wait_ms * 0.5, wait_ms * 2.0, _WAIT_SOURCE),
        )
        for arm, quality, spread, wait_ms in (
            (Arm.BASE, 0.75, 0.20, 600.0),
            (Arm.RAG, 0.80, 0.15, 800.0),
            (Arm.TUNED, 0.81, 0.20, 600.0),
            (Arm.BOTH, 0.86, 0.12, 800.0),
        )
    },
    measure="accuracy",
)
