"""Building a model's graph before it is loaded, in a process of its own.

Merging and quantising is Python for seconds. A thread of low priority that holds the interpreter's
lock would make every question wait for its turn; a process does not. What it builds is kept by
content hash, where the server then finds it.
"""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from dataclasses import asdict, replace

from steelyard.embed import EmbedOptions
from steelyard.infra.quiet import ONE_THREAD
from steelyard.parts import make_embedder, make_reranker
from steelyard.rerank import RerankOptions, is_endpoint
from steelyard.settings import Settings

log = logging.getLogger(__name__)

WITHIN_S = 600.0
RERANKER, EMBEDDER = "reranker", "embedder"
# Quiet before anything is imported, which takes a second of a core. Not SCHED_IDLE, which a server
# that is never idle would let wait for ever.
_QUIETLY = """
import contextlib, os, runpy
with contextlib.suppress(AttributeError, OSError):
    os.nice(19)
runpy.run_module("steelyard.ahead", run_name="__main__")
"""


async def build_ahead(what: str, settings: Settings) -> None:
    """Build what `settings` name; whatever goes wrong is told when it is loaded here."""
    if what == RERANKER and (not settings.rerank.model or is_endpoint(settings.rerank.model)):
        return
    told = {"what": what, "rerank": asdict(settings.rerank), "embed": asdict(settings.embed)}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _QUIETLY,
        env=os.environ | ONE_THREAD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            await child.communicate(json.dumps(told).encode())
    except TimeoutError:
        log.warning("built_ahead_too_slowly what=%s", what)
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def main() -> None:
    """Build what standard input names, and end."""
    told = json.loads(sys.stdin.read())
    settings = replace(
        Settings(), rerank=RerankOptions(**told["rerank"]), embed=EmbedOptions(**told["embed"])
    )
    if told["what"] == RERANKER:
        make_reranker(settings)
    else:
        make_embedder(settings)
    sys.stdout.flush()
    os._exit(0)  # its threads have nothing to finish


if __name__ == "__main__":
    main()
