"""Heads: of a classifier, from the first token's row to a score; of others, of each token's row."""

from collections.abc import Mapping
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

SPAN_WEIGHT, SPAN_BIAS = "qa_outputs.weight", "qa_outputs.bias"
SPAN_TENSORS = frozenset((SPAN_WEIGHT, SPAN_BIAS))

TOKEN_WEIGHT, TOKEN_BIAS = "classifier.weight", "classifier.bias"
TOKEN_TENSORS = frozenset((TOKEN_WEIGHT, TOKEN_BIAS))


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


def check_span_head(weights: Weights, *, hidden: int, place: Path) -> None:
    """Check that `weights` have a head that gives each token's row a start and an end logit.

    Raises:
        SetupError: there is none, or it has another shape.
    """
    if SPAN_WEIGHT not in weights:
        raise SetupError(
            f"model {str(place)!r} has no question-answering head ({SPAN_WEIGHT}), so it cannot "
            "read; give an adapter that brings one, or choose a question-answering model, such as "
            "deepset/minilm-uncased-squad2"
        )
    _check_shapes(weights, {SPAN_WEIGHT: (2, hidden), SPAN_BIAS: (2,)}, place=place)


def check_token_head(weights: Weights, *, hidden: int, place: Path) -> None:
    """Check that `weights` have a head that gives each token's row a weight and a vector.

    Raises:
        SetupError: there is none, or it has another shape.
    """
    rows = weights[TOKEN_WEIGHT].shape[0] if TOKEN_WEIGHT in weights else 0
    if rows < 2:
        raise SetupError(
            f"adapter {str(place)!r} has no head that weighs and projects tokens "
            f"({TOKEN_WEIGHT}), so it cannot rerank by late interaction; train it again"
        )
    _check_shapes(weights, {TOKEN_WEIGHT: (rows, hidden), TOKEN_BIAS: (rows,)}, place=place)


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
    _check_shapes(weights, shapes, place=place)


def _check_shapes(weights: Weights, shapes: Mapping[str, tuple[int, ...]], *, place: Path) -> None:
    for name, shape in shapes.items():
        found = weights[name].shape if name in weights else None
        if found != shape:
            raise SetupError(
                f"tensor {name!r} of the head of model {str(place)!r} has shape {found}, where "
                f"{shape} is needed; download the model again"
            )
