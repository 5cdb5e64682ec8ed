"""The child process behind `gguf`: llama.cpp's OpenAI-style server on a loopback port.

Run as `python -m steelyard.generate.gguf_server MODEL THREADS CONTEXT_TOKENS`. The first line
on stdout is a JSON object: {"url": ...} or {"error": ...}. It ends when stdin does, so it
never outlives its parent.
"""

import json
import sys

SLOTS = 2  # answers written at the same time


def main() -> int:
    path, threads, context_tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        import xllamacpp
    except ImportError as error:
        return _say({"error": f"xllamacpp cannot be loaded: {error}"}, 3)
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {path.rsplit("/", 1)[-1]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = context_tokens * SLOTS
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        return _say({"error": str(error)}, 4)
    _say({"url": f"{server.listening_address}/v1"}, 0)
    sys.stdin.buffer.read()
    return 0


def _say(fact: dict[str, str], code: int) -> int:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
