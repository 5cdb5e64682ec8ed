"""The number at which one machine no longer does, part by part, and what the part moves to."""

from dataclasses import dataclass

from steelyard.advise.capacity import (
    BITS,
    BITS_PER_GBIT,
    MS_PER_S,
    ONE,
    ONE_SERVER,
    Capacity,
    asked_of_the_model,
    bytes_of_a_question,
    changed_per_day,
    fit_by_words,
    questions_of_a_gpu,
)
from steelyard.advise.capacity_inputs import Asked
from steelyard.advise.cells import Cell
from steelyard.advise.curves import figure
from steelyard.advise.marginal import ONE_GPU
from steelyard.advise.model import SECONDS_PER_DAY

DESIGNED = "designed, not built"


@dataclass(frozen=True, slots=True)
class Limit:
    """One machine does `most` of a part; `asked` is in the same unit. `moves_to` says how a part
    goes on beyond it."""

    part: str
    most: Cell
    asked: Cell
    bound: str
    moves_to: str

    @property
    def beyond(self) -> bool:
        return self.asked.point > self.most.point


def limits(found: Capacity) -> list[Limit]:
    """Return every part's limit on the machine that was asked about."""
    parts = [*_by_chunks(found), *_by_questions(found), *_by_model(found.asked)]
    assert all(one.most.unit == one.asked.unit for one in parts), "asked in the limit's unit"
    return parts


def _by_chunks(found: Capacity) -> list[Limit]:
    asked = found.asked
    chunks = found.figures["chunks"]
    reads = (figure("ingest") * asked["cores"] * ONE_SERVER * SECONDS_PER_DAY).named(
        "chunks a day that a server reads", "chunk/day"
    )
    return [
        Limit(
            "truth (SQLite)", found.fits["disk"], chunks, "disk",
            "a larger disk; then homes by collection, each its own truth: SQLite has one writer",
        ),
        Limit(
            "dense index", found.fits["memory"], chunks, "memory",
            "more memory, or index.vectors = binary; then a Milvus cluster behind the same "
            f"protocol ({DESIGNED})",
        ),
        Limit(
            "lexical index", fit_by_words(asked), chunks, "search time",
            f"the same cluster's BM25 ({DESIGNED}), or homes by collection",
        ),
        Limit(
            "both legs and the truth", found.fits["search time"], chunks, "search time",
            f"shards that are asked at once, or the same cluster ({DESIGNED})",
        ),
        Limit(
            "ingestion", reads, changed_per_day(asked), "processor",
            f"bulk embedding on many machines ({DESIGNED})",
        ),
    ]  # fmt: skip


def _by_questions(found: Capacity) -> list[Limit]:
    asked = found.asked
    able = asked["cores"] * asked["utilisation"] * MS_PER_S * ONE_SERVER
    questions = asked["questions_per_s"]
    one = (found.figures["searches a second of a server"] * ONE_SERVER).named(
        "questions a second of one server", "question/s"
    )
    encoded = (able / figure("encoder")).named("questions a second encoded", "question/s")
    reranked = (able / figure("rerank")).named("questions a second reranked", "question/s")
    moved = bytes_of_a_question(asked, ONE, name="bytes of a question of one server")
    carried = (asked["network_gbit"] * ONE_SERVER * BITS_PER_GBIT / (moved * BITS)).named(
        "questions a second carried", "question/s"
    )
    return [
        Limit(
            "server", one, questions, "processor",
            "replicas behind any load balancer, each with a copy of the home",
        ),
        Limit("encoder", encoded, questions, "processor", "replicas"),
        Limit(
            "reranker", reranked,
            (questions * asked["reranked"]).named("questions a second to rerank", "question/s"),
            "processor", "a reranking endpoint on a GPU, or replicas",
        ),
        Limit(
            "answer cache", ONE_SERVER, found.figures["servers"], "one process",
            "Redis or Valkey, which replicas share (--cache-url)",
        ),
        Limit(
            "network", carried, questions, "network", "a faster card, or more replicas",
        ),
    ]  # fmt: skip


def _by_model(asked: Asked) -> list[Limit]:
    able = questions_of_a_gpu(asked)
    if able is None:
        return []
    most = (able * ONE_GPU).named("questions a second of one GPU", "question/s")
    return [
        Limit(
            "language model", most, asked_of_the_model(asked), "GPU",
            "vLLM or SGLang on more GPUs behind one address: any OpenAI-compatible endpoint",
        )
    ]  # fmt: skip
