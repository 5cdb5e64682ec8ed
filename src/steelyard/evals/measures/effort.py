"""What an answer took: tokens, money, time, and how often it failed or was cut short.

Times hold failures too: a time-out lasted as long as its asker waited. A quick refusal is
therefore quick; read times beside `failed`. Tokens and stages of a failure that has none are
left out, as is what costs nobody knows.
"""

from collections.abc import Callable

from steelyard.core.chat import Usage
from steelyard.core.evaluation import Better, Outcome, Question, Reduce
from steelyard.evals.measures.measure import NOT_APPLICABLE, Meaning, Score, SetMeasure, each

STAGES = (
    "cache", "embed", "dense", "lexical", "fuse", "fetch", "rerank", "search", "context", "found",
    "ttft", "generate", "total",
)  # fmt: skip
"""As in `Usage.timings_ms`; `ttft` is its `first_token`."""
_KEYS = {"ttft": "first_token"}
_MEASURED = "measured in the flow that serves"

FAMILIES = (
    Meaning(
        "prompt_tokens",
        "prompt_tokens",
        "tokens that the generator read",
        "from 0",
        Better.LOWER,
        "the model server's count, where it gives one",
    ),
    Meaning(
        "completion_tokens",
        "completion_tokens",
        "tokens that the generator wrote",
        "from 0",
        Better.LOWER,
        "the model server's count, else the tokens of the stream",
    ),
    Meaning(
        "context_tokens",
        "context_tokens",
        "tokens of sources given to the generator",
        "from 0",
        Better.LOWER,
        "the embedder's tokenizer",
    ),
    Meaning(
        "cost_usd",
        "cost_usd",
        "price of an answer in US dollars; without a value where it is not known",
        "from 0",
        Better.LOWER,
        "tokens × prices",
    ),
    Meaning(
        "per_1000_usd",
        "per_1000_usd",
        "price of 1,000 answers in US dollars, of those whose price is known",
        "from 0",
        Better.LOWER,
        "1,000 × cost_usd",
    ),
    Meaning(
        "p50_ms (p95, p99, mean)",
        "p95_ms",
        "what the asker waited, failures and time-outs too, in milliseconds",
        "from 0",
        Better.LOWER,
        _MEASURED,
    ),
    Meaning(
        "p50_STAGE_ms (p95, p99, mean)",
        "p95_rerank_ms",
        f"the same of one stage: {', '.join(STAGES)}",
        "from 0",
        Better.LOWER,
        _MEASURED,
    ),
    Meaning(
        "failed",
        "failed",
        "1 if there was an error instead of a result, a time-out too",
        "0 or 1",
        Better.LOWER,
        _MEASURED,
    ),
    Meaning(
        "degraded",
        "degraded",
        "1 if a part was left out to keep the deadline, or failed alone",
        "0 or 1",
        Better.LOWER,
        _MEASURED,
    ),
)


def _effort(name: str, score: Score, reduce: Reduce = Reduce.MEAN) -> SetMeasure:
    return SetMeasure(name, each(score), reduce, better=Better.LOWER, quality=False)


def _of_usage(read: Callable[[Usage], float]) -> Score:
    def score(question: Question, outcome: Outcome) -> float:
        return NOT_APPLICABLE if outcome.answer is None else read(outcome.answer.usage)

    return score


def _cost(question: Question, outcome: Outcome) -> float:
    return NOT_APPLICABLE if outcome.cost_usd is None else outcome.cost_usd


def _cost_of_1000(question: Question, outcome: Outcome) -> float:
    return 1000 * _cost(question, outcome)


def _waited(question: Question, outcome: Outcome) -> float:
    return outcome.wall_ms


def _stage(key: str) -> Score:
    def score(question: Question, outcome: Outcome) -> float:
        return outcome.timings_ms.get(key, NOT_APPLICABLE)

    return score


def _failed(question: Question, outcome: Outcome) -> float:
    return float(bool(outcome.error))


def _degraded(question: Question, outcome: Outcome) -> float:
    return float(bool(outcome.degraded or (outcome.answer and outcome.answer.degraded)))


MEASURES = (
    _effort("prompt_tokens", _of_usage(lambda usage: usage.prompt_tokens)),
    _effort("completion_tokens", _of_usage(lambda usage: usage.completion_tokens)),
    _effort("context_tokens", _of_usage(lambda usage: usage.context_tokens)),
    _effort("cost_usd", _cost),
    _effort("per_1000_usd", _cost_of_1000),
    *(_effort(f"{reduce.value}_ms", _waited, reduce) for reduce in Reduce),
    *(
        _effort(f"{reduce.value}_{stage}_ms", _stage(_KEYS.get(stage, stage)), reduce)
        for reduce in Reduce
        for stage in STAGES
    ),
    _effort("failed", _failed),
    _effort("degraded", _degraded),
)
