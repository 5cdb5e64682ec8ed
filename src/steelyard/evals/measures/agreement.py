"""How far a judge of groundedness agrees with people: agreement, Cohen's kappa, confusion."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Interval
from steelyard.evals.measures.asking import Ask
from steelyard.evals.measures.judge import Judgements
from steelyard.evals.measures.judged import Aspect

# Shape suffixes: N labels, C clusters, B resamples, 4 cells: yes-yes, yes-no, no-yes, no-no of
# (people, judge).
SOUND = "Fully attributable"
RESAMPLES = 10_000
_AT_ONCE = 1_000  # resamples: memory stays at _AT_ONCE x C
_MOST_FAULTS = 20
_FIELDS = ("evidence", "response", "label")

Cells = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Label:
    """People's verdict: does `evidence` say all that `response` says? `cluster` names what
    labels share their errors within: here the evidence."""

    id: str
    evidence: str
    response: str
    sound: bool
    cluster: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts, people's verdict first: `missed` is sound for people and unsound for the judge."""

    both_sound: int
    missed: int
    passed: int
    both_unsound: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """A judge against people, with 95 % intervals by a bootstrap of clusters.

    `num_failed` labels have no verdict and are in no other figure. `unanimous` and `spread`
    speak of a judge that votes; 1 and 0 for one that does not.
    """

    agreement: Interval
    kappa: Interval
    confusion: Confusion
    num_failed: int = 0
    unanimous: float = 1.0
    spread: float = 0.0


class Voter(Protocol):
    async def votes(self, asks: Sequence[Ask]) -> Judgements: ...


def read_labels(path: Path) -> tuple[Label, ...]:
    """Read JSON lines {"evidence", "response", "label"}, plain or gzipped.

    A label is sound if it is "Fully attributable"; any other is not.

    Raises:
        InputError: not to be read, or rows are wrong; the message names lines and fields.
    """
    labels: list[Label] = []
    faults: list[str] = []
    for number, line in enumerate(_lines(path), start=1):
        row = _row(line)
        if row is None:
            faults.append(f"line {number} is no JSON object")
            continue
        wrong = [name for name in _FIELDS if not isinstance(row.get(name), str)]
        if wrong:
            faults.append(f"line {number} has no text in {', '.join(wrong)}")
            continue
        evidence, sound = row["evidence"], row["label"] == SOUND
        name = str(row.get("id", number))
        labels.append(Label(name, evidence, row["response"], sound, cluster=evidence))
    if faults:
        more = f" and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise InputError(f"{path}: {'; '.join(faults[:_MOST_FAULTS])}{more}")
    if not labels:
        raise InputError(f"{path} holds no labels; give lines with evidence, response and label")
    return tuple(labels)


def calibrate(
    judge: Callable[[str, str], float], labels: Sequence[Label], *, threshold: float = 0.5
) -> Calibration:
    """Return how `judge(response, evidence)`, sound from `threshold` on, agrees with people."""
    scores = np.array([judge(label.response, label.evidence) for label in labels])
    return _calibration(labels, scores >= threshold)


async def calibrate_judge(judge: Voter, labels: Sequence[Label]) -> Calibration:
    """Return how a language model's majority agrees with people, and with itself.

    Raises:
        InputError: no label was judged at all.
        SetupError, UpstreamError: its endpoint cannot be used.
    """
    asks = [
        Ask(str(place), Aspect.SUPPORT, label.response, (label.evidence,))
        for place, label in enumerate(labels)
    ]
    found = await judge.votes(asks)
    known = ~np.isnan(found.values)
    kept = [label for label, is_known in zip(labels, known, strict=True) if is_known]
    return _calibration(
        kept,
        found.values[known] >= 0.5,
        num_failed=len(labels) - len(kept),
        unanimous=found.unanimous,
        spread=found.mean_spread,
    )


def _calibration(
    labels: Sequence[Label],
    verdicts: NDArray[np.bool_],
    *,
    num_failed: int = 0,
    unanimous: float = 1.0,
    spread: float = 0.0,
) -> Calibration:
    if not labels:
        raise InputError("no label was judged, so there is no agreement to speak of")
    sound = np.array([label.sound for label in labels])
    cells_N4 = np.stack(
        [sound & verdicts, sound & ~verdicts, ~sound & verdicts, ~sound & ~verdicts], axis=1
    ).astype(np.float64)
    names = {name: n for n, name in enumerate(dict.fromkeys(one.cluster for one in labels))}
    cells_C4 = np.zeros((len(names), 4))
    np.add.at(cells_C4, [names[label.cluster] for label in labels], cells_N4)
    cells_B4 = np.concatenate(list(_resampled(cells_C4)))
    total_4 = cells_N4.sum(0)
    return Calibration(
        agreement=_interval(agreement(total_4), agreement(cells_B4), len(labels)),
        kappa=_interval(kappa(total_4), kappa(cells_B4), len(labels)),
        confusion=Confusion(*(int(count) for count in total_4)),
        num_failed=num_failed,
        unanimous=unanimous,
        spread=spread,
    )


def agreement(cells: Cells) -> Cells:
    """Return the share of equal verdicts, (...,) of cells (..., 4)."""
    return np.asarray((cells[..., 0] + cells[..., 3]) / cells.sum(-1))


def kappa(cells: Cells) -> Cells:
    """Return Cohen's kappa, (...,) of cells (..., 4); NaN where both say one thing only.

    Source: Cohen 1960: (agreement - chance) / (1 - chance).
    """
    yes_people = (cells[..., 0] + cells[..., 1]) / cells.sum(-1)
    yes_judge = (cells[..., 0] + cells[..., 2]) / cells.sum(-1)
    chance = yes_people * yes_judge + (1 - yes_people) * (1 - yes_judge)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((agreement(cells) - chance) / (1 - chance))


def _resampled(cells_C4: Cells) -> Iterator[Cells]:
    rng = np.random.default_rng(0)
    num_clusters = len(cells_C4)
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = rng.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), _AT_ONCE)
        yield drawn @ cells_C4


def _interval(value: Cells, resampled: Cells, num: int) -> Interval:
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, (0.025, 0.975)) if known.size else (np.nan, np.nan)
    return Interval(float(value), float(low), float(high), num)


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            yield from (line for line in lines if line.strip())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read labels from {path}: {error}") from error


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
