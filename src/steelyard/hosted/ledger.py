"""Which jobs were sent where, below HOME/tune/hosted: what is needed to ask for them again."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound
from steelyard.infra.files import write_atomic

FOLDER = Path("tune", "hosted")
FINAL = frozenset(("succeeded", "failed", "cancelled"))

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LEAST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job at `url` as it was last told. `dataset` is the version of training data that was
    sent, `request` what was asked for; `last_event` the newest event that was shown."""

    id: str
    url: str
    model: str
    dataset: str
    submitted_at: float
    request: Mapping[str, Any] = field(default_factory=dict)
    status: str = "queued"
    fine_tuned_model: str = ""
    error: str = ""
    last_event: str = ""
    version: str = ""

    @property
    def ended(self) -> bool:
        return self.status in FINAL


def save_submitted(home: Path, job: Submitted) -> None:
    """Write a job's record, whole or not at all.

    Raises:
        InputError: the host named the job in a way that is no name of a file.
    """
    if not _PLAIN.fullmatch(job.id):
        raise InputError(f"the host calls the job {job.id[:80]!r}, which cannot be kept")
    text = json.dumps(asdict(job), indent=1, ensure_ascii=False)
    write_atomic(home / FOLDER / f"{job.id}.json", text.encode())


def submitted(home: Path) -> list[Submitted]:
    """Return the jobs that were sent, the newest first."""
    found = [_read(path) for path in (home / FOLDER).glob("*.json")]
    return sorted((job for job in found if job), key=lambda job: (-job.submitted_at, job.id))


def find_submitted(home: Path, named: str = "") -> Submitted:
    """Return a job by the beginning of its id; "": the newest.

    Raises:
        NotFound: there is none.
        InputError: several begin so.
    """
    there = submitted(home)
    long_enough = len(named) >= _LEAST_PREFIX
    found = [job for job in there if long_enough and job.id.startswith(named)]
    found = there[:1] if not named else [job for job in found if job.id == named] or found
    if len(found) > 1:
        raise InputError(f"{named!r} begins the ids of {len(found)} jobs: write more of it")
    if not found:
        listed = ", ".join(job.id for job in there[:10]) or "none"
        raise NotFound(f"no job {named!r} was sent from this home; it sent {listed}")
    return found[0]


def _read(path: Path) -> Submitted | None:
    try:
        return Submitted(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
