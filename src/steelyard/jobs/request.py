"""What a job asks for → the recipe of the training run that does it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.training import Kind
from steelyard.core.tuning import LEARNS_FROM, TuneKind

SUPERVISED, DPO = "supervised", "dpo"
METHODS = (SUPERVISED, DPO)

# The usual rate of DPO, a tenth of what adapters stand in learning to write.
DPO_LR = 2e-5


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """OpenAI's; None is "auto": the recipe's own default holds."""

    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    beta: float | None = None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job as its door understood it; `recipe` is our own addition to what follows from it."""

    model: str
    training_file: str
    validation_file: str = ""
    method: str = SUPERVISED
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    kind: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    suffix: str = ""


def kind_of(request: JobRequest, rows: Kind) -> TuneKind:
    """Return what is to be trained on rows of a kind.

    Raises:
        InputError: the kind is unknown, the rows do not teach it, or several are possible.
    """
    fitting = [kind for kind, learns in LEARNS_FROM.items() if rows in learns]
    wanted = Kind.PREFERENCE if request.method == DPO else Kind.CHAT
    if TuneKind.LLM in fitting and rows is not wanted:
        raise InputError(
            f"method {request.method!r} learns from {wanted} rows, and training_file "
            f"{request.training_file!r} holds {rows} rows; choose the other method or file"
        )
    if request.kind and request.kind not in set(TuneKind):
        known = ", ".join(TuneKind)
        raise InputError(f"steelyard.kind {request.kind!r} is none of {known}")
    if request.kind and request.kind not in fitting:
        raise InputError(
            f"{request.kind!r} does not learn from {rows} rows, which training_file "
            f"{request.training_file!r} holds; they teach {' or '.join(fitting)}"
        )
    if not request.kind and len(fitting) > 1:
        raise InputError(
            f"{rows} rows teach {' or '.join(fitting)}: say which in "
            f'"steelyard": {{"kind": "{fitting[0]}"}}'
        )
    return TuneKind(request.kind or fitting[0])


def recipe_of(
    request: JobRequest, kind: TuneKind, *, dataset: str, held_out: str = "", usual_lr: float
) -> dict[str, Any]:
    """Return a recipe for `steelyard tune run`; what the request leaves open is not in it.

    `usual_lr` is what a learning rate multiplier of 1 means. One thread: others serve meanwhile.
    """
    asked = request.hyperparameters
    train: dict[str, Any] = {}
    if asked.n_epochs is not None:
        train["epochs"] = asked.n_epochs
    if asked.batch_size is not None:
        train["batch_size"] = asked.batch_size
    if asked.learning_rate_multiplier is not None or request.method == DPO:
        usual = DPO_LR if request.method == DPO else usual_lr
        train["lr"] = usual * (asked.learning_rate_multiplier or 1.0)
    data = {"train": dataset} | ({"eval": held_out} if held_out else {})
    recipe: dict[str, Any] = {
        "kind": kind.value,
        "base": request.model,
        "threads": 1,
        "data": data,
    }
    if request.seed is not None:
        recipe["seed"] = request.seed
    if train:
        recipe["train"] = train
    if request.method == DPO:
        beta = {} if asked.beta is None else {"beta": asked.beta}
        recipe["llm"] = {"loss": "dpo", **beta}
    return merged(recipe, request.recipe)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, section by section; where both speak, `over` counts."""
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            both[key] = merged(below, value)
        else:
            both[key] = value
    return both
