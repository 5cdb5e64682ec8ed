"""What a run begins with: its rows and its base, the same when it goes on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.training import TrainingRow
from steelyard.core.tuning import TokenAccount
from steelyard.tune.folder import ACCOUNTING, INPUTS, RunFolder
from steelyard.tune.task import Sets


@dataclass(frozen=True, slots=True)
class Rows:
    """What a run learns from and is measured on. `dataset` names the training rows' version,
    `licence` is theirs, as far as one is known for all."""

    train: Sequence[TrainingRow]
    eval: Sequence[TrainingRow] = ()
    guard: Sequence[TrainingRow] = ()
    dataset: str = ""
    licence: str = ""


def write_preparation(run: RunFolder, inputs: Mapping[str, Any], sets: Sets) -> None:
    run.write(INPUTS, inputs)
    given = {"train": sets.train, "eval": sets.eval, "guard": sets.guard}
    accounts = {role: account_fields(one.account) for role, one in given.items() if one}
    run.write(ACCOUNTING, {**accounts, "notes": list(sets.train.notes)})
    for note in sets.train.notes:
        run.say(note)


def account_fields(account: TokenAccount) -> dict[str, Any]:
    return {**asdict(account), "total": account.total, "lost_share": account.lost_share}


def check_same(run: RunFolder, inputs: Mapping[str, Any]) -> None:
    """Check that a run goes on with the base and the rows that it began with."""
    known = run.read(INPUTS)
    if not known or not run.checkpoints.exists():
        return
    differing = [key for key in inputs if known.get(key) != inputs[key]]
    if differing:
        names = {"base": "the base model", "rows_sha256": "the rows"}
        raise InputError(
            f"run {run.id!r} cannot go on: {' and '.join(names[key] for key in differing)} "
            "changed since it began; give back what it began with, or begin a new run",
            code="changed_inputs",
        )


def check_apart(rows: Rows) -> None:
    """Check that no row that is learnt from is measured on."""
    learnt = {repr(row.example) for row in rows.train}
    for role, given in (("eval", rows.eval), ("guard", rows.guard)):
        both = sum(repr(row.example) in learnt for row in given)
        if both:
            raise InputError(
                f"{both:,} of {len(given):,} rows of data.{role} are learnt from too, so they "
                "would measure memory; split the data by `steelyard data split`",
                code="leak",
            )


def rows_sha256(rows: Rows) -> str:
    digest = hashlib.sha256()
    for role in (rows.train, rows.eval, rows.guard):
        digest.update(json.dumps([repr(row.example) for row in role]).encode())
    return digest.hexdigest()
