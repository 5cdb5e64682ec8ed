"""How a training run stands: its folder HOME/tune/runs/ID, read while another process writes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.core.errors import NotFound
from steelyard.core.tuning import RunState

RUNS = Path("tune", "runs")
STATE, METRICS, RECIPE = "state.json", "metrics.jsonl", "recipe.yaml"
ACCOUNTING, PLAN, SUMMARY = "accounting.json", "plan.json", "summary.json"
ARTEFACT = "artefact"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_READ = 2**20  # bytes of metrics in one reading: some 7,000 steps


@dataclass(frozen=True, slots=True)
class Standing:
    """`state.json` as it is; times are in seconds since 1970, None: not yet."""

    state: RunState
    kind: str = ""
    step: int = 0
    num_steps: int = 0
    started_at: float | None = None
    updated_at: float | None = None
    ended_at: float | None = None
    error: str = ""
    pid: int = 0
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Rows of `metrics.jsonl` as they stand, and where to read on. `again`: the file has become
    shorter than where the reader was (a resumed run), so this is from its beginning."""

    rows: tuple[Mapping[str, Any], ...]
    next: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Curves:
    """A whole run's readings by step; of a step that was gone through twice, the later."""

    steps: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    evals: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    evaluated_at: Mapping[int, float] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """How many tokens were learnt from so far, those of every epoch."""
        return max((int(row.get("tokens") or 0) for row in self.steps.values()), default=0)


def run_ids(home: Path) -> list[str]:
    """Return the ids of the runs that have begun to tell their state."""
    return [path.parent.name for path in (home / RUNS).glob(f"*/{STATE}")]


def run_folder(home: Path, run: str) -> Path:
    """Return a run's folder.

    Raises:
        NotFound: there is no such run.
    """
    folder = home / RUNS / run
    if not NAME.fullmatch(run) or not (folder / STATE).is_file():
        raise NotFound(f"this home keeps no training run {run[:80]!r}; `steelyard tune runs`")
    return folder


def read_standing(folder: Path) -> Standing | None:
    """Return how a run stands; None: it has not begun to tell."""
    fields = read_json(folder / STATE)
    try:
        state = RunState(fields["state"])
    except (KeyError, ValueError):
        return None
    return Standing(
        state=state,
        kind=str(fields.get("kind") or ""),
        step=int(fields.get("step") or 0),
        num_steps=int(fields.get("num_steps") or 0),
        started_at=_time(fields.get("started_at")),
        updated_at=_time(fields.get("updated_at")),
        ended_at=_time(fields.get("ended_at")),
        error=str(fields.get("error") or ""),
        pid=int(fields.get("pid") or 0),
        dataset=str(fields.get("dataset") or ""),
    )


def read_metrics(folder: Path, *, after: int = 0, max_bytes: int = MAX_READ) -> Metrics:
    """Return whole rows from byte `after` on, at most some `max_bytes` of them."""
    path = folder / METRICS
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            again = after > size
            start = 0 if again else after
            file.seek(start)
            content = file.read(max_bytes)
    except FileNotFoundError:
        return Metrics((), 0)
    whole = content[: content.rfind(b"\n") + 1]  # the last line may still be written
    rows = tuple(row for line in whole.splitlines() if (row := _row(line)) is not None)
    return Metrics(rows, start + len(whole), again)


def read_curves(folder: Path) -> Curves:
    """Return all readings of a run."""
    steps: dict[int, Mapping[str, Any]] = {}
    evals: dict[int, Mapping[str, float]] = {}
    at: dict[int, float] = {}
    after = 0
    while True:
        found = read_metrics(folder, after=after)
        for row in found.rows:
            if isinstance(row.get("eval"), Mapping):
                evals[row["step"]] = row["eval"]
                at[row["step"]] = float(row.get("at") or 0.0)
            elif "loss" in row:
                steps[row["step"]] = row
        if found.next == after or found.again:
            return Curves(dict(sorted(steps.items())), dict(sorted(evals.items())), at)
        after = found.next


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object of a run's folder; {} where there is none yet."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _row(line: bytes) -> Mapping[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None  # a line that a kill cut short
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None


def _time(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value else None
