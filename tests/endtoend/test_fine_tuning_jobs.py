"""A language model learns from preferences through the official client: server, queue and child all
as they are; what comes out is a version of the registry."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.tiny_llm import make_tiny_llm

pytest.importorskip("peft")
pytestmark = pytest.mark.slow
WITHIN_S = 240  # only so that a fault is no endless loop


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[openai.OpenAI, Path]]:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/settings.toml").write_text('[embed]\nmodel = "hashing"\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "steelyard", "--home", str(tmp_path / "home"), "serve",
         "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if line == "}\n":
            break
    url = json.loads(told)["url"]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client, tmp_path / "home"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def preference(n: int) -> dict[str, object]:
    return {
        "input": {"messages": [{"role": "user", "content": f"Where is crane {n}?"}]},
        "preferred_output": [{"role": "assistant", "content": f"The crane number is {n}."}],
        "non_preferred_output": [{"role": "assistant", "content": "Nobody answers."}],
    }


def test_preferences_become_a_registered_version(server, tmp_path: Path):
    client, home = server
    base = make_tiny_llm(tmp_path / "base")
    rows = "".join(json.dumps(preference(n)) + "\n" for n in range(8)).encode()
    stored = client.files.create(file=("pairs.jsonl", rows), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=str(base),
        training_file=stored.id,
        method={"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.2}}},
        extra_body={"steelyard": {"recipe": {
            "max_tokens": 64, "lora": {"rank": 2}, "train": {"batch_size": 4},
        }}},
    )  # fmt: skip
    ends = time.monotonic() + WITHIN_S
    while job.status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < ends, job
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded", job.error
    assert job.trained_tokens > 0
    shown = subprocess.run(
        [sys.executable, "-m", "steelyard", "--home", str(home), "registry", "show",
         job.fine_tuned_model, "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout)["kind"] == "llm"
    table = client.files.content(job.result_files[0]).read().decode().splitlines()
    assert len(table) > 1
