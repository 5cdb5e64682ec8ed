"""A loopback server that speaks the API's wire shapes, and a real Chromium in front of it."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from starlette.types import ASGIApp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(slots=True)
class Watch:
    """What a page did that it must not do, gathered while a test runs."""

    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()

    def unexpected(self) -> list[str]:
        return [p for p in self.problems if not any(part in p for part in self.allowed)]


@contextmanager
def _serving(app: ASGIApp) -> Iterator[str]:
    """Serve `app` on a free loopback port in a thread; yields the address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture(scope="session")
def serving() -> Callable[[ASGIApp], AbstractContextManager[str]]:
    """Return a context manager that serves an app and yields its address."""
    return _serving


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Playwright]:
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright_driver: Playwright) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine (Debian: apt install chromium)")
    launched = playwright_driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield launched
    launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """Return a function that opens a fresh, watched page at an address.

    At the end of the test, console errors, page errors and requests to any other origin fail it;
    `allowed` names parts of messages that the test provokes on purpose.
    """
    opened: list[tuple[Page, Watch, str]] = []

    def open_(
        address: str, *, path: str = "/", allowed: tuple[str, ...] = (), **context: Any
    ) -> tuple[Page, Watch]:
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(10_000)
        watch = Watch(allowed=allowed)
        page.on("console", lambda m: m.type == "error" and watch.problems.append(m.text))
        page.on("pageerror", lambda e: watch.problems.append(str(e)))
        page.on("request", lambda r: watch.requests.append(r.url))
        opened.append((page, watch, address))
        page.goto(address + path)
        return page, watch

    yield open_
    faults = []
    for page, watch, address in opened:
        faults += watch.unexpected()
        faults += [
            f"outside request: {url}" for url in watch.requests if not url.startswith(address)
        ]
        page.context.close()
    assert faults == []


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("screenshots")
