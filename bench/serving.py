"""Speed and memory of a whole server, against the bare parts in the same run.

    python bench/serving.py --peer-python PATH [--quick]

`PATH` is an interpreter with torch, sentence-transformers, bm25s, PyStemmer, starlette and
uvicorn (see bench/README.md). Both servers index the same corpus (bench/data.py) with the same
model; they are measured in turns, never at once. Writes bench/out/serving.json.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import data
import numpy as np
from machine import OUT, write_result
from servers import Server, free_port, row, steelyard

from steelyard.infra.models import find_model

PEERS = Path(__file__).parent / "peers"
HOME = OUT / "serving-home"
PAGES = OUT / "serving-pages"
NUM_CHUNKS = 16_000
INGEST_SAMPLE = 1_500
WHOLE = ("--set", "chunk.max_tokens=256")  # a window of 800 characters stays one chunk
PEER_SAMPLE = 400


def searches(server: Server, num: int) -> dict[str, Any]:
    """Measure searches; no question is asked twice, so that no memory of them counts."""
    questions = iter(data.distinct_questions())
    server.load(server.path, _bodies(questions, 60), clients=2)  # warm
    return {
        str(clients): row(
            server.load(server.path, _bodies(questions, num), clients=clients), clients=clients
        )
        for clients in (1, 8, 32)
    }


def _bodies(questions: Iterator[str], num: int) -> list[object]:
    return [{"query": question, "k": 10} for question in islice(questions, num)]


def our_stages(server: Server, questions: Sequence[str]) -> dict[str, float]:
    """Return the median of each stage, ms, of sequential searches."""
    timings: dict[str, list[float]] = {}
    for question in questions:
        usage = server.post("/v1/search", {"query": question, "k": 10})["usage"]
        for stage, took_ms in usage["timings_ms"].items():
            timings.setdefault(stage, []).append(took_ms)
        rest = usage["timings_ms"]["total"] - usage["timings_ms"]["embed"]
        timings.setdefault("total_without_embed", []).append(rest)
    return {stage: round(statistics.median(values), 3) for stage, values in timings.items()}


def rows() -> list[dict[str, str]]:
    """Return every n-th 800-character window, so that both servers hold the same chunks."""
    lines = data.chunks_path().read_text(encoding="utf-8").splitlines()
    step = len(lines) / min(NUM_CHUNKS, len(lines))
    return [json.loads(lines[int(n * step)]) for n in range(min(NUM_CHUNKS, len(lines)))]


def same_chunks() -> Path:
    path = OUT / "serving-chunks.jsonl"
    path.write_text("".join(json.dumps(chunk) + "\n" for chunk in rows()), encoding="utf-8")
    return path


def write_pages(folder: Path, chunks: Sequence[dict[str, str]]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, chunk in enumerate(chunks):
        (folder / f"{number:05}.txt").write_text(chunk["text"], encoding="utf-8")


def ingest(folder: Path, home: Path) -> float:
    """Ingest a folder with the command line and return the seconds, process start included."""
    started = time.perf_counter()
    subprocess.run(
        steelyard("ingest", str(folder), "--home", str(home), "--json", *WHOLE),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def ingest_rate() -> float:
    """Return chunks/s of ingesting the first files into a fresh home."""
    folder, home = OUT / "ingest-pages", OUT / "ingest-home"
    shutil.rmtree(home, ignore_errors=True)
    sample = rows()[:INGEST_SAMPLE]
    write_pages(folder, sample)
    return len(sample) / ingest(folder, home)


def freshness(server: Server, *, rounds: int) -> dict[str, float]:
    """Return seconds from saving a watched file to finding it, and sightings after a delete."""
    path = PAGES / "zz-edited.md"
    waits, sightings = [], 0
    for _ in range(rounds):
        word = "q" + uuid.uuid4().hex[:12]
        path.write_text(f"# Freshness\n\nThe code word is {word} today.\n", encoding="utf-8")
        started = time.perf_counter()
        while True:
            hits = server.post("/v1/search", {"query": f"code word {word}", "k": 3})["hits"]
            if any(word in hit["text"] for hit in hits):
                break
            if time.perf_counter() - started > 30:
                raise SystemExit("an edit was not searchable after 30 s")
        waits.append(time.perf_counter() - started)
        path.unlink()
        hits = server.post("/v1/search", {"query": f"code word {word}", "k": 3})["hits"]
        sightings += any(word in hit["text"] for hit in hits)
        time.sleep(0.3)
    waits.sort()
    return {
        "edit_to_searchable_p50_s": round(statistics.median(waits), 3),
        "edit_to_searchable_p95_s": round(waits[int(len(waits) * 0.95) - 1], 3),
        "seen_after_delete": sightings,
    }


def measure_ours(questions: Sequence[str], *, num: int) -> dict[str, Any]:
    rate = ingest_rate()
    if not (HOME / "steelyard.db").exists():
        write_pages(PAGES, rows())
        ingest(PAGES, HOME)
    port = free_port()
    words = ("serve", str(PAGES), "--home", str(HOME), "--port", str(port), "--json", *WHOLE)
    server = Server(steelyard(*words), port)
    try:
        time.sleep(10)  # the first look at the files is over
        status = server.post("/v1/status", None, method="GET")
        result = {
            "num_chunks": status["num_chunks"],
            "chunks_per_s": round(rate, 1),
            "start_to_first_answer_s": round(server.start_s, 2),
            "rest_mb": round(server.rest_mb()),
            "stages_ms": our_stages(server, questions),
            "search": searches(server, num),
            **freshness(server, rounds=20),
        }
        result["rest_after_load_mb"] = round(server.rest_mb())
        return result
    finally:
        server.stop()


def peer_vectors(python: str, chunks: Path, model: str) -> Path:
    """Return the chunks' vectors by the peer's encoder, made once."""
    path = OUT / "serving-chunks.npy"
    num = len(chunks.read_text(encoding="utf-8").splitlines())
    if not path.exists() or len(np.load(path, mmap_mode="r")) != num:
        script = str(PEERS / "embed_chunks.py")
        subprocess.run([python, script, model, str(chunks), str(path)], check=True)
    return path


def encoder_rate(python: str, chunks: Path, model: str) -> float:
    """Return chunks/s of the peer's encoder over a sample, as it would ingest them."""
    sample, out = OUT / "serving-sample.jsonl", OUT / "serving-sample.npy"
    lines = chunks.read_text(encoding="utf-8").splitlines()[:PEER_SAMPLE]
    sample.write_text("\n".join(lines) + "\n", encoding="utf-8")
    script = str(PEERS / "embed_chunks.py")
    command = [python, script, model, str(sample), str(out), "--rate"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def measure_peer(python: str, *, num: int) -> dict[str, Any]:
    port = free_port()
    model = str(find_model("all-MiniLM-L6-v2"))
    chunks = same_chunks()
    rate = encoder_rate(python, chunks, model)
    script = str(PEERS / "parts_server.py")
    vectors = str(peer_vectors(python, chunks, model))
    command = [python, script, model, str(chunks), vectors, str(port), "http://127.0.0.1:9/v1"]
    env = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    server = Server(command, port, path="/search", env=env)
    try:
        updates = []
        for _ in range(5):
            word = "q" + uuid.uuid4().hex[:12]
            started = time.perf_counter()
            edit = {"id": word, "text": f"The code word is {word} today."}
            server.post("/chunks", [edit], method="PUT")
            updates.append(time.perf_counter() - started)
        return {
            "chunks_per_s": round(rate, 1),
            "start_to_first_answer_s": round(server.start_s, 2),
            "rest_mb": round(server.rest_mb()),
            "edit_to_searchable_p50_s": round(statistics.median(updates), 3),
            "search": searches(server, num),
        }
    finally:
        server.stop()


def ratios(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, float]:
    found = {
        "ingest_chunks_per_s": ours["chunks_per_s"] / peer["chunks_per_s"],
        "search_1_client_p50": peer["search"]["1"]["p50_ms"] / ours["search"]["1"]["p50_ms"],
        "rest_mb": peer["rest_mb"] / ours["rest_mb"],
        "start": peer["start_to_first_answer_s"] / ours["start_to_first_answer_s"],
        "edit": peer["edit_to_searchable_p50_s"] / ours["edit_to_searchable_p50_s"],
    }
    for clients in ("8", "32"):
        per_s = (ours["search"][clients]["per_s"], peer["search"][clients]["per_s"])
        found[f"searches_per_s_{clients}_clients"] = per_s[0] / per_s[1]
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    options = parser.parse_args()
    questions = data.questions()[:100]
    num = 300 if options.quick else 1500
    ours = measure_ours(questions, num=num)
    peer = measure_peer(options.peer_python, num=max(num // 5, 100))
    write_result("serving", {"ours": ours, "peer": peer, "ratios": ratios(ours, peer)})


if __name__ == "__main__":
    main()
