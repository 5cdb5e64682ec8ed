"""How long a question may take before generation begins."""

from dataclasses import dataclass, field
from time import perf_counter

DEFAULT_BUDGET_S = 1.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A budget that runs from the moment it is made."""

    budget_s: float = DEFAULT_BUDGET_S
    started: float = field(default_factory=perf_counter)

    def left_s(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.started + self.budget_s - perf_counter())

    @property
    def budget_ms(self) -> float:
        return self.budget_s * 1000
