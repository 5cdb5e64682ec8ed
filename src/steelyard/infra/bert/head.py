"""The head of a sequence-classification model: from the first token's row to one score."""

from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.infra.bert.weights import Weights

# (dense layer, its activation, output layer), tried in this order.
_LAYOUTS = (
    ("classifier.dense", "Tanh", "classifier.out_proj"),  # RoBERTa and its kin
    ("pre_classifier", "Relu", "classifier"),  # DistilBERT
    ("pooler.dense", "Tanh", "classifier"),  # BERT
    ("", "", "classifier"),  # BERT without a pooler
)
HEAD_TENSORS = frozenset(
    f"{name}.{kind}"
    for dense, _, output in _LAYOUTS
    for name in (dense, output)
    for kind in ("weight", "bias")
    if name
)


@dataclass(frozen=True, slots=True)
class Head:
    """The names of a head's tensors; `dense` is "" where there is only the output layer.

    With one label the score is its logit; with two (no, yes) it is the difference of the
    logits, which orders passages as the probability of "yes" does.
    """

    dense: str
    activation: str
    output: str


def find_head(weights: Weights, *, hidden: int, place: Path) -> Head:
    """Return the head among `weights`, shapes checked.

    Raises:
        SetupError: there is none, it does not fit, or it has three labels or more.
    """
    for dense, activation, output in _LAYOUTS:
        needed = [f"{name}.weight" for name in (dense, output) if name]
        if all(name in weights for name in needed):
            _check(weights, dense, output, hidden=hidden, place=place)
            return Head(dense, activation, output)
    raise SetupError(
        f"model {str(place)!r} has no classification head (classifier.weight), so it cannot "
        "rerank; choose a sequence-classification model, such as "
        "cross-encoder/ms-marco-MiniLM-L6-v2"
    )


def _check(weights: Weights, dense: str, output: str, *, hidden: int, place: Path) -> None:
    labels = weights[f"{output}.weight"].shape[0]
    if labels not in (1, 2):
        raise SetupError(
            f"the head of model {str(place)!r} has {labels} labels; a reranker has 1 (a score) or "
            "2 (no, yes): choose another model"
        )
    shapes: dict[str, tuple[int, ...]] = {
        f"{output}.weight": (labels, hidden),
        f"{output}.bias": (labels,),
    }
    if dense:
        shapes |= {f"{dense}.weight": (hidden, hidden), f"{dense}.bias": (hidden,)}
    for name, shape in shapes.items():
        found = weights[name].shape if name in weights else None
        if found != shape:
            raise SetupError(
                f"tensor {name!r} of the head of model {str(place)!r} has shape {found}, where "
                f"{shape} is needed; download the model again"
            )
