"""Which task stands for a kind; its modules are loaded when it is chosen."""

from collections.abc import Sequence

from steelyard.core.errors import InputError
from steelyard.core.training import TrainingRow
from steelyard.core.tuning import LEARNS_FROM, TuneKind
from steelyard.tune.needs import need_libraries
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Task


def task_for(recipe: Recipe) -> Task:
    """Return the task of a recipe's kind, its base opened and its numbers checked.

    Raises:
        SetupError: the extra or the base is missing.
        InputError: the recipe does not fit the base.
    """
    need_libraries()
    match recipe.kind:
        case TuneKind.EMBEDDER:
            from steelyard.tune.embedder import EmbedderTask

            return EmbedderTask(recipe)
        case TuneKind.RERANKER if recipe.reranker.scoring == "late":
            from steelyard.tune.late import LateTask

            return LateTask(recipe)
        case TuneKind.RERANKER:
            from steelyard.tune.reranker import RerankerTask

            return RerankerTask(recipe)
        case TuneKind.READER:
            from steelyard.tune.reader import ReaderTask

            return ReaderTask(recipe)
        case TuneKind.CLASSIFIER:
            from steelyard.tune.classifier import ClassifierTask

            return ClassifierTask(recipe)
        case TuneKind.LLM:
            from steelyard.tune.llm import LlmTask

            return LlmTask(recipe)


def check_rows(recipe: Recipe, rows: Sequence[TrainingRow], *, role: str) -> None:
    """Check that rows are of the kind that is learnt from, and that there are any.

    Raises:
        InputError: none, or of another kind; says which would do.
    """
    wanted = LEARNS_FROM[recipe.kind]
    names = " or ".join(kind.value for kind in wanted)
    if not rows:
        raise InputError(
            f"data.{role} holds no row; name a version, split or file with rows of kind {names}",
            code="no_rows",
        )
    other = next((row for row in rows if row.kind not in wanted), None)
    if other is not None:
        where = other.provenance
        place = f" ({where.file}:{where.line})" if where.file else ""
        raise InputError(
            f"data.{role} holds rows of kind {other.kind.value!r}{place}, and a "
            f"{recipe.kind.value} learns from {names}; convert them, or set another kind",
            code="wrong_rows",
        )
