"""Checkpoints: folders that are whole or absent, whatever kills the writer."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from steelyard.core.errors import SetupError
from steelyard.infra.files import disk_full, explained, make_folder, sha256_file, sync, write_atomic

WEIGHTS, OPTIMIZER, BEST, POSITION = (
    "weights.safetensors",
    "optimizer.pt",
    "best.safetensors",
    "position.json",
)
KEPT = 2  # the newest, and the one before it: should a disk lose the newest

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is. `step` steps are done. `best` is the best evaluation's metric, found
    after `best_step`; `stale` evaluations since then were no better. `start` and `recent` are
    the losses by which divergence is told."""

    step: int = 0
    tokens: int = 0
    examples: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    start: tuple[float, ...] = ()
    recent: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run needs to go on as if nothing had happened: order, learning rate and chance are
    functions of seed and step, so the position stands for them."""

    position: Position
    weights: Tensors
    optimizer: Mapping[str, Any]
    best: Tensors | None = None


class Checkpoints:
    """The checkpoints of one run, below its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, checkpoint: Checkpoint) -> None:
        """Write beside, sync, rename; then forget all but the newest `KEPT`.

        Raises:
            SetupError: the disk is full or cannot be written; older checkpoints are as they were.
        """
        target = self._folder / f"step-{checkpoint.position.step:08d}"
        beside = self._folder / f".{target.name}.{os.getpid()}"
        make_folder(self._folder)
        try:
            with written(target):
                _clear(beside)
                beside.mkdir()
                _write(beside, checkpoint)
                if target.exists():  # of a run that was resumed from before it
                    _retire(target)
                beside.rename(target)
                sync(self._folder)
        finally:
            _clear(beside)
        for old in self._all()[:-KEPT]:
            _retire(old)

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole; None: there is none."""
        for folder in reversed(self._all()):
            found = _read(folder)
            if found is not None:
                return found
        return None

    def remove(self) -> None:
        """Remove all of them: the run is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed writers left; for the process that holds the run."""
        for stray in self._folder.glob(".step-*"):
            _clear(stray)

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Tell a full or unwritable disk in our words, also where a library hides it in its own."""
    try:
        with explained(path):
            yield
    except (SafetensorError, RuntimeError) as error:
        text = str(error)
        if "os error 28" in text or "No space left" in text or "file write failed" in text:
            raise disk_full(path) from error
        raise


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    save_file(dict(checkpoint.weights), folder / WEIGHTS)
    torch.save(dict(checkpoint.optimizer), folder / OPTIMIZER)
    names = [WEIGHTS, OPTIMIZER]
    if checkpoint.best is not None:
        save_file(dict(checkpoint.best), folder / BEST)
        names.append(BEST)
    for name in names:
        sync(folder / name)
    sums = {name: sha256_file(folder / name) for name in names}
    content = {"sha256": sums, "position": asdict(checkpoint.position)}
    write_atomic(folder / POSITION, json.dumps(content).encode())


def _read(folder: Path) -> Checkpoint | None:
    """Return a checkpoint; None: a file of it is missing or is not what was written."""
    try:
        content = json.loads((folder / POSITION).read_bytes())
        if any(sha256_file(folder / name) != sum_ for name, sum_ in content["sha256"].items()):
            return None
        position = Position(**content["position"])
        position = replace(position, start=tuple(position.start), recent=tuple(position.recent))
        return Checkpoint(
            position=position,
            weights=load_file(folder / WEIGHTS),
            optimizer=torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True),
            best=load_file(folder / BEST) if BEST in content["sha256"] else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _retire(folder: Path) -> None:
    """Remove a folder such that a half-removed one is not taken for a checkpoint."""
    hidden = folder.with_name(f".{folder.name}.old")
    try:
        _clear(hidden)
        folder.rename(hidden)
        _clear(hidden)
    except OSError as error:
        raise SetupError(
            f"the old checkpoint {str(folder)!r} cannot be removed ({error.strerror}); make its "
            f"folder writable (`chmod -R u+w {folder.parent}`) and resume the run"
        ) from error


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
