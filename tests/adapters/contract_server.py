"""A model server that loads adapters as vLLM and SGLang do, over a real tiny model, and that can
have each fault that was reported of them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from steelyard.infra.causal import CausalModel, load_causal

BASE = "tiny-base"


@cache
def _loaded(base: Path, adapter: Path | None) -> CausalModel:
    return load_causal(base, adapter=adapter)


@dataclass
class Faults:
    """`no_op`: a load is confirmed and does nothing. `sticky`: a name keeps what it first loaded.
    `unlisted`: a load is confirmed and forgotten. `no_runtime`: adapters are not taken at all."""

    no_op: bool = False
    sticky: bool = False
    unlisted: bool = False
    no_runtime: bool = False
    no_logprobs: bool = False


@dataclass
class ContractServer:
    base: Path
    max_rank: int = 16
    sglang: bool = False
    faults: Faults = field(default_factory=Faults)
    adapters: dict[str, Path] = field(default_factory=dict)
    first_loaded: dict[str, Path] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    url: str = ""

    def model(self, name: str) -> CausalModel:
        if self.sglang:
            name = name.partition(":")[2] or BASE
        adapter = None
        if name in self.adapters and not self.faults.no_op:
            adapter = self.first_loaded[name] if self.faults.sticky else self.adapters[name]
        return _loaded(self.base, adapter)

    def load(self, name: str, path: str) -> tuple[int, str]:
        self.loads.append(name)
        if not (Path(path) / "adapter_config.json").is_file():
            return 404, f"No adapter found for {path}"
        rank = json.loads((Path(path) / "adapter_config.json").read_text())["r"]
        if self.max_rank and rank > self.max_rank:
            return 400, f"LoRA rank {rank} is greater than max_lora_rank {self.max_rank}."
        self.first_loaded.setdefault(name, Path(path))
        if not self.faults.unlisted:
            self.adapters[name] = Path(path)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        verb = path.removeprefix("/v1/").removeprefix("/")
        at_root = not path.startswith("/v1/")
        if verb in ("load_lora_adapter", "unload_lora_adapter"):
            if self.faults.no_runtime or at_root != self.sglang:
                return 404, {"detail": "Not Found"}
            if verb.startswith("unload"):
                self.adapters.pop(body["lora_name"], None)
                return 200, {"success": True} if self.sglang else "Success"
            status, said = self.load(body["lora_name"], body["lora_path"])
            if not self.sglang:
                return status, said if status == 200 else {"error": {"message": said}}
            return status, {"success": status == 200, "error_message": said}
        if verb == "completions":
            return self.complete(body)
        return 404, {"detail": "Not Found"}

    def complete(self, body: dict[str, Any]) -> tuple[int, Any]:
        known = {BASE, *(f"{BASE}:{one}" if self.sglang else one for one in self.adapters)}
        if body["model"] not in known:
            return 404, {"error": {"message": f"The model {body['model']!r} does not exist."}}
        top = self.model(body["model"]).likeliest_after(body["prompt"], count=body["logprobs"])
        choice: dict[str, Any] = {"text": next(iter(top)), "logprobs": {"top_logprobs": [top]}}
        if self.faults.no_logprobs:
            choice["logprobs"] = None
        return 200, {"choices": [choice]}

    def cards(self) -> dict[str, Any]:
        cards: list[dict[str, Any]] = [{"id": BASE, "root": str(self.base), "parent": None}]
        cards += [
            {"id": name, "root": str(path), "parent": BASE} for name, path in self.adapters.items()
        ]
        return {"object": "list", "data": cards}


@contextmanager
def running(server: ContractServer) -> Iterator[ContractServer]:
    """Serve on a free loopback port while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(200, server.cards())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._say(*server.answer(self.path, body))

        def _say(self, status: int, content: Any) -> None:
            text = content if isinstance(content, str) else json.dumps(content)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
