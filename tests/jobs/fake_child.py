"""A training run without training: writes the files that a real one writes, step by step.

fake_child.py FOLDER NUM_STEPS [--resume] [--fail AT] [--die AT] [--wait FILE]
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("num_steps", type=int)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--fail", type=int, default=-1)
    parser.add_argument("--die", type=int, default=-1)
    parser.add_argument("--wait", type=Path, help="go past the second step once it is there")
    parser.add_argument("--kind", default="reranker")
    parser.add_argument("--refuse", action="store_true", help="the recipe is wrong")
    given = parser.parse_args()
    if given.refuse:
        sys.stderr.write("a warning\nsteelyard: the recipe is wrong:\n  train.lr: too large\n")
        return 2
    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    step = json.loads((folder / "state.json").read_text())["step"] if given.resume else 0
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))

    def tell(state: str, error: str = "") -> None:
        fields = {
            "state": state, "kind": "llm", "step": step, "num_steps": given.num_steps,
            "started_at": time.time(), "updated_at": time.time(), "ended_at": None,
            "error": error, "pid": os.getpid(), "dataset": "abc",
        }  # fmt: skip
        beside = folder / ".state.json"
        beside.write_text(json.dumps(fields))
        beside.replace(folder / "state.json")

    tell("running")
    sys.stderr.write(f"begins at step {step}\n")
    while step < given.num_steps:
        if stopping:
            tell("interrupted")
            return 3
        if step == given.fail:
            tell("failed", "the loss is not a number at step 2")
            return 1
        if step == given.die:
            sys.stderr.write("terminate called without an active exception\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if step == 2 and given.wait is not None and not given.wait.exists():
            time.sleep(0.01)
            continue
        step += 1
        row = {"step": step, "loss": 1 / step, "lr": 1e-4, "grad_norm": 1.0, "tokens": 8 * step,
               "examples": step, "at": time.time()}  # fmt: skip
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
            if step % 2 == 0:
                found = {"step": step, "at": time.time(), "eval": {"loss": 0.5 / step}}
                file.write(json.dumps(found) + "\n")
        tell("running")
    artefact = folder / "artefact"
    artefact.mkdir(exist_ok=True)
    base = {"name": "base", "weights_sha256": "a" * 64, "tokenizer_sha256": "b" * 64}
    binding = {"format": 1, "kind": given.kind, "base": base, "method": "lora", "max_tokens": 64}
    (artefact / "steelyard.json").write_text(json.dumps(binding))
    (artefact / "adapter_model.safetensors").write_bytes(given.folder.name.encode())
    (folder / "accounting.json").write_text(json.dumps({"kept": 800, "truncated": 3}))
    tell("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
