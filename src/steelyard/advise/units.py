"""Units that multiply, divide and must agree: `USD/month`, `token/question`, `1`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from steelyard.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Unit:
    """Names to their powers, in alphabetical order, without powers of zero."""

    powers: tuple[tuple[str, int], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `a*b/c`: everything after the first `/` divides; `1` is no unit.

        Raises:
            InputError: an empty name.
        """
        above, *below = text.replace(" ", "").split("/")
        powers: dict[str, int] = {}
        for power, names in [(1, above), *((-1, part) for part in below)]:
            for name in names.split("*"):
                if not name:
                    raise InputError(f"unit {text!r} lacks a name; write it like USD/Mtoken")
                if name != "1":
                    powers[name] = powers.get(name, 0) + power
        return cls._of(powers)

    def times(self, other: "Unit", *, power: int = 1) -> "Unit":
        powers = dict(self.powers)
        for name, count in other.powers:
            powers[name] = powers.get(name, 0) + power * count
        return self._of(powers)

    @classmethod
    def _of(cls, powers: Mapping[str, int]) -> Self:
        return cls(tuple(sorted((name, power) for name, power in powers.items() if power)))

    def __str__(self) -> str:
        above = [name for name, power in self.powers for _ in range(max(power, 0))]
        below = [name for name, power in self.powers for _ in range(max(-power, 0))]
        return "/".join(["*".join(above) or "1", *below])


ONE = Unit()
