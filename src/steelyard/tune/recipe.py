"""A training run's recipe: what one strict YAML file, and flags beside it, may say."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from steelyard.core.tuning import TuneKind
from steelyard.infra.models import DEFAULT_MODEL


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# Versions of training rows by name or id, with `@split` behind, or files.
Places = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Count = Annotated[int, Field(ge=1)]
Many = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Which rows are learnt from, which measure progress, which show what is lost elsewhere."""

    __pydantic_config__ = _STRICT

    train: Places = ()
    eval: Places = ()
    guard: Places = ()


@dataclass(frozen=True, slots=True)
class LoraRecipe:
    """`targets`: ends of modules' names; (): the linear layers that the kind adapts.

    `strength` is the share of the learnt change that is kept when a run ends: with less of it a
    base forgets less of what it knew (Wortsman et al., Robust fine-tuning of zero-shot models,
    CVPR 2022)."""

    __pydantic_config__ = _STRICT

    rank: Count = 16
    alpha: Positive = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    targets: Places = ()


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """How a run goes on. `batch_size` examples make one step, over all processes; a step is done
    in `accumulate` pieces. `steps` 0: as many as `epochs` take. `warmup` below 1 is a share of
    the steps, else their number. `eval_every` and `checkpoint_every` count steps, 0: a tenth of
    the run; `patience` counts evaluations without gain, 0: go on to the end."""

    __pydantic_config__ = _STRICT

    epochs: Positive = 1.0
    steps: Many = 0
    batch_size: Count = 32
    accumulate: Count = 1
    lr: Positive = 2e-4
    head_lr: Annotated[float, Field(ge=0)] = 0.0  # 0: as `lr`
    warmup: Annotated[float, Field(ge=0)] = 0.1
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Positive = 1.0
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    eval_every: Many = 0
    keep_best: bool = True
    patience: Many = 0
    checkpoint_every: Many = 0


@dataclass(frozen=True, slots=True)
class EmbedderRecipe:
    """`negatives` of a row that join those of the batch. With a `margin`, a candidate that the
    untuned model scores above the positive less the margin is no negative (a false one)."""

    __pydantic_config__ = _STRICT

    temperature: Positive = 0.05
    negatives: Many = 1
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class RerankerRecipe:
    """`teacher` is the folder of a larger cross-encoder, or "": none; its scores earn the share
    `distil` of the loss.

    `scoring`: `pairs` reads question and passage together (a cross-encoder), `late` reads them
    apart and compares their tokens; it wants few examples, and has neither teacher nor pointwise
    loss. Of `late`, tokens become vectors of `dim` numbers, and `scale`, `window` (tokens),
    `window_scale`, `exact` and `adjacent` say what counts (`core/late.py`). `first_stage` is how
    much the search's own score shall count in serving.
    """

    __pydantic_config__ = _STRICT

    scoring: Literal["pairs", "late"] = "pairs"
    scale: Positive = 20.0
    window: Count = 24
    window_scale: Annotated[float, Field(ge=0)] = 0.0
    exact: Annotated[float, Field(ge=0)] = 0.0
    adjacent: Annotated[float, Field(ge=0)] = 0.0
    dim: Count = 128
    first_stage: Annotated[float, Field(ge=0)] = 0.0
    loss: Literal["listwise", "bce"] = "listwise"
    negatives: Count = 7
    teacher: str = ""
    distil: Share = 0.5


@dataclass(frozen=True, slots=True)
class ReaderRecipe:
    """Contexts longer than a window are read in windows that share `stride` tokens. Where one of
    them has the answer, the share `no_answer` of the others is learnt from too.
    `max_answer_tokens` bounds the spans that are read out."""

    __pydantic_config__ = _STRICT

    stride: Many = 64
    no_answer: Share = 1.0
    max_answer_tokens: Count = 30


@dataclass(frozen=True, slots=True)
class ClassifierRecipe:
    """`labels` in the order of the head's outputs; (): those of the rows, sorted."""

    __pydantic_config__ = _STRICT

    labels: Places = ()


@dataclass(frozen=True, slots=True)
class LlmRecipe:
    """`sft` learns to write the assistant's turns of chats, `dpo` which of two answers is better,
    the more sharply the smaller `beta`. `packing`: several short chats share a row, unseen by each
    other."""

    __pydantic_config__ = _STRICT

    loss: Literal["sft", "dpo"] = "sft"
    beta: Positive = 0.1
    packing: bool = True


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run. `layers` 0: all of the base's. `max_tokens` counts special tokens. `threads` 0: as
    torch chooses; with 1 a run is bitwise the same again. More than `allow_lost` of the target
    tokens cut or dropped stops the run."""

    __pydantic_config__ = _STRICT

    kind: TuneKind
    base: str = DEFAULT_MODEL
    method: Literal["lora", "qlora", "full"] = "lora"
    layers: Many = 0
    max_tokens: Annotated[int, Field(ge=8, le=131_072)] = 128
    seed: Many = 0
    threads: Many = 0
    allow_lost: Share = 0.01
    data: DataRecipe = field(default_factory=DataRecipe)
    lora: LoraRecipe = field(default_factory=LoraRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)
    embedder: EmbedderRecipe = field(default_factory=EmbedderRecipe)
    reranker: RerankerRecipe = field(default_factory=RerankerRecipe)
    reader: ReaderRecipe = field(default_factory=ReaderRecipe)
    classifier: ClassifierRecipe = field(default_factory=ClassifierRecipe)
    llm: LlmRecipe = field(default_factory=LlmRecipe)


# What differs from the defaults above by kind, then by method.
DEFAULTS: Mapping[TuneKind, Mapping[str, Any]] = {
    # Four fifths of the change rank as well at home, and half as much is lost elsewhere
    # (docs/tuning.md).
    TuneKind.EMBEDDER: {
        "max_tokens": 128,
        "lora": {"strength": 0.8},
        "train": {"batch_size": 32},
    },
    TuneKind.RERANKER: {"max_tokens": 192, "train": {"batch_size": 8, "head_lr": 1e-3}},
    TuneKind.READER: {"max_tokens": 256, "train": {"batch_size": 16, "head_lr": 1e-3}},
    TuneKind.CLASSIFIER: {
        "max_tokens": 128,
        "train": {"batch_size": 32, "epochs": 3.0, "head_lr": 1e-3},
    },
    TuneKind.LLM: {
        "max_tokens": 1024,
        "train": {"batch_size": 8, "schedule": "cosine", "warmup": 0.03},
    },
}
FULL_LR = 2e-5  # moving every weight wants a tenth of what adapters stand
SECTIONS = tuple(kind.value for kind in TuneKind)


def effective(recipe: Recipe) -> dict[str, Any]:
    """Return every value that holds for a run, as the YAML stores it; no other kind's section."""
    values = _plain(asdict(recipe))
    return {
        key: value for key, value in values.items() if key not in SECTIONS or key == recipe.kind
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value.value if isinstance(value, TuneKind) else value
