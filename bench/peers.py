"""Steelyard beside LangChain + Chroma, LlamaIndex, Haystack, txtai and the bare parts.

    python bench/peers.py --peers langchain,llamaindex,haystack,txtai,parts [--quick]
                          [--venvs FOLDER] [--chunks N]

Everybody serves the same chunks (bench/data.py) with the same MiniLM weights and answers the same
questions, one server after the other, in one run: search at 1, 8 and 32 clients, first token at 1
and 32 clients over a mock model (50 ms to its first token), an edit until it is found, memory.
Each peer runs once with one and once with two maths threads, and its better figure counts.
Each has an environment of its own, FOLDER/NAME (bench/README.md says what to install there).
Writes bench/out/peers.json after every server, so that an interrupted run keeps what it has.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import data
import numpy as np
from machine import OUT, write_result
from rich.console import Console
from rich.table import Table
from servers import MockModel, Server, free_port, row, steelyard
from serving import HOME, NUM_CHUNKS, PAGES, WHOLE, ingest, write_pages

from steelyard.infra.models import find_model

NAMES = ("langchain", "llamaindex", "haystack", "txtai", "parts")
PEERS = Path(__file__).parent / "peers"
QUICK_CHUNKS = 1500
SEARCH_CLIENTS = (1, 8, 32)
ANSWER_CLIENTS = (1, 32)
TTFT_MS = 50.0
THREADS = ("1", "2")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is asked of each server."""

    num_searches: int
    num_answers: int
    seconds: float
    num_edits: int


FULL = Scale(num_searches=400, num_answers=128, seconds=30.0, num_edits=10)
QUICK = Scale(num_searches=100, num_answers=64, seconds=10.0, num_edits=4)

# (what the table says, where it is in a result, is more better)
FIGURES: tuple[tuple[str, Callable[[dict[str, Any]], float | None], bool], ...] = (
    ("search p50, 1 client, ms", lambda r: r["search"]["1"]["p50_ms"], False),
    ("search p95, 1 client, ms", lambda r: r["search"]["1"]["p95_ms"], False),
    ("searches/s, 8 clients", lambda r: r["search"]["8"]["per_s"], True),
    ("searches/s, 32 clients", lambda r: r["search"]["32"]["per_s"], True),
    ("search p95, 32 clients, ms", lambda r: r["search"]["32"]["p95_ms"], False),
    ("first token p50, 1 client, ms", lambda r: r["first_token"]["1"]["p50_ms"], False),
    ("added to the model's 50 ms, p95", lambda r: _added(r), False),
    ("first token p50, 32 clients, ms", lambda r: r["first_token"]["32"]["p50_ms"], False),
    ("first token p95, 32 clients, ms", lambda r: r["first_token"]["32"]["p95_ms"], False),
    ("edit to searchable p50, s", lambda r: r["edit_to_searchable_p50_s"], False),
    ("at rest, MB", lambda r: r["rest_mb"], False),
    ("errors", lambda r: float(_errors(r)), False),
)


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def _added(result: dict[str, Any]) -> float | None:
    p95 = result["first_token"]["1"]["p95_ms"]
    return None if p95 is None else round(p95 - TTFT_MS, 1)


def _errors(result: dict[str, Any]) -> int:
    rows = [*result["search"].values(), *result["first_token"].values()]
    return sum(sum(one["errors"].values()) + one["unfinished"] for one in rows)


def searches(server: Server, questions: Iterator[str], scale: Scale) -> dict[str, Any]:
    rows = {}
    server.load(server.path, [{"query": q, "k": 10} for q in islice(questions, 40)], clients=2)
    for clients in SEARCH_CLIENTS:
        say(f"  search, {clients} clients")
        bodies = [{"query": q, "k": 10} for q in islice(questions, scale.num_searches)]
        measured = server.load(server.path, bodies, clients=clients, seconds=scale.seconds)
        rows[str(clients)] = row(measured, clients=clients)
    return rows


def first_tokens(
    server: Server, questions: Iterator[str], scale: Scale, answers: tuple[str, dict[str, Any]]
) -> dict[str, Any]:
    rows = {}
    path, extra = answers
    for clients in ANSWER_CLIENTS:
        say(f"  answers, {clients} clients")
        num = scale.num_answers if clients > 1 else min(scale.num_answers, 40)
        bodies = [{"query": question, **extra} for question in islice(questions, num)]
        measured = server.load(path, bodies, clients=clients, seconds=scale.seconds)
        first = measured.summary.first_ms
        rows[str(clients)] = {
            **row(measured, clients=clients),
            "p50_ms": None if first is None else round(first.p50, 1),
            "p95_ms": None if first is None else round(first.p95, 1),
            "p99_ms": None if first is None else round(first.p99, 1),
        }
    return rows


def edits(server: Server, submit: Callable[[str, str], object], *, num: int) -> float:
    """Return the median seconds from handing in a text to finding it."""
    say("  edits")
    waits = []
    for _ in range(num):
        word = "q" + uuid.uuid4().hex[:12]
        started = time.perf_counter()
        submit(word, f"The code word is {word} today.")
        while not _finds(server, word):
            if time.perf_counter() - started > 60:
                raise SystemExit("an edit was not searchable after 60 s")
        waits.append(time.perf_counter() - started)
    return round(statistics.median(waits), 3)


def _finds(server: Server, word: str) -> bool:
    hits = server.post(server.path, {"query": f"code word {word}", "k": 10})["hits"]
    return any(word in hit["text"] for hit in hits)


def measure_server(
    server: Server,
    scale: Scale,
    *,
    answers: tuple[str, dict[str, Any]],
    submit: Callable[[str, str], object],
) -> dict[str, Any]:
    """Measure a server; `answers` is its path for answers and what goes with a question.

    No question is asked twice: what is compared is the work, not who remembers it.
    """
    say(f"  answers after {server.start_s:.1f} s; at rest")
    questions = iter(data.distinct_questions())
    return {
        "start_to_first_answer_s": round(server.start_s, 2),
        "rest_mb": round(server.rest_mb()),
        "search": searches(server, questions, scale),
        "first_token": first_tokens(server, questions, scale, answers),
        "edit_to_searchable_p50_s": edits(server, submit, num=scale.num_edits),
        "rest_after_load_mb": round(server.rest_mb()),
    }


def measure_ours(chunks: Path, scale: Scale, llm: str) -> dict[str, Any]:
    say("steelyard")
    home = _home(chunks)
    port = free_port()
    command = steelyard("serve", "--home", str(home), "--port", str(port), "--json", *WHOLE)
    server = Server([*command, "--llm-url", llm, "--llm-model", "mock"], port)

    def submit(word: str, text: str) -> object:
        return server.post(f"/v1/documents/{word}", {"text": text}, method="PUT")

    try:
        answers = ("/v1/query", {"stream": True})
        result = measure_server(server, scale, answers=answers, submit=submit)
        status = server.post("/v1/status", None, method="GET")
        return {"about": {"search": "hybrid, weighted RRF"}, "status": status, **result}
    finally:
        server.stop()


def _home(chunks: Path) -> Path:
    """Return a home with the chunks, one page each; that of serving.py if it is the same."""
    rows = [json.loads(line) for line in chunks.read_text(encoding="utf-8").splitlines()]
    if len(rows) == NUM_CHUNKS:
        pages, home = PAGES, HOME
    else:
        pages, home = OUT / f"peers-pages-{len(rows)}", OUT / f"peers-home-{len(rows)}"
    if not (home / "steelyard.db").exists():
        write_pages(pages, rows)
        ingest(pages, home)
    return home


def measure_peer(
    name: str, python: Path, given: Sequence[str], scale: Scale, llm: str, *, threads_of: str
) -> dict[str, Any]:
    """Measure a peer with each number of maths threads."""
    runs = {}
    for threads in threads_of.split(","):
        say(f"{name}, {threads} maths threads")
        port = free_port()
        command = [str(python), str(PEERS / f"{name}_server.py"), *given, str(port), llm]
        env = {"OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        server = Server(command, port, path="/search", env=env)

        def submit(word: str, text: str, server: Server = server) -> object:
            return server.post("/chunks", [{"id": word, "text": text}], method="PUT")

        try:
            assert server.process.stdout is not None
            about = json.loads(server.process.stdout.readline())
            result = measure_server(server, scale, answers=("/answer", {}), submit=submit)
            runs[threads] = {"about": about, **result}
        finally:
            server.stop()
    return {"by_maths_threads": runs, "better": better(list(runs.values()))}


def better(runs: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Return the best figure of any run, each by itself: the peer's better side throughout."""
    best: dict[str, float | None] = {}
    for name, figure, more in FIGURES:
        values = [value for run in runs if (value := figure(run)) is not None]
        best[name] = None if not values else max(values) if more else min(values)
    return best


def chunks_file(num: int) -> Path:
    """Return `num` of the chunks, spread evenly, as serving.py takes them."""
    lines = data.chunks_path().read_text(encoding="utf-8").splitlines()
    num = min(num, len(lines))
    path = OUT / f"peers-chunks-{num}.jsonl"
    step = len(lines) / num
    text = "".join(lines[int(n * step)] + "\n" for n in range(num))
    path.write_text(text, encoding="utf-8")
    return path


def vectors_file(chunks: Path, python: Path, model: str) -> Path:
    """Return the chunks' vectors by sentence-transformers, made once, in any peer's environment."""
    path = chunks.with_suffix(".npy")
    num = len(chunks.read_text(encoding="utf-8").splitlines())
    if not path.exists() or len(np.load(path, mmap_mode="r")) != num:
        script = str(PEERS / "embed_chunks.py")
        subprocess.run([str(python), script, model, str(chunks), str(path)], check=True)
    return path


def python_of(venvs: Path, name: str) -> Path:
    python = venvs / name / "bin" / "python"
    if not python.exists():
        raise SystemExit(
            f"{name} has no environment at {python}; bench/README.md says how to make it"
        )
    return python


def show(figures: dict[str, dict[str, float | None]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in figures:
        table.add_column(name, justify="right")
    for what, _, _ in FIGURES:
        cells = [figures[name].get(what) for name in figures]
        table.add_row(what, *("–" if value is None else f"{value:,.4g}" for value in cells))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=",".join(NAMES), help="which, with commas")
    parser.add_argument(
        "--venvs", type=Path, required=True, help="the folder of their environments"
    )
    parser.add_argument("--quick", action="store_true", help="fewer chunks and requests")
    parser.add_argument("--threads", default=",".join(THREADS), help="maths threads of the peers")
    parser.add_argument("--chunks", type=int, help=f"how many ({NUM_CHUNKS:,})")
    options = parser.parse_args()
    names = [name for name in options.peers.split(",") if name]
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise SystemExit(f"--peers {', '.join(unknown)}: known are {', '.join(NAMES)}")
    pythons = {name: python_of(options.venvs, name) for name in names}
    scale = QUICK if options.quick else FULL
    chunks = chunks_file(options.chunks or (QUICK_CHUNKS if options.quick else NUM_CHUNKS))
    model = str(find_model("all-MiniLM-L6-v2"))
    result: dict[str, Any] = {"num_chunks": int(chunks.stem.split("-")[-1]), "quick": options.quick}
    figures: dict[str, dict[str, float | None]] = {}
    with MockModel(ttft_ms=TTFT_MS) as llm:
        ours = measure_ours(chunks, scale, llm.url)
        figures["steelyard"] = better([ours])
        result |= {"steelyard": ours, "peers": {}, "figures": figures}
        for name in names:
            given = [model, str(chunks), str(vectors_file(chunks, pythons[name], model))]
            found = measure_peer(
                name, pythons[name], given, scale, llm.url, threads_of=options.threads
            )
            result["peers"][name], figures[name] = found, found["better"]
            write_result("peers", result, quiet=True)
    write_result("peers", result, quiet=True)
    show(figures)


if __name__ == "__main__":
    main()
