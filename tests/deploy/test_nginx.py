"""`deploy/nginx/steelyard.conf` in a real nginx, in front of a real server."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from served_origin import LEAVE, SECRET, Origin, free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "steelyard.conf"
QUESTION = "How many days of paid leave do staff get a year?"
MAIN = """
{user}
daemon off;
worker_processes 1;
error_log stderr warn;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/steelyard.conf;
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx (Debian: apt install nginx)")


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx in front of `origin`; `cache` is the folder of what it keeps."""

    url: str
    origin: Origin
    cache: Path

    def ask(self, key: str = "", **parameters: object):
        headers = parameters.pop("headers", {})
        with self.origin.client(key, self.url) as client:
            return client.get("/v1/query", params={"q": QUESTION, **parameters}, headers=headers)

    def kept(self) -> list[bytes]:
        return [path.read_bytes() for path in self.cache.rglob("*") if path.is_file()]


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[Callable[[Origin], Front]]:
    """Start nginx with our file: only address, origin, folder and key differ."""
    running: list[subprocess.Popen[bytes]] = []

    def start(origin: Origin) -> Front:
        port = free_port()
        ours = CONFIGURATION.read_text(encoding="utf-8")
        for line, here in {
            "listen 80;": f"listen 127.0.0.1:{port};",
            "server 127.0.0.1:8080;": f"server {origin.url.removeprefix('http://')};",
            "/var/cache/nginx/steelyard": f"{tmp_path}/cache",
            "include /etc/nginx/steelyard.key;": f"include {tmp_path}/steelyard.key;",
        }.items():
            assert ours.count(line) == 1, line
            ours = ours.replace(line, here)
        (tmp_path / "steelyard.conf").write_text(ours)
        (tmp_path / "steelyard.key").write_text(f'"" "Bearer {origin.keys["edge"]}";\n')
        user = "user root;" if os.getuid() == 0 else ""  # its workers would become nobody
        (tmp_path / "nginx.conf").write_text(MAIN.format(folder=tmp_path, user=user))
        process = subprocess.Popen(
            [str(NGINX), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
            stderr=subprocess.PIPE,
        )
        running.append(process)
        _await_port(port, process)
        return Front(f"http://127.0.0.1:{port}", origin, tmp_path / "cache")

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert b"[emerg]" not in said
        assert b"too big header" not in said


def _await_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1000):
        if process.poll() is not None:
            raise AssertionError(f"nginx does not start: {process.communicate()[1]!r}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        signal.sigtimedwait([], 0.01)
    raise AssertionError("nginx never listened")


@pytest.fixture
def front(serve: Callable[..., Origin], start_nginx: Callable[[Origin], Front]) -> Front:
    origin = serve()
    origin.put()
    return start_nginx(origin)


def test_a_repeated_question_costs_the_origin_a_304(front):
    first = front.ask()
    assert first.status_code == 200
    assert "31 days" in first.json()["answer"]
    assert first.headers["x-cache-status"] == "MISS"
    for _ in range(3):
        again = front.ask()
        assert again.status_code == 200
        assert again.headers["x-cache-status"] == "REVALIDATED"
        assert again.content == first.content
        assert again.headers["etag"] == first.headers["etag"]
    assert front.origin.answered(200) == 1
    assert front.origin.answered(304) == 3


def test_a_browsers_own_tag_is_answered_304(front):
    tag = front.ask().headers["etag"]
    for sent in (tag, f"W/{tag}", "*"):
        got = front.ask(headers={"If-None-Match": sent})
        assert got.status_code == 304, sent
        assert got.content == b""
    assert front.ask(headers={"If-None-Match": '"old"'}).status_code == 200


def test_a_changed_a_new_and_a_deleted_document_are_never_served_stale(front):
    front.ask()
    for days in (28, 29, 30):
        front.origin.put(LEAVE.replace("31", str(days)))
        assert f"{days} days" in front.ask().json()["answer"]
    front.origin.put("# More\n\nStaff get 3 more days of paid leave a year.\n", "more")
    ids = {source["document_id"] for source in front.ask().json()["sources"]}
    assert ids == {"leave", "more"}
    front.origin.delete("leave")
    assert {source["document_id"] for source in front.ask().json()["sources"]} == {"more"}


def test_a_private_answer_is_never_kept_nor_given_to_another(front):
    front.origin.put(SECRET, "secret", groups=["board"])
    assert "77 days" in front.ask("director").text
    assert front.ask("director").headers["x-cache-status"] == "BYPASS"
    assert front.kept() == []
    assert "77 days" not in front.ask().text
    assert front.ask().headers["x-cache-status"] == "REVALIDATED"
    assert "77 days" in front.ask("director").text
    assert len(front.kept()) == 1
    assert b"77 days" not in front.kept()[0]


def test_errors_and_unanswerable_questions_are_never_kept(front):
    assert front.ask(k="0").status_code == 400
    assert front.ask(q="Who won the chess olympiad?").json()["answerable"] is False
    assert front.ask(q="x" * 40_000).status_code in (400, 413, 414)
    assert front.kept() == []


def test_a_dead_origin_is_said_not_covered_by_an_old_answer(front):
    assert front.ask().status_code == 200
    front.origin.stop()
    assert front.kept()
    assert front.ask().status_code == 502


def test_the_world_is_a_reader_not_the_operator(front):
    with front.origin.client("", front.url) as world:
        assert world.get("/metrics").status_code == 404
        assert world.get("/v1/operations").status_code == 404
        assert world.put("/v1/documents/x", json={"text": "mine"}).status_code == 403
        assert world.delete("/v1/documents/leave").status_code == 403
        assert world.post("/v1/query", json={"query": QUESTION}).status_code == 200
        assert "<html" in world.get("/").text
    with front.origin.client("admin", front.url) as admin:
        assert admin.put("/v1/documents/x", json={"text": "mine"}).status_code == 202


def test_the_first_token_passes_before_the_last_is_made(serve, start_nginx, mock_llm):
    """The model stalls after half of its tokens: whatever is seen, came before the rest."""
    llm = mock_llm(fault="stall_later", reply="Staff get 31 days of paid leave a year [1].")
    origin = serve(llm__url=llm.url, llm__model="mock", llm__stall_timeout_s=3)
    origin.put()
    front = start_nginx(origin)
    seen: list[str] = []
    body = {"query": QUESTION, "stream": True}
    with (
        origin.client("", front.url) as client,
        client.stream("POST", "/v1/query", json=body) as got,
    ):
        assert got.headers["content-type"].startswith("text/event-stream")
        for line in got.iter_lines():
            name = re.fullmatch(r"event: (\w+)", line)
            if name:
                seen.append(name.group(1))
            if line.startswith("data: ") and seen[-1] == "token":
                assert llm.open_streams == 1, "the model is still writing"
                text = json.loads(line[6:])["text"]
                assert text.startswith("Staff")
                break
    assert seen == ["sources", "token"]


def test_an_answer_of_many_sources_fits_through(front):
    for n in range(60):
        front.origin.put(f"# Leave {n}\n\nStaff of site {n} get 31 days of paid leave.\n", f"s{n}")
    got = front.ask(k=200)
    assert got.status_code == 200
    assert len(got.json()["sources"]) > 5
