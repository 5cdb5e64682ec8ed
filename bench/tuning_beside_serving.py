"""What a training job does to the answers beside it: p95 with and without it, in turns.

    python bench/tuning_beside_serving.py [--rounds 6] [--block 60]

A real server over the handbook, a real job sent to its `/v1/fine_tuning/jobs` (a classifier on
the shipped encoder), and questions that no cache answers. The job's child is stopped (SIGSTOP)
for every other block of questions, so that both sides see the same minutes of the machine; the
order within a round changes. The steps that were trained within the blocks prove that it ran.
Writes bench/out/tuning_beside_serving.json.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from machine import OUT, write_result
from servers import Server, free_port, steelyard

HOME = OUT / "tuning-home"
HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"
JOBS = "/v1/fine_tuning/jobs"
LABELS = ("leave", "pay", "travel", "office", "security", "tools")
BOUND = 1.2  # of p95 without training


def send_file(server: Server, content: bytes) -> str:
    """Upload rows to train on; return the file's id."""
    edge = uuid.uuid4().hex
    parts = (
        f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="rows.jsonl"\r\n\r\n'
    )
    body = parts.encode() + content + f"\r\n--{edge}--\r\n".encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v1/files",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={edge}"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return str(json.load(response)["id"])


def rows() -> bytes:
    draw = random.Random(7)
    words = (HANDBOOK / "questions.jsonl").read_text(encoding="utf-8").split()
    lines = []
    for _ in range(2_000):
        start = draw.randrange(len(words) - 20)
        text = " ".join(words[start : start + 20])
        lines.append(json.dumps({"text": text, "label": draw.choice(LABELS)}))
    return "\n".join(lines).encode()


def begin(server: Server) -> dict[str, Any]:
    """Send a job that outlasts the measuring, and wait until it has done a step."""
    body = {
        "model": "all-MiniLM-L6-v2",
        "training_file": send_file(server, rows()),
        "hyperparameters": {"n_epochs": 1000, "batch_size": 8},
    }
    job = server.post(JOBS, body)
    while job["steelyard"]["step"] < 2:
        if job["status"] in ("failed", "cancelled"):
            raise SystemExit(f"the job ended: {job['error']}")
        time.sleep(1)
        job = server.post(f"{JOBS}/{job['id']}", None, method="GET")
    return job


def standing(job: dict[str, Any]) -> dict[str, Any]:
    path = HOME / "tune" / "runs" / job["steelyard"]["run"] / "state.json"
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def block(server: Server, questions: list[str], *, clients: int) -> list[float]:
    """Return how long each answer took, ms."""
    bodies = [{"query": question} for question in questions]
    measured = server.load("/v1/query", bodies, clients=clients)
    if measured.summary.num_answered != len(bodies):
        raise SystemExit(f"not every question was answered: {dict(measured.summary.errors)}")
    return [float(sample.total_ms) for sample in measured.samples]


def rounds(server: Server, job: dict[str, Any], *, num: int, size: int, clients: int) -> Any:
    """Return latencies by side over all rounds, and the steps trained beside questions."""
    texts = [
        json.loads(line)["question"]
        for line in (HANDBOOK / "questions.jsonl").read_text("utf-8").splitlines()
    ]
    draw = random.Random(clients)
    warm = [{"query": text} for text in texts]  # what is remembered must not tell the sides apart
    server.load("/v1/query", warm, clients=clients, seconds=120)
    took: dict[str, list[float]] = {"alone": [], "beside": []}
    ratios: list[float] = []
    steps = 0
    for turn in range(num):
        questions = draw.sample(texts, min(size, len(texts)))
        now: dict[str, list[float]] = {}
        for side in ("alone", "beside") if turn % 2 else ("beside", "alone"):
            pid = standing(job)["pid"]
            os.kill(pid, signal.SIGCONT if side == "beside" else signal.SIGSTOP)
            time.sleep(0.3)
            before = standing(job)["step"]
            now[side] = block(server, questions, clients=clients)
            if side == "beside":
                steps += standing(job)["step"] - before
            took[side] += now[side]
        ratios.append(p95(now["beside"]) / p95(now["alone"]))
    return {
        "clients": clients,
        "questions": len(took["alone"]),
        "alone_p50_ms": round(float(np.percentile(took["alone"], 50)), 1),
        "beside_p50_ms": round(float(np.percentile(took["beside"], 50)), 1),
        "alone_p95_ms": round(p95(took["alone"]), 1),
        "beside_p95_ms": round(p95(took["beside"]), 1),
        "p95_ratio": round(p95(took["beside"]) / p95(took["alone"]), 3),
        "p95_ratio_by_round": [round(one, 2) for one in ratios],
        "steps_beside": steps,
        "kept": p95(took["beside"]) <= BOUND * p95(took["alone"]),
    }


def p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--block", type=int, default=60, help="questions in a block")
    given = parser.parse_args()
    shutil.rmtree(HOME, ignore_errors=True)
    port = free_port()
    command = [*steelyard("--home", str(HOME), "serve", "--port", str(port)), str(HANDBOOK)]
    server = Server(command, port, path="/v1/query")
    try:
        while server.post("/v1/status", None, method="GET")["states"].get("searchable", 0) < 50:
            time.sleep(1)
        job = begin(server)
        try:
            found = [
                rounds(server, job, num=given.rounds, size=given.block, clients=clients)
                for clients in (1, 4)
            ]
        finally:
            os.kill(standing(job)["pid"], signal.SIGCONT)  # a stopped child hears no signal
            server.post(f"{JOBS}/{job['id']}/cancel", {})
    finally:
        server.stop()
    write_result("tuning_beside_serving", {"load_average": os.getloadavg(), "rows": found})
    sys.exit(0 if all(row["kept"] for row in found) else 1)


if __name__ == "__main__":
    main()
