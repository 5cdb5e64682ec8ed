"""`steelyard serve`: the server, with a progress bar while it ingests."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Annotated

import typer
import uvicorn

from steelyard.app import App
from steelyard.cli import show
from steelyard.cli.endings import complain
from steelyard.cli.options import Home, Json, LlmGguf, LlmModel, LlmUrl, Set, opened
from steelyard.core.errors import SetupError
from steelyard.infra.concurrent import loop_factory
from steelyard.server import build, running, told_of_challenger

SHUTDOWN_S = 3
# How soon a thread that computes gives way to the event loop; Python's own 5 ms would be felt
# several times in every search.
SWITCH_S = 0.0005
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(
    ctx: typer.Context,
    paths: Annotated[list[str] | None, typer.Argument(help="files and folders to watch")] = None,
    home: Home = None,
    host: Annotated[str | None, typer.Option("--host", help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option("--port", "-p", help="port to listen on")] = None,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    llm_gguf: LlmGguf = None,
    cache_url: Annotated[
        str | None, typer.Option("--cache-url", help="a Redis or Valkey that replicas share")
    ] = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Ingest files and folders, keep watching them, and serve the page and the API.

    Examples:

        steelyard serve docs/

        steelyard serve --port 9000 --llm-url http://127.0.0.1:11434 --llm-model llama3.2 docs/
    """
    if "LOGLEVEL" not in os.environ:
        logging.getLogger().setLevel(logging.WARNING)  # a server's operator reads the log
    flags = {
        "serve.host": host,
        "serve.port": port,
        "llm.url": llm_url,
        "llm.model": llm_model,
        "llm.gguf": llm_gguf,
        "cache.url": cache_url,
    }
    with opened(ctx, home, flags, settings) as app:
        sys.setswitchinterval(SWITCH_S)
        sock = _listen(app.settings.serve.host, app.settings.serve.port)
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(_serve(app, paths or [], sock, as_json=as_json))
        finally:
            sock.close()


class _Server(uvicorn.Server):
    """Tells when it has begun to answer, and returns from a signal so that the home is closed.

    (uvicorn's own way raises the signal again when it has shut down, which ends the process
    before anything after it can run.)
    """

    def __init__(self, config: uvicorn.Config, started_event: asyncio.Event) -> None:
        super().__init__(config)
        self._started_event = started_event

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in STOPPING:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started_event.set()


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything is loaded, so that a used port is told at once."""
    try:
        # With its protocol named, or the loop leaves Nagle's algorithm on: 40 ms an answer.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(2048)
    except OSError as error:
        raise SetupError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            f"stop what uses it, or run `steelyard serve --port {port + 1}`"
        ) from error
    return sock


async def _serve(app: App, paths: list[str], sock: socket.socket, *, as_json: bool) -> None:
    asgi = build(app)
    config = uvicorn.Config(
        asgi,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_S,
        h11_max_incomplete_event_size=64 * 1024,
    )
    started = asyncio.Event()
    server = _Server(config, started)
    async with running(asgi, paths):
        if told := told_of_challenger(asgi):
            show.note(told)
        announce = asyncio.create_task(_announce(started, app, sock, as_json=as_json))
        try:
            await server.serve(sockets=[sock])
        finally:
            announce.cancel()
            await asyncio.gather(announce, return_exceptions=True)


async def _announce(
    started: asyncio.Event, app: App, sock: socket.socket, *, as_json: bool
) -> None:
    """Print the address once it answers, then the progress of what is being ingested."""
    await started.wait()
    host, port = sock.getsockname()[:2]
    url = f"http://{host}:{port}" if ":" not in host else f"http://[{host}]:{port}"
    if as_json:
        show.emit_json({"url": url, "home": str(app.home)})
    else:
        show.out.print(f"Steelyard serves [bold]{url}[/]  (stop with Ctrl-C)")
        show.out.print(f"[dim]answers by {app.generator.model}; home {app.home}[/]")
        for offer in await app.offers():
            show.note(offer)
    problem = await app.llm_problem()
    if problem is not None:
        complain(problem)
    await _progress(app, quiet=as_json)


async def _progress(app: App, *, quiet: bool) -> None:
    with show.IngestProgress(quiet=quiet) as progress:
        app.work.listen(progress.on_end)
        while True:
            progress.expect(app.work.num_submitted)
            await asyncio.sleep(0.2)
