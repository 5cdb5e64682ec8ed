"""`steelyard bench`: how fast a server answers; `bench llm`: a model server without a model."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import show
from steelyard.cli.bench_server import serving_home, wait_ready
from steelyard.cli.bench_show import BenchProgress, show_bench
from steelyard.cli.options import Home, Json, LlmModel, LlmUrl, Set, home_of
from steelyard.core.errors import InputError, SetupError
from steelyard.infra.concurrent import loop_factory
from steelyard.infra.mock_llm import MockOptions, serve_mock_llm
from steelyard.loadtest import (
    About,
    Asked,
    Bench,
    Shape,
    check_shape,
    plan,
    read_questions,
    report_json,
    run_bench,
)
from steelyard.loadtest.page import report_page
from steelyard.loadtest.plan import Cache
from steelyard.version import __version__

KEY_VARIABLE = "STEELYARD_KEY"
CACHES: dict[str, tuple[Cache, ...]] = {"both": ("off", "on"), "on": ("on",), "off": ("off",)}

bench = typer.Typer()


@bench.callback(invoke_without_command=True)
def run(
    ctx: typer.Context,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", "-q", help="one a line, plain or JSON (question, query, text)"),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="a running server; else one is started for the home")
    ] = None,
    home: Home = None,
    clients: Annotated[
        str, typer.Option("--clients", help="concurrencies, one run each")
    ] = "1,2,8,32,64",
    cache: Annotated[str, typer.Option("--cache", help="both, on, or off (bypassed)")] = "both",
    requests: Annotated[int, typer.Option("--requests", help="at most so many a warm run")] = 200,
    seconds: Annotated[float, typer.Option("--seconds", help="at most so long a run")] = 10.0,
    rate: Annotated[
        float, typer.Option("--rate", help="open loop: requests a second, whatever comes back")
    ] = 0.0,
    search_only: Annotated[
        bool, typer.Option("--search-only", help="find passages, write no answer")
    ] = False,
    k: Annotated[int | None, typer.Option("-k", help="sources or hits a question")] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="the collection asked")
    ] = "",
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    settings: Set = None,
    json_file: Annotated[
        str | None, typer.Option("--json", help="write all numbers to a file; - is stdout")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="write a page with plots to a file")
    ] = None,
) -> None:
    """Measure mean, p50, p95 and p99 of every stage, cold and warm, with and without caches.

    Each concurrency first asks questions that the server has not seen (cold), then the same
    again (warm). Clients run in processes of their own. With --rate, latency counts from when a
    request was due. Ctrl-C reports what was measured so far. A server with API keys is asked
    with the key in $STEELYARD_KEY.

    Examples:

        steelyard bench --questions questions.txt --html bench.html

        steelyard bench -q questions.jsonl --url http://127.0.0.1:8080 --clients 1,32 --search-only

        steelyard bench -q questions.txt --rate 200 --clients 64 --cache off --json -
    """
    if ctx.invoked_subcommand is not None:
        return
    if questions is None:
        raise InputError("no questions: give a file, as `steelyard bench --questions FILE`")
    shape = _shape(clients, cache, requests, seconds, rate)
    _check_places(json_file, html_file)
    asked_questions = read_questions(questions)
    if url is not None and (llm_url or llm_model or settings):
        raise InputError("--llm-url, --llm-model and --set are for a home; --url has its own")
    flags = {"--llm-url": llm_url, "--llm-model": llm_model}
    with _server(ctx, url, home, flags, settings) as base:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        asked = Asked(base.rstrip("/"), search_only, k, collection, headers)
        about = About(
            version=__version__,
            target=url or f"home {home_of(ctx, home)}",
            mode="search" if search_only else "answers",
            num_questions=len(asked_questions),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        planned = plan(len(asked_questions), shape)
        with BenchProgress(planned, shape) as progress:
            found = run_bench(
                planned, asked_questions, asked, shape=shape, on_trial=progress.on_trial
            )
    _write(found, about, shape, json_file, html_file)
    if found.interrupted:
        raise typer.Exit(130)


def _shape(clients: str, cache: str, requests: int, seconds: float, rate: float) -> Shape:
    if cache not in CACHES:
        raise InputError(f"--cache {cache!r} is none of {', '.join(CACHES)}")
    try:
        numbers = tuple(int(part) for part in clients.split(","))
    except ValueError as error:
        raise InputError(f"--clients {clients!r} is not numbers with commas, as 1,8,32") from error
    shape = Shape(tuple(dict.fromkeys(numbers)), CACHES[cache], requests, seconds, rate)
    check_shape(shape)
    return shape


def _check_places(json_file: str | None, html_file: Path | None) -> None:
    """Complain before minutes of measuring, not after them."""
    named = {"--json": json_file, "--html": html_file}
    for option, name in named.items():
        if name is None or name == "-":
            continue
        path = Path(name).absolute()
        if not path.parent.is_dir() or path.is_dir():
            raise InputError(f"{option} {str(name)!r}: name a file, in a folder that exists")


@contextmanager
def _server(
    ctx: typer.Context,
    url: str | None,
    home: Path | None,
    flags: dict[str, str | None],
    settings: list[str] | None,
) -> Iterator[str]:
    """Yield the address of the server to ask, ready to answer."""
    if url is not None:
        base = url if "://" in url else f"http://{url}"
        wait_ready(base)
        yield base
        return
    with serving_home(home_of(ctx, home), flags, settings or []) as base:
        wait_ready(base)
        yield base


def _write(
    found: Bench, about: About, shape: Shape, json_file: str | None, html_file: Path | None
) -> None:
    report = report_json(found, about, shape)
    if json_file == "-":
        show.emit_json(report)
    else:
        show_bench(report)
    try:
        if json_file not in (None, "-"):
            Path(str(json_file)).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if html_file is not None:
            html_file.write_text(report_page(report), encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the report: {error}; name another file") from error


@bench.command("llm")
def llm(
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="0: any free port")
    ] = 8011,
    ttft_ms: Annotated[
        float, typer.Option("--ttft-ms", min=0, max=600_000, help="until the first token")
    ] = 50.0,
    tokens_per_s: Annotated[
        float, typer.Option("--tokens-per-s", min=0, max=1e6, help="after it; 0: all at once")
    ] = 200.0,
    tokens: Annotated[
        int, typer.Option("--tokens", min=0, max=100_000, help="per answer; 0: one sentence")
    ] = 0,
    model: Annotated[str, typer.Option("--model", help="the model's name")] = "mock",
    as_json: Json = False,
) -> None:
    """Serve an OpenAI-shaped language model without a model: an exact pace, at hardly any cost.

    Its answers quote the first source of the prompt, with its mark, and are always the same.

    Example:

        steelyard bench llm --ttft-ms 50 --tokens-per-s 200 --tokens 100
    """
    options = MockOptions(
        models=(model,), ttft_ms=ttft_ms, tokens_per_s=tokens_per_s, num_tokens=tokens,
        keep_requests=False,
    )  # fmt: skip
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve_llm(options, port, as_json=as_json))


async def _serve_llm(options: MockOptions, port: int, *, as_json: bool) -> None:
    try:
        async with serve_mock_llm(options, port=port) as mock:
            if as_json:
                show.emit_json({"url": mock.url, "model": options.models[0]})
            else:
                show.out.print(f"A mock model serves [bold]{mock.url}[/]  (stop with Ctrl-C)")
            await asyncio.Event().wait()
    except OSError as error:
        raise SetupError(
            f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}; "
            "stop what uses it, or run `steelyard bench llm --port 0`"
        ) from error
