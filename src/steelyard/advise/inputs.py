"""What a scenario says, with units and allowed ranges; a stated default stands for the rest.

A range (`low`, `high`) is what is believed possible: draws are triangular in it, with the value as
the mode. Where a default has one, it is a guess and says so; measuring replaces it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ASSUMED: Final = "stated default"


class Group(StrEnum):
    TRAFFIC = "traffic"
    DOCUMENTS = "documents"
    TOKENS = "tokens"
    NEEDS = "needs"
    TUNING = "tuning"
    MACHINES = "machines"
    PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class Spec:
    """An input: `[low, high]` is allowed; `unsure` is the default's own range, as factors.

    `log`: a slider moves it by factors. `source` says where the default comes from.
    """

    key: str
    group: Group
    default: float
    low: float
    high: float
    unit: str
    what: str
    log: bool = False
    unsure: tuple[float, float] | None = None
    source: str = ASSUMED
    measure: str = ""  # the command that replaces the default by a measurement


_SETUP = (0.5, 2.0)
_ROUGH = (0.7, 1.5)
MEASURE = (
    "steelyard eval run --data QUESTIONS --arms base,rag,tuned,tuned+rag "
    "--measures contains,p95_ttft_ms,prompt_tokens,completion_tokens --json report.json"
)
_BENCH = "steelyard bench"
_LOG = "steelyard prices spend"
_DEMO = "docs/tuning-demo.md: facts that changed after tuning, .05 [.01, .23]"
_CHUNK = "docs/why/chunking.md"

SPECS: tuple[Spec, ...] = (
    Spec("questions_per_day", Group.TRAFFIC, 1_000, 0.1, 1e10, "question/day",
         "questions a day at the start", log=True, measure=_LOG),
    Spec("growth", Group.TRAFFIC, 0.0, -0.5, 1.0, "1", "growth of questions a month, as a share"),
    Spec("peak_factor", Group.TRAFFIC, 3.0, 1.0, 100.0, "1",
         "questions a second in the busiest hour over the mean", unsure=(0.7, 1.7), measure=_LOG),
    Spec("hit_ratio", Group.TRAFFIC, 0.0, 0.0, 0.99, "1",
         "share of questions that the answer cache serves", measure=_LOG),
    Spec("documents", Group.DOCUMENTS, 1_000, 0, 1e9, "document", "documents", log=True),
    Spec("tokens_per_document", Group.DOCUMENTS, 1_500, 1, 1e7, "token/document",
         "tokens of a document", log=True, unsure=_ROUGH, measure="steelyard ingest"),
    Spec("churn", Group.DOCUMENTS, 0.05, 0.0, 10.0, "1/month",
         "share of the documents that changes in a month"),
    Spec("chunk_tokens", Group.DOCUMENTS, 128, 16, 8_192, "token/chunk", "tokens of a chunk",
         log=True, source=_CHUNK),
    Spec("read_units_per_question", Group.DOCUMENTS, 1.0, 0, 10_000, "readunit/question",
         "read units that a rented vector database takes for a search", log=True,
         unsure=(0.5, 3.0)),
    Spec("staleness_days", Group.DOCUMENTS, 30.0, 0.01, 3_650, "day",
         "how old an answer's knowledge may be", log=True),
    Spec("instruction_tokens", Group.TOKENS, 200, 0, 1e6, "token/question",
         "tokens of the prompt around question and sources", unsure=_ROUGH, measure=MEASURE),
    Spec("question_tokens", Group.TOKENS, 30, 1, 1e6, "token/question", "tokens of a question",
         unsure=_ROUGH, measure=MEASURE),
    Spec("context_tokens", Group.TOKENS, 600, 0, 1e6, "token/question",
         "tokens of the sources in a prompt", log=True, unsure=_ROUGH, measure=MEASURE),
    Spec("answer_tokens", Group.TOKENS, 150, 0, 1e6, "token/question", "tokens of an answer",
         log=True, unsure=_ROUGH, measure=MEASURE),
    Spec("cached_share", Group.TOKENS, 0.0, 0.0, 1.0, "1",
         "share of a prompt's tokens that the seller has cached", measure=_LOG),
    Spec("latency_target_ms", Group.NEEDS, 2_000, 1, 600_000, "ms",
         "what 95 of 100 askers may wait at most for the first word", log=True),
    Spec("min_quality", Group.NEEDS, 0.0, 0.0, 1.0, "1", "quality below which nothing is served"),
    Spec("tolerance", Group.NEEDS, 0.02, 0.0, 1.0, "1",
         "quality that may be given up for a lower price; not used where worth_usd is set"),
    Spec("worth_usd", Group.NEEDS, 0.0, 0.0, 1e6, "USD/question",
         "what a right answer is worth; 0: take the cheapest of the good"),
    Spec("stale_quality", Group.NEEDS, 0.05, 0.0, 1.0, "1",
         "quality of a tuned model on what changed since it was tuned", unsure=(0.2, 4.0),
         source=_DEMO, measure=MEASURE),
    Spec("examples", Group.TUNING, 2_000, 1, 1e9, "example", "rows that are tuned on", log=True),
    Spec("tokens_per_example", Group.TUNING, 400, 1, 1e6, "token/example",
         "tokens of such a row", log=True, unsure=_ROUGH, measure="steelyard tune plan"),
    Spec("epochs", Group.TUNING, 3.0, 0.01, 1_000, "1", "times that each row is seen"),
    Spec("training_tokens_per_hour", Group.TUNING, 39e6, 1, 1e12, "token/gpu/hour",
         "tokens that a GPU of your own trains on in an hour", log=True, unsure=(0.5, 1.5),
         source="8B, LoRA: 4 operations a parameter and token at 35 % of an H100's 989 TFLOP/s",
         measure="steelyard tune plan --probe"),
    Spec("style_retrains_per_year", Group.TUNING, 2.0, 0.0, 365.0, "1/year",
         "tunings a year of a model that looks facts up", unsure=_SETUP),
    Spec("gpu_speed", Group.MACHINES, 1.0, 0.001, 1_000, "1",
         "your model and GPU over the ones that the throughput was measured with", log=True,
         unsure=(0.6, 1.4), measure=_BENCH),
    Spec("utilisation", Group.MACHINES, 0.6, 0.01, 1.0, "1",
         "share of its measured throughput that a machine is loaded with in the busiest hour"),
    Spec("min_gpus", Group.MACHINES, 1, 1, 1e6, "gpu", "GPUs at least (two: one may fail)"),
    Spec("min_servers", Group.MACHINES, 1, 1, 1e6, "server", "servers at least"),
    Spec("server_questions_per_s", Group.MACHINES, 100, 0.01, 1e6, "question/s/server",
         "questions a second that one server searches at the latency target", log=True,
         unsure=(0.5, 1.5), source="a third of the 300 of two cores in bench/LOG.md",
         measure=_BENCH),
    Spec("setup_hours_base", Group.PEOPLE, 8, 0, 1e5, "hour", "to build and test a prompt alone",
         unsure=_SETUP),
    Spec("setup_hours_rag", Group.PEOPLE, 40, 0, 1e5, "hour", "to build and test retrieval",
         unsure=_SETUP),
    Spec("setup_hours_tuning", Group.PEOPLE, 60, 0, 1e5, "hour",
         "to collect, check and hold out rows, and to tune once", unsure=_SETUP),
    Spec("hours_per_retrain", Group.PEOPLE, 2, 0, 1e4, "hour",
         "to look at the rows and the gate of one more tuning", unsure=_SETUP),
    Spec("upkeep_hours_rag", Group.PEOPLE, 3, 0, 1e4, "hour/month", "to look after retrieval",
         unsure=_SETUP),
    Spec("upkeep_hours_base", Group.PEOPLE, 1, 0, 1e4, "hour/month",
         "to look after whatever is served", unsure=_SETUP),
)  # fmt: skip
BY_KEY: Mapping[str, Spec] = {spec.key: spec for spec in SPECS}
MAX_MONTHS = 60


def in_groups(specs: Iterable[Spec] = SPECS) -> dict[Group, list[Spec]]:
    """Return the inputs by group, in order."""
    found: dict[Group, list[Spec]] = {}
    for spec in specs:
        found.setdefault(spec.group, []).append(spec)
    return found
