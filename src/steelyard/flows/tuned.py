"""A finished training run → the questions that it held out → a draft of a version."""

from collections.abc import Sequence
from pathlib import Path

from steelyard.core.errors import InputError
from steelyard.core.evaluation import QuestionSet
from steelyard.core.training import TrainingRow
from steelyard.core.tuning import RunState, TuneKind
from steelyard.datasets.training import find_version, held_out_set, read_kept
from steelyard.flows.registry import Draft
from steelyard.tune import RUNS, Recipe, RunFolder, find_run, read_recipe

TEST = "test"
# A classifier answers no question here, and a language model is served by another program.
NOT_SERVED = {
    TuneKind.CLASSIFIER: "nothing of Steelyard is served by a classifier",
    TuneKind.LLM: "which server runs it is not known; register it with --set llm.url=URL",
}


def check_kind(kind: TuneKind) -> None:
    """Raise InputError for a kind that cannot be promoted by itself, before it is trained."""
    if kind in NOT_SERVED:
        raise InputError(f"a {kind.value} cannot be promoted after training: {NOT_SERVED[kind]}")


def finished(home: Path, named: str) -> RunFolder:
    """Return a run that is done.

    Raises:
        NotFound: there is none of that name.
        InputError: it is not done.
    """
    run = find_run(home / RUNS, named)
    state = run.status().state
    if state is not RunState.DONE:
        raise InputError(
            f"run {run.id!r} is {state.value} and has no artefact to promote; "
            f"`steelyard tune resume {run.id}` goes on"
        )
    return run


def draft_of(run: RunFolder, *, name: str = "") -> Draft:
    return Draft(name or run.id, run.artefact, base=read_recipe(run.recipe).base)


def held_out(home: Path, recipe: Recipe) -> QuestionSet:
    """Return the rows that a run did not learn from as questions: the `test` split of what it
    learnt from, else those that it measured its progress on (and chose its best step by).

    Raises:
        InputError: nothing was held out, or its rows ask nothing of documents.
    """
    learnt = _rows(home, recipe.data.train)
    tested: list[TrainingRow] = []
    for place in recipe.data.train:
        version = find_version(home, place.partition("@")[0])
        if TEST in version.splits and place.partition("@")[2] != TEST:
            tested += read_kept(home, version, split=TEST)
    rows = tested or _rows(home, recipe.data.eval)
    return held_out_set("held-out rows", rows, learnt)


def held_out_of(home: Path, run: RunFolder) -> QuestionSet:
    return held_out(home, read_recipe(run.recipe))


def _rows(home: Path, places: Sequence[str]) -> list[TrainingRow]:
    rows: list[TrainingRow] = []
    for place in places:
        named, _, split = place.partition("@")
        rows += read_kept(home, find_version(home, named), split=split)
    return rows
