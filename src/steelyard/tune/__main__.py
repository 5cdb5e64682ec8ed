"""`python -m steelyard.tune RECIPE --out FOLDER`: train without a home, on a borrowed machine.

Under `accelerate launch -m steelyard.tune ...` several processes train together.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, SteelyardError
from steelyard.tune.ending import Interrupted
from steelyard.tune.fit import begin, first_process, summary_fields, train
from steelyard.tune.folder import STATE, RunFolder, new_run
from steelyard.tune.inputs import Rows
from steelyard.tune.reading import read_recipe
from steelyard.tune.rows import read_places


def main(arguments: list[str] | None = None) -> int:
    """Train, or go on where the run in `--out` was; print a summary as JSON."""
    parser = argparse.ArgumentParser(prog="python -m steelyard.tune", description=main.__doc__)
    parser.add_argument("recipe", type=Path, help="a recipe, whose data.* name JSONL files")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder")
    parser.add_argument("--set", action="append", default=[], help="a value, as train.lr=1e-4")
    given = parser.parse_args(arguments)
    try:
        print(json.dumps(_run(given.recipe, given.out, given.set), indent=1))  # noqa: T201
        return 0
    except Interrupted as ended:
        sys.stderr.write(f"steelyard: {ended.state}; run the same command to go on\n")
        return 130
    except SteelyardError as error:
        sys.stderr.write(f"steelyard: {error.message}\n")
        return 2 if isinstance(error, InputError) else 4


def _run(path: Path, out: Path, pairs: list[str]) -> dict[str, Any]:
    recipe = read_recipe(path, flags=dict(_pair(one) for one in pairs))
    places = recipe.data
    train_rows, eval_rows, guard_rows = (
        read_places(one, recipe, beside=path.parent)
        for one in (places.train, places.eval, places.guard)
    )
    licences = sorted({row.provenance.licence for row in train_rows} - {""})
    rows = Rows(train_rows, eval_rows, guard_rows, licence=", ".join(licences))
    run = RunFolder(out)
    if first_process() and not (out / STATE).exists():
        run = new_run(out.parent, name=out.name)
        begin(run, recipe)
    return summary_fields(train(recipe, rows, run, told=_tell))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text!r} has no '='; write --set train.lr=1e-4")
    return key.strip(), value.strip()


def _tell(line: Mapping[str, Any]) -> None:
    if "eval" in line or line["step"] % 50 == 0:
        sys.stderr.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
