"""Two processes reach the loss of one: the same global batch, shared."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tune.tiny import retrieval_rows, write_base

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def losses(folder: Path, kind: str, *, processes: int) -> list[float]:
    launch = ["-m", "steelyard.tune"]
    if processes > 1:
        launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_machines", "1",
                  "--num_processes", str(processes), "--mixed_precision", "no",
                  "--dynamo_backend", "no", "--main_process_ip", "127.0.0.1",
                  "--main_process_port", str(free_port()), "-m", "steelyard.tune"]  # fmt: skip
    out = folder / f"{kind}-{processes}"
    subprocess.run(
        [sys.executable, "-W", "ignore", *launch, str(folder / f"{kind}.yaml"), "--out", str(out)],
        check=True, capture_output=True, cwd=ROOT, timeout=600,
    )  # fmt: skip
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines if '"loss"' in line]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embedder", "reranker"])
def test_two_processes_reach_the_loss_of_one(kind, tmp_path):
    write_base(tmp_path / "tiny", dropout=0.0)
    rows = [
        {"query": row.example.query, "positives": row.example.positives,
         "negatives": row.example.negatives}
        for row in retrieval_rows(32)
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "train.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / f"{kind}.yaml").write_text(
        f"kind: {kind}\nbase: {tmp_path / 'tiny'}\nmax_tokens: 32\nthreads: 1\n"
        "data: {train: train.jsonl}\n"
        "train: {steps: 8, batch_size: 8, accumulate: 2, lr: 0.003, device: cpu}\n",
        encoding="utf-8",
    )
    alone = losses(tmp_path, kind, processes=1)
    together = losses(tmp_path, kind, processes=2)
    assert len(alone) == 8
    assert together == pytest.approx(alone, rel=1e-4)
