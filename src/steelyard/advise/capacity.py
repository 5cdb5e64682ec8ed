"""How many servers and GPUs, how much memory and disk: from what was measured of one machine.

One copy of the index lies on as few servers as hold it, filled one after the other. Every number
grows with documents and with questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.advise.capacity_inputs import Asked
from steelyard.advise.cells import Cell, Origin, ceil, constant, largest, leaf, least
from steelyard.advise.curves import chunks_within, curve, curve_names, figure, measured_machine
from steelyard.advise.inputs import ASSUMED
from steelyard.advise.marginal import SECONDS_PER_HOUR, rate
from steelyard.advise.model import DAYS_PER_MONTH
from steelyard.core.errors import InputError

MB_PER_GB = constant("mb_per_gb", 1_000, "MB/GB", "decimal")
MS_PER_S = constant("ms_per_s", 1_000, "ms/s", "a second is 1,000 ms")
KB_PER_MB = constant("kb_per_mb", 1_000, "kB/MB", "decimal")
BYTES_PER_MB = constant("bytes_per_mb", 1e6, "byte/MB", "decimal")
BITS = constant("bits_per_byte", 8, "bit/byte", "a byte is 8 bits")
BITS_PER_GBIT = constant("bits_per_gbit", 1e9, "bit/Gbit", "decimal")
ONE_SERVER = constant("one_server", 1, "server", "what a share of a server is of")
ONE_CORE = constant("one_core", 1, "core", "a graph is built, and a question asked, on one core")
ONE_QUESTION = constant("one_question", 1, "question", "what is waited for")
ONE = constant("one", 1, "1", "all of it")
HALF = leaf(
    "share_of_the_target", 0.5, "1",
    Origin("of the time that a search may take, half is left to queues", ASSUMED),
)  # fmt: skip
FEWEST = 1_000.0  # what a server must hold at least, else it is no server for this


@dataclass(frozen=True, slots=True)
class Capacity:
    """`figures` by name, in the order in which they are told; `notes` say what is not measured."""

    asked: Asked
    figures: Mapping[str, Cell]
    fits: Mapping[str, Cell]  # chunks that one server holds, by what bounds them
    notes: tuple[str, ...]


def capacity(asked: Asked) -> Capacity:
    """Size what is asked for.

    Raises:
        InputError: a server of that size holds nothing; names what bounds it.
    """
    chunks = asked.chunks()
    fits = _fits(asked)
    held = least(*fits.values()).named("chunks a server holds", "chunk")
    on_one = least(chunks, held).named("chunks on the fullest server", "chunk")
    parts = largest(ONE, chunks / held).named("servers' worth of chunks", "1")
    whole = ceil(parts).named("servers that hold one copy, as a number", "1")
    work = _work(asked, on_one, parts, whole)
    load = _load(asked, on_one)
    able = (asked["cores"] * load * MS_PER_S / work).named(
        "searches a second of a server", "question/s/server"
    )
    busy = ceil(asked["questions_per_s"] / able).named("servers for the questions", "server")
    one_copy = (whole * ONE_SERVER).named("servers for one copy", "server")
    servers = largest(busy, one_copy * asked["copies"]).named("servers", "server")
    figures = {
        "chunks": chunks,
        **_storage(asked, chunks, on_one, parts),
        **_build(asked, chunks, on_one),
        "search p95 of one question": _p95(on_one),
        "searches a second of a server": able,
        "servers for one copy": one_copy,
        "servers": servers,
        **_gpus(asked),
        **_network(asked, whole),
    }
    return Capacity(asked, figures, fits, tuple(_notes(asked, chunks.point, on_one.point)))


def search_time(asked: Asked) -> Cell:
    """Return what the index itself may take of a search, at p95."""
    fixed = (figure("encoder") + figure("http")) * ONE_QUESTION / ONE_CORE
    return (asked["search_target_ms"] * HALF - fixed).named("time left to the index", "ms")


def _fits(asked: Asked) -> dict[str, Cell]:
    memory = (
        asked["memory_gb"] * asked["memory_share"] * MB_PER_GB * ONE_SERVER
        - figure("server") - cache_memory(asked) * ONE_SERVER
    ).named("memory left to the index", "MB")  # fmt: skip
    copy = (figure("graph_copy") / BYTES_PER_MB).named("graph's copy a chunk", "MB/chunk")
    disk = (asked["disk_gb"] * asked["disk_share"] * MB_PER_GB * ONE_SERVER).named(
        "disk that may be filled", "MB"
    )
    found = {
        "memory": chunks_within(memory, curve("resident"), per_chunk=copy),
        "disk": chunks_within(disk, curve("truth"), curve("index")),
        "search time": least(
            chunks_within(search_time(asked), curve("search_p95")).named(
                "chunks that fit by both legs", "chunk"
            ),
            fit_by_words(asked),
        ),
    }
    repairs = {
        "memory": "raise memory_gb, or lower kept_answers",
        "disk": "raise disk_gb",
        "search time": "raise search_target_ms",
    }
    faults = [
        f"by its {bound} a server holds {cell.point:,.0f} chunks, {FEWEST:,.0f} are the least: "
        f"{repairs[bound]}"
        for bound, cell in found.items()
        if cell.point < FEWEST
    ]
    if faults:
        raise InputError("capacity: " + "; ".join(faults), code="bad_capacity")
    return {
        bound: cell.named(f"chunks that fit by {bound}", "chunk") for bound, cell in found.items()
    }


def fit_by_words(asked: Asked) -> Cell:
    """Return what fits by the lexical leg alone, whose curve is the steeper one."""
    return chunks_within(search_time(asked), curve("lexical_p95")).named(
        "chunks that fit by the lexical leg", "chunk"
    )


def cache_memory(asked: Asked) -> Cell:
    each = figure("kept_answer") + figure("remembered")
    return (asked["kept_answers"] * each / KB_PER_MB).named("cache memory", "MB/server")


def _work(asked: Asked, on_one: Cell, parts: Cell, whole: Cell) -> Cell:
    """Return a question's processor time; each further server is asked over HTTP."""
    index = parts * curve("search").at(on_one) + (whole - 1.0) * figure("http")
    reranking = asked["reranked"] * figure("rerank")
    return (figure("encoder") + figure("http") + reranking + index).named(
        "processor time of a question", "core*ms/question"
    )


def _p95(on_one: Cell) -> Cell:
    fixed = (figure("encoder") + figure("http")) * ONE_QUESTION / ONE_CORE
    index = largest(curve("search_p95").at(on_one), curve("lexical_p95").at(on_one))
    return (index + fixed).named("search p95 of one question", "ms")


def _load(asked: Asked, on_one: Cell) -> Cell:
    """Return how far a server may be loaded: a wait grows as 1 / (1 - load)."""
    left = (1.0 - _p95(on_one) / asked["search_target_ms"]).named("load at the target", "1")
    return least(asked["utilisation"], left).named("load of a server", "1")


def _storage(asked: Asked, chunks: Cell, on_one: Cell, parts: Cell) -> dict[str, Cell]:
    copy = figure("graph_copy") * on_one / BYTES_PER_MB
    memory = (curve("resident").at(on_one) + copy + figure("server")).named(
        "memory of a server, at most", "MB"
    )
    whole = (memory * parts / MB_PER_GB).named("memory for one copy", "GB")
    cache = cache_memory(asked)
    truth = (curve("truth").at(chunks) / MB_PER_GB).named("disk of the truth", "GB")
    index = (curve("index").at(chunks) / MB_PER_GB).named("disk of the indexes", "GB")
    found = (whole, cache, truth, index, (truth + index).named("disk for one copy", "GB"))
    return {one.name: one for one in found}


def _build(asked: Asked, chunks: Cell, on_one: Cell) -> dict[str, Cell]:
    per_s = (figure("ingest") * asked["cores"] * ONE_SERVER).named(
        "chunks a second that a server reads", "chunk/s"
    )
    read = (chunks / per_s / SECONDS_PER_HOUR).named("hours to read everything, on one", "hour")
    graph = curve("graph_build").at(on_one) / ONE_CORE / SECONDS_PER_HOUR
    return {
        read.name: read,
        "hours to build a graph": graph.named("hours to build a graph", "hour"),
    }


def asked_of_the_model(asked: Asked) -> Cell:
    return (asked["questions_per_s"] * (1.0 - asked["hit_ratio"])).named(
        "questions a second to the model", "question/s"
    )


def questions_of_a_gpu(asked: Asked) -> Cell | None:
    """Return what one GPU answers at the stated utilisation; None where no model is asked."""
    tokens = (asked["tokens_in"] + asked["tokens_out"]).named(
        "tokens of a question", "token/question"
    )
    if tokens.point <= 0:
        return None
    full = rate(tokens, asked.throughput, name="questions a second of a full GPU")
    return (full * asked["gpu_speed"] * asked["utilisation"]).named(
        "questions a second of a GPU", "question/s/gpu"
    )


def _gpus(asked: Asked) -> dict[str, Cell]:
    able = questions_of_a_gpu(asked)
    if able is None:
        return {}
    gpus = ceil(asked_of_the_model(asked) / able).named("GPUs", "gpu")
    return {able.name: able, "GPUs": gpus}


def bytes_of_a_question(asked: Asked, whole: Cell, *, name: str = "bytes of a question") -> Cell:
    """Return what a question moves: sources to the asker, prompt and answer, other servers."""

    def about(name: str, value: float, unit: str, what: str) -> Cell:
        return leaf(name, value, unit, Origin(what, ASSUMED))

    text = about("bytes_per_token", 4.5, "byte/token", "of English")
    event = about("bytes_per_event", 200, "byte/token", "a streamed token with its JSON")
    sources = about("sources", 10, "chunk/question", "passages that an asker is shown")
    other = about(
        "bytes_per_other_server", 2_400, "byte/question",
        "a vector of 384 float32 numbers, 50 hits of 16 bytes and headers",
    )  # fmt: skip
    twice = constant("to_and_from_the_server", 2, "1", "the model's tokens come and go on")
    return (
        asked["tokens_in"] * text + asked["tokens_out"] * event * twice
        + sources * asked["chunk_tokens"] * text + (whole - 1.0) * other
    ).named(name, "byte/question")  # fmt: skip


def _network(asked: Asked, whole: Cell) -> dict[str, Cell]:
    moved = asked["questions_per_s"] * bytes_of_a_question(asked, whole) * BITS / BITS_PER_GBIT
    return {"network": moved.named("network", "Gbit/s")}


def changed_per_day(asked: Asked) -> Cell:
    return (asked.chunks() * asked["churn"] / DAYS_PER_MONTH).named(
        "chunks that change in a day", "chunk/day"
    )


def _notes(asked: Asked, chunks: float, on_one: float) -> list[str]:
    told = [f"measured on {measured_machine()}; processor time is taken to fall on all cores alike"]
    for name in curve_names():
        one = curve(name)
        reached = chunks if one.name in ("truth", "index") else on_one
        if reached > one.measured_to:
            told.append(
                f"{name}: measured to {one.measured_to:,.0f} chunks, stretched to {reached:,.0f} "
                f"({reached / one.measured_to:,.1f} times as far)"
            )
    if chunks > on_one:
        told += [
            "more than one server for one copy is arithmetic: nothing of the kind has been run",
            "a question that asks many servers waits for the slowest: its p95 is above that of one",
        ]
    tokens = asked.values["tokens_in"] + asked.values["tokens_out"]
    known = [one.tokens_in + one.tokens_out for one in asked.throughput]
    if tokens and not min(known) <= tokens <= max(known):
        told.append(
            f"the GPU's throughput is stretched from {min(known):,.0f} to {max(known):,.0f} tokens "
            f"a question to {tokens:,.0f}"
        )
    return told
