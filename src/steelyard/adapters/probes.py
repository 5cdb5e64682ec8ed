"""Does a server run this base, and this adapter? Its next tokens are held against the trainer's.

A probe is a prompt and the log-probabilities of its likeliest next tokens, by the base alone and
with the adapter, as the trainer's own code computes them. Tokens go by their text, because that
is what servers tell. Servers compute in other precisions, so "alike" is within `TOLERANCE`, and
an adapter that moves every probe by less than twice that cannot be told from its base.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.infra.files import write_atomic

# Natural log units. bf16 keeps 8 bits: logits of size 20 are off by up to 0.08, and quantised
# bases by more.
TOLERANCE = 0.35
SAME = 1e-3  # what a server gives twice for one prompt; anything above is another computation
MIN_SHARED = 2
_FORMAT = 1

NextTokens = Mapping[str, float]  # a token's text → its log-probability, the likeliest few


@dataclass(frozen=True, slots=True)
class Probe:
    prompt: str
    base: NextTokens
    tuned: NextTokens


class Likeness(StrEnum):
    """Whose outputs a server's are."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


def distance(told: NextTokens, wanted: NextTokens) -> float:
    """Return the largest difference over the tokens that both name; infinite if they share fewer
    than two, or disagree on the likeliest by more than the tolerance."""
    shared = told.keys() & wanted.keys()
    if len(shared) < min(MIN_SHARED, len(wanted)):
        return math.inf
    return max(abs(told[token] - wanted[token]) for token in shared)


def is_telling(probe: Probe) -> bool:
    """Tell whether a probe separates the adapter from its base."""
    return distance(probe.tuned, probe.base) > 2 * TOLERANCE


def compare(told: Sequence[NextTokens], wanted: Sequence[NextTokens]) -> float:
    """Return the median distance over probes; infinite without any.

    A median, for one probe whose two likeliest tokens are nearly level may differ by rounding.
    """
    distances = sorted(map(distance, told, wanted))
    return distances[len(distances) // 2] if distances else math.inf


def write_probes(path: Path, probes: Sequence[Probe]) -> None:
    content = {"format": _FORMAT, "probes": [asdict(probe) for probe in probes]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False).encode())


def read_probes(path: Path) -> tuple[Probe, ...]:
    """Return kept probes; () where none were kept.

    Raises:
        SetupError: the file is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']!r}")
        return tuple(
            Probe(str(one["prompt"]), _numbers(one["base"]), _numbers(one["tuned"]))
            for one in content["probes"]
        )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{str(path)!r} is damaged ({error}); delete it: it is made anew"
        ) from error


def _numbers(tokens: Mapping[str, float]) -> dict[str, float]:
    return {str(token): float(value) for token, value in tokens.items()}
