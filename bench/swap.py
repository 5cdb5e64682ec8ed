"""Promotions and rollbacks under load: does anybody notice?

    python bench/swap.py [--requests 10000] [--cycles 20] [--clients 2] [--seconds 240] [--options]

A server answers distinct questions over the handbook with a reranker; another process promotes a
new version (a LoRA adapter that the server has never seen: merged, quantised, checked, loaded) and
rolls it back, over and over. Requests that ran while one of that was under way are compared with
those that did not, in the same run. Asked for: 0 failed, p99 at most 1.2 times the
steady one, a flip within 100 ms, a rollback within 1 s. Writes bench/out/swap.json.

The reranker is made here, of the embedder's weights cut to two layers and a random head: what it
scores is worth nothing, what it costs is real. With `--options` a version changes an option of
searching instead, and nothing is loaded.
"""

import argparse
import http.client
import json
import random
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from machine import write_result
from safetensors.numpy import load_file, save_file
from servers import Server, free_port, steelyard

from steelyard.core.registry import OPTIONS_KIND, Version
from steelyard.infra.models import DEFAULT_MODEL, find_model
from steelyard.store import DATABASE, Store

HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"
LAYERS, RANK, POOL = 2, 8, 4
POLL_S = 0.005
REST_S = 1.0  # between a promotion and its rollback
PATIENCE_S = 60.0


def get(server: Server, path: str) -> dict[str, Any]:
    return server.post(path, None, method="GET")


def questions() -> Iterator[str]:
    """Yield distinct questions made of the handbook's own words."""
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(HANDBOOK.rglob("*.md")))
    words = sorted(set(re.findall(r"[A-Za-z][a-z]{4,}", text)))
    chance = random.Random(7)
    seen: set[str] = set()
    while True:
        one, other = chance.sample(words, 2)
        if (asked := f"What does the handbook say about {one} and {other}?") not in seen:
            seen.add(asked)
            yield asked


def write_reranker(path: Path) -> Path:
    """Write the embedder's lowest layers as a cross-encoder with a head of chance."""
    base = find_model(DEFAULT_MODEL)
    shutil.copytree(base, path, ignore=shutil.ignore_patterns("*.safetensors", "*.onnx", "*.bin"))
    config = json.loads((path / "config.json").read_text()) | {"num_hidden_layers": LAYERS}
    (path / "config.json").write_text(json.dumps(config))
    gone = tuple(f"encoder.layer.{n}." for n in range(LAYERS, 100))
    tensors = {k: v for k, v in load_file(base / "model.safetensors").items() if k[0:1] != "_"}
    tensors = {k: v for k, v in tensors.items() if not k.removeprefix("bert.").startswith(gone)}
    rng = np.random.default_rng(0)
    hidden = config["hidden_size"]
    tensors["classifier.weight"] = rng.normal(0, 0.2, (1, hidden)).astype(np.float32)
    tensors["classifier.bias"] = np.zeros(1, np.float32)
    save_file(tensors, path / "model.safetensors")
    return path


def write_adapter(path: Path, *, seed: int, hidden: int = 384) -> Path:
    path.mkdir()
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer in range(LAYERS):
        for name in ("query", "value"):
            key = f"base_model.model.encoder.layer.{layer}.attention.self.{name}"
            tensors[f"{key}.lora_A.weight"] = rng.normal(0, 0.05, (RANK, hidden)).astype("f4")
            tensors[f"{key}.lora_B.weight"] = rng.normal(0, 0.05, (hidden, RANK)).astype("f4")
    save_file(tensors, path / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 16}
    config |= {"target_modules": ["query", "value"]}
    (path / "adapter_config.json").write_text(json.dumps(config))
    return path


@dataclass
class Cycles:
    """What the promoting process saw, in seconds from its commit to what serves."""

    promoted_s: list[float] = field(default_factory=list)
    rolled_back_s: list[float] = field(default_factory=list)
    flip_ms: list[float] = field(default_factory=list)
    warm: int = 0
    refused: list[str] = field(default_factory=list)


def cycle(
    asking: "Asking", store: Store, named: str, options: dict[str, Any], seen: Cycles
) -> list[tuple[float, float]]:
    """Promote one version, and roll it back once it serves; return when that was under way.

    What serves is told by the answers, so that looking for it costs the server nothing.
    """
    windows = []
    store.register_version(Version(named, named, OPTIONS_KIND, options), who="bench")
    for act, times in (
        (lambda: store.promote_version(named, who="bench"), seen.promoted_s),
        (lambda: store.roll_back(who="bench"), seen.rolled_back_s),
    ):
        before, started = asking.bundle, time.perf_counter()
        act()
        while asking.bundle == before and time.perf_counter() - started < PATIENCE_S:
            time.sleep(POLL_S)
        served = time.perf_counter()
        windows.append((started, served))
        told = get(asking.server, "/v1/operations?window_s=10")["serving"]
        if asking.bundle == before:
            seen.refused.append(str(told["refused"]))
            return windows
        times.append(served - started)
        seen.flip_ms.append(told["last_swap"]["flip_ms"])
        seen.warm += told["last_swap"]["warm"]
        time.sleep(REST_S)
    return windows


@dataclass(frozen=True)
class Asked:
    began: float
    ended: float
    failed: bool


class Asking:
    """Clients that ask distinct questions over kept-alive connections until they are stopped."""

    def __init__(self, server: Server, *, clients: int, most: int) -> None:
        self.server = server
        self.bundle = ""  # of the newest answer
        self._questions = questions()
        self._lock = threading.Lock()
        self._most = most
        self.asked: list[Asked] = []
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def enough(self) -> bool:
        return len(self.asked) >= self._most

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while not self.stopping.is_set():
            with self._lock:
                body = json.dumps({"query": next(self._questions)})
            began = time.perf_counter()
            try:
                headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
                connection.request("POST", "/v1/query", body, headers)
                reply = connection.getresponse()
                told = json.loads(reply.read())
                failed = reply.status != 200
                self.bundle = told["bundle"]
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                failed = True
                connection.close()
            self.asked.append(Asked(began, time.perf_counter(), failed))


def row(asked: list[Asked]) -> dict[str, Any]:
    took_ms = np.array([one.ended - one.began for one in asked]) * 1000
    p50, p95, p99 = np.percentile(took_ms, [50, 95, 99], method="inverted_cdf")
    return {
        "asked": len(asked),
        "failed": sum(one.failed for one in asked),
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(took_ms.max()), 2),
    }


def measure(server: Server, folder: Path, store: Store, args: argparse.Namespace) -> dict[str, Any]:
    seen = Cycles()
    windows: list[tuple[float, float]] = []
    ended = time.perf_counter() + args.seconds
    with Asking(server, clients=args.clients, most=args.requests) as asking:
        while not asking.bundle:
            time.sleep(POLL_S)
        for at in range(args.cycles):
            if time.perf_counter() > ended:
                break
            named = f"version-{at:03}"
            options: dict[str, Any] = {"retrieve.pool": 51 + at}
            if not args.options:
                options = {"rerank.adapter": str(write_adapter(folder / named, seed=at))}
            windows += cycle(asking, store, named, options, seen)
            time.sleep(REST_S)
        while not asking.enough and time.perf_counter() < ended:
            time.sleep(0.1)
    moving = [
        any(one.began < end and one.ended > begin for begin, end in windows) for one in asking.asked
    ]
    moved = row([one for one, moves in zip(asking.asked, moving, strict=True) if moves])
    calm = row([one for one, moves in zip(asking.asked, moving, strict=True) if not moves])
    return {
        "cycles": len(seen.rolled_back_s),
        "steady": calm,
        "swapping": moved,
        "p99_ratio": round(moved["p99_ms"] / calm["p99_ms"], 3),
        "p50_ratio": round(moved["p50_ms"] / calm["p50_ms"], 3),
        "promoted_s": spread(seen.promoted_s),
        "rolled_back_s": spread(seen.rolled_back_s),
        "flip_ms": spread(seen.flip_ms),
        "warm": seen.warm,
        "refused": seen.refused,
        "asked_for": {"failed": 0, "p99_ratio": 1.2, "flip_ms": 100, "rolled_back_s": 1},
    }


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 3),
        "most": round(float(np.max(values)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--options", action="store_true", help="versions without a model")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steelyard-swap-") as name:
        folder = Path(name)
        model, home, port = write_reranker(folder / "model"), folder / "home", free_port()
        home.mkdir()
        toml = '[cache]\nmode = "off"\n'
        if not args.options:
            toml += f'[rerank]\nmodel = "{model}"\npool = {POOL}\n'
        (home / "settings.toml").write_text(toml)
        words = ("--home", str(home), "--port", str(port))
        server = Server(steelyard("serve", *words, str(HANDBOOK)), port)
        try:
            while get(server, "/v1/status")["states"].get("searchable", 0) < 60:
                time.sleep(0.5)
            with Store.open(home / DATABASE) as store:
                result = measure(server, folder, store, args)
        finally:
            server.stop()
    write_result("swap", {"arguments": vars(args), **result})


if __name__ == "__main__":
    main()
