"""`steelyard bench` as a user runs it: against a home, against a URL, interrupted, misused."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ENV = {**os.environ, "STEELYARD_EMBED_MODEL": "hashing", "COLUMNS": "160", "NO_COLOR": "1"}
STEELYARD = [sys.executable, "-m", "steelyard"]


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*STEELYARD, *words], cwd=cwd, env={**ENV, **env}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    questions = [f"What is rule {n}?" for n in range(20)]
    (tmp_path / "questions.txt").write_text("\n".join(questions), encoding="utf-8")
    return tmp_path


class Server(ThreadingHTTPServer):
    """Answers every question at once, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, status: int = 200, delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.delay_s = status, delay_s
        self.asked: list[tuple[str, str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200 if self.path == "/readyz" else 404, b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = (self.headers.get("Cache-Control", ""), self.headers.get("Authorization", ""))
        self.server.asked.append((self.path, body["query"], *headers))
        time.sleep(self.server.delay_s)
        said = {"usage": {"timings_ms": {"embed": 1.0, "polish": 2.0}}, "cache": "miss"}
        self._send(self.server.status, json.dumps(said).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[object]:
    servers: list[Server] = []

    def start(**options: object) -> Server:
        server = Server(**options)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_home_is_served_and_measured_in_every_way(folder):
    (folder / "pages").mkdir()
    rules = [f"# Rule {n}\n\nRule {n} is that form {n} is signed twice.\n" for n in range(20)]
    for n, text in enumerate(rules):
        (folder / f"pages/{n}.md").write_text(text)
    assert run("ingest", "pages", cwd=folder).returncode == 0
    done = run(
        "bench", "-q", "questions.txt", "--clients", "1,2", "--requests", "6", "--json", "-",
        "--html", "page.html", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    kinds = [(t["clients"], t["cache"], t["pass"]) for t in report["trials"]]
    assert kinds == [
        (clients, cache, temperature)
        for clients in (1, 2) for cache in ("off", "on") for temperature in ("cold", "warm")
    ]  # fmt: skip
    for trial in report["trials"]:
        assert trial["answered"] == (5 if trial["pass"] == "cold" else 6)
        assert not trial["errors"]
        assert trial["client"]["first_token"]["p50"] <= trial["client"]["total"]["p50"]
        assert "total" in trial["stages"]
        if (trial["cache"], trial["pass"]) == ("off", "cold"):
            assert {"embed", "dense", "lexical", "fuse"} <= set(trial["stages"])
        if trial["cache"] == "off":
            assert set(trial["cache_outcomes"]) == {"bypass"}
    assert report["trials"][3]["cache_outcomes"] == {"exact": 6}
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 9
    assert _loads_nothing(page)


def _loads_nothing(page: str) -> bool:
    """Tell whether a page needs nothing but itself: no script, no link, no address to fetch."""
    found: list[str] = []

    class Looker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend([tag] if tag in ("script", "link", "img", "iframe") else [])
            found.extend(name for name, _ in attrs if name in ("src", "href", "xlink:href"))

    Looker().feed(page)
    return not found and "url(" not in page and "@import" not in page


def test_a_url_is_asked_with_caches_bypassed_and_not_and_with_the_key(folder, serve):
    server = serve()
    done = run(
        "bench", "-q", "questions.txt", "--url", server.url, "--clients", "1", "--requests", "4",
        "--search-only", "-k", "3", cwd=folder, STEELYARD_KEY="sk-test",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {(path, key) for path, _, _, key in server.asked} == {("/v1/search", "Bearer sk-test")}
    bypassed = [query for _, query, control, _ in server.asked if control == "no-store"]
    cached = [query for _, query, control, _ in server.asked if not control]
    assert (len(bypassed), len(cached)) == (14, 14)  # ten cold, four warm
    assert len(set(bypassed)) == len(set(cached)) == 10
    assert not set(bypassed) & set(cached)
    assert "polish" in done.stdout
    assert "client total" in done.stdout
    assert "miss×10" in done.stdout


def test_a_rate_is_an_open_loop(folder, serve):
    server = serve()
    words = ("--rate", "100", "--clients", "4", "--cache", "on", "--requests", "10", "--json", "-")
    done = run("bench", "-q", "questions.txt", "--url", server.url, *words, cwd=folder)
    report = json.loads(done.stdout)
    assert report["loop"] == "open, 100/s"
    assert [trial["answered"] for trial in report["trials"]] == [20, 10]


def test_overload_is_reported_and_is_no_failure(folder, serve):
    server = serve(status=429)
    words = ("--clients", "1", "--cache", "on", "--seconds", "1", "--json", "-")
    done = run("bench", "-q", "questions.txt", "--url", server.url, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    trial = json.loads(done.stdout)["trials"][0]
    assert (trial["rejected"], trial["answered"], trial["client"]["total"]) == (20, 0, None)


def test_an_interrupt_reports_what_was_measured(folder, serve):
    server = serve(delay_s=0.05)
    words = ["--clients", "1", "--cache", "on", "--seconds", "60", "--requests", "9999"]
    bench = subprocess.Popen(
        [*STEELYARD, "bench", "-q", "questions.txt", "--url", server.url, *words, "--json", "-"],
        cwd=folder, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(server.asked) < 25 and time.monotonic() < deadline:  # the warm run has begun
        time.sleep(0.01)
    bench.send_signal(signal.SIGINT)
    out, err = bench.communicate(timeout=110)
    assert bench.returncode == 130, err
    assert "Traceback" not in err
    report = json.loads(out)
    assert report["interrupted"]
    assert report["trials"][0]["answered"] == 20
    assert 1 <= report["trials"][1]["answered"] < 9999


def test_a_stopped_bench_leaves_no_server_behind(folder):
    (folder / "page.md").write_text("# Rules\n\nForm 7 is signed twice.\n")
    assert run("ingest", "page.md", cwd=folder).returncode == 0
    bench = subprocess.Popen(
        [*STEELYARD, "bench", "-q", "questions.txt", "--seconds", "60", "--requests", "99999"],
        cwd=folder, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (servers := _children(bench.pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    bench.terminate()
    _, err = bench.communicate(timeout=110)
    assert "Traceback" not in err
    assert servers
    assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--questions"),
        (("-q", "nowhere.txt"), "nowhere.txt"),
        (("-q", "questions.txt"), "ingest"),
        (("-q", "questions.txt", "--url", "http://127.0.0.1:9"), "refused"),
        (("-q", "questions.txt", "--url", "gopher://x"), "gopher"),
        (("-q", "questions.txt", "--url", "127.0.0.1:9", "--set", "a.b=1"), "--set"),
        (("-q", "questions.txt", "--clients", "many"), "many"),
        (("-q", "questions.txt", "--clients", "0"), "--clients"),
        (("-q", "questions.txt", "--cache", "maybe"), "maybe"),
        (("-q", "questions.txt", "--requests", "0"), "--requests"),
        (("-q", "questions.txt", "--seconds", "-1"), "--seconds"),
        (("-q", "questions.txt", "--rate", "nan"), "--rate"),
        (("-q", "questions.txt", "--json", "no/such/folder.json"), "folder.json"),
        (("-q", "questions.txt", "--html", "."), "--html"),
    ],
)
def test_misuse_is_one_line_with_the_repair(folder, words, said):
    done = run("bench", *words, cwd=folder)
    assert done.returncode not in (0, None)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert said in lines[0]


def test_a_server_that_answers_nothing_is_one_line(folder, serve):
    done = run("bench", "-q", "questions.txt", "--url", serve(status=500).url, cwd=folder)
    assert done.returncode == 5
    assert "http_500" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_mock_model_serves_until_it_is_stopped(tmp_path):
    words = ["bench", "llm", "--port", "0", "--ttft-ms", "1", "--tokens", "5", "--json"]
    llm = subprocess.Popen([*STEELYARD, *words], cwd=tmp_path, env=ENV, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        url = json.loads("".join(llm.stdout.readline() for _ in range(4)))["url"]
        asked = {"messages": [{"role": "user", "content": "Hello"}]}
        request = urllib.request.Request(
            url + "/chat/completions", json.dumps(asked).encode(), {"Connection": "close"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            usage = json.load(response)["usage"]
        assert usage["completion_tokens"] == 5
        port = url.split(":")[2].split("/")[0]
        taken = run("bench", "llm", "--port", port, cwd=tmp_path)
        assert taken.returncode == 4
        assert port in taken.stderr
        assert len(taken.stderr.strip().splitlines()) == 1
    finally:
        llm.send_signal(signal.SIGINT)
        _, err = llm.communicate(timeout=30)
    assert llm.returncode == 130
    assert "Traceback" not in err


def test_the_mock_model_needs_a_port_that_can_be(tmp_path):
    assert run("bench", "llm", "--port", "70000", cwd=tmp_path).returncode == 2
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run("bench", "llm", "--port", port, cwd=tmp_path).returncode == 4
