"""`deploy/edge/worker.js` in Cloudflare's runtime (workerd), in front of a real server."""

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from counting_origin import counting_origin
from served_origin import LEAVE, SECRET, Origin, free_port

from steelyard.infra.files import FileLock
from steelyard.infra.models import cache_dir

EDGE = Path(__file__).parents[2] / "deploy" / "edge"
NEEDED = [name for name in ("node", "npm") if shutil.which(name) is None]
TOKEN = "a-token-of-the-test"
QUESTION = "How many days of paid leave do staff get a year?"

pytestmark = pytest.mark.skipif(bool(NEEDED), reason=f"no {' and no '.join(NEEDED)}")


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of `deploy/edge` with what its lock file names; that is installed once."""
    locked = [EDGE / name for name in ("package.json", "package-lock.json", ".npmrc")]
    named = hashlib.sha256(b"\0".join(path.read_bytes() for path in locked)).hexdigest()
    folder = cache_dir() / f"edge-{named[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "installed").exists():
            for path in locked:
                shutil.copy(path, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, f"npm ci failed in {folder}: {done.stderr[-2000:]}"
            (folder / "installed").touch()
    here = tmp_path_factory.mktemp("edge")
    (here / "node_modules").symlink_to(folder / "node_modules")
    for name in ("dev.mjs", "worker.js", "package.json"):
        shutil.copy(EDGE / name, here)
    return here


@pytest.fixture
def start_worker(edge: Path) -> Iterator[Callable[..., str]]:
    """Run the Worker; returns its address. Keyword arguments are its bindings."""
    running: list[subprocess.Popen[str]] = []

    def start(**bindings: object) -> str:
        asked = {"PURGE_TOKEN": TOKEN, **bindings}
        process = subprocess.Popen(
            ["node", "dev.mjs", json.dumps(asked)],
            cwd=edge,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the Worker did not start; its output says why"
        return str(json.loads(line)["url"])

    yield start
    for process in running:
        process.communicate(timeout=60)  # closes its input: it ends


@dataclass(frozen=True, slots=True)
class Front:
    url: str
    origin: Origin

    def ask(self, key: str = "", **parameters: object) -> httpx2.Response:
        headers = parameters.pop("headers", {})
        with self.origin.client(key, self.url) as client:
            return client.get("/v1/query", params={"q": QUESTION, **parameters}, headers=headers)

    def settled(self) -> httpx2.Response:
        """Ask until the answer is one that was kept: the purges so far have arrived."""
        for _ in range(2000):
            got = self.ask()
            if got.headers["x-edge-cache"] == "HIT":
                return got
        raise AssertionError("nothing was ever kept")

    def until(self, text: str) -> httpx2.Response:
        """Ask until `text` is in the answer; from then on it may never go again."""
        for _ in range(2000):
            got = self.ask()
            if text in got.text:
                return got
        raise AssertionError(f"the edge went on without {text!r}")


@pytest.fixture
def front(serve: Callable[..., Origin], start_worker: Callable[..., str]) -> Front:
    """An edge, and a server that tells it of changes; each knows the other's address."""
    port = free_port()
    urls: list[str] = []

    def purge_url(keys: dict[str, str]) -> str:
        urls.append(start_worker(ORIGIN=f"http://127.0.0.1:{port}", ORIGIN_KEY=keys["edge"]))
        return f"{urls[0]}/__purge"

    origin = serve(
        port=port, environment={"STEELYARD_PURGE_TOKEN": TOKEN}, serve__purge_url=purge_url
    )
    origin.put()
    return Front(urls[0], origin)


def test_a_kept_answer_is_served_without_the_origin(front):
    first = front.settled()
    before = front.origin.answered(200), front.origin.answered(304)
    for _ in range(5):
        got = front.ask()
        assert got.headers["x-edge-cache"] == "HIT"
        assert int(got.headers["age"]) >= 0
        assert got.content == first.content
        assert "31 days" in got.json()["answer"]
        assert "s-maxage" in got.headers["cache-control"]
        assert "max-age=0" in got.headers["cache-control"], "a browser has to ask the edge"
    assert (front.origin.answered(200), front.origin.answered(304)) == before


def test_a_browsers_own_tag_is_answered_304_by_the_edge(front):
    tag = front.settled().headers["etag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        got = front.ask(headers={"If-None-Match": sent})
        assert got.status_code == 304, sent
        assert got.headers["x-edge-cache"] == "HIT"
        assert got.content == b""
    assert front.ask(headers={"If-None-Match": '"other"'}).status_code == 200


def test_equal_questions_are_one_entry(front):
    front.settled()
    with front.origin.client("", front.url) as client:
        for address in (f"/v1/query?q=++{QUESTION.replace(' ', '++')}+",):
            assert client.get(address).headers["x-edge-cache"] == "HIT"
        head = client.head("/v1/query", params={"q": QUESTION})
        assert head.headers["x-edge-cache"] == "HIT"
        assert head.content == b""
    assert front.ask(k=1).headers["x-edge-cache"] == "MISS"


def test_once_a_purge_has_arrived_no_stale_answer_is_ever_served(front):
    front.settled()
    for days in (28, 29, 30):
        front.origin.put(LEAVE.replace("31", str(days)))
        front.until(f"{days} days")
        kept = front.settled()
        assert f"{days} days" in kept.text
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: front.ask().text, range(40)))
        assert all(f"{days} days" in text for text in answers)
    front.origin.put("# More\n\nStaff get 3 more days of paid leave a year.\n", "more")
    front.until("3 more days")
    front.origin.delete("leave")
    for _ in range(2000):
        if "30 days" not in front.ask().text:
            break
    assert "30 days" not in front.settled().text


def test_a_purge_during_the_origins_answer_outdates_it(start_worker):
    """The answer was made before the change, and arrives at the edge after its purge."""
    with counting_origin() as origin:
        url = start_worker(ORIGIN=origin.url)
        with ThreadPoolExecutor(1) as pool, httpx2.Client(base_url=url, trust_env=False) as client:
            origin.gate.clear()
            asked = pool.submit(client.get, "/v1/query?q=x", timeout=60)
            origin.asked.get(timeout=30)  # it will say "old", whatever happens now
            origin.text = "new"
            assert purge(url, ["d1"]).json()["purged"] == 1
            origin.gate.set()
            assert asked.result().text == "old", "it was right when it was asked"
            got = [client.get("/v1/query?q=x") for _ in range(50)]
            assert {one.text for one in got} == {"new"}
            assert got[-1].headers["x-edge-cache"] == "HIT"


def test_each_key_of_an_answer_purges_it_and_no_other_does(start_worker):
    with counting_origin() as origin:
        url = start_worker(ORIGIN=origin.url)
        with httpx2.Client(base_url=url, trust_env=False) as client:
            for key in ("d1", "c1", "steelyard"):
                until_hit(client)
                asked = origin.num_asked
                purge(url, ["d2", "c2", "b1", "d11", "d"])
                assert client.get("/v1/query?q=x").headers["x-edge-cache"] == "HIT"
                assert origin.num_asked == asked
                purge(url, ["zzz", key])
                assert client.get("/v1/query?q=x").headers["x-edge-cache"] == "REVALIDATED", key
                assert origin.num_asked == asked + 1


def test_more_keys_than_it_remembers_purge_everything(start_worker):
    with counting_origin() as origin:
        url = start_worker(ORIGIN=origin.url)
        with httpx2.Client(base_url=url, trust_env=False) as client:
            until_hit(client)
            for n in range(11):
                purge(url, [f"k{n}-{m}" for m in range(1000)])
            assert client.get("/v1/query?q=x").headers["x-edge-cache"] == "REVALIDATED"
            assert until_hit(client).text == origin.text


def test_an_answer_is_not_served_beyond_its_time(start_worker):
    with counting_origin() as origin:
        origin.control = "public, max-age=0, s-maxage=0"
        url = start_worker(ORIGIN=origin.url)
        with httpx2.Client(base_url=url, trust_env=False) as client:
            for n in range(3):
                assert client.get("/v1/query?q=x").headers["x-edge-cache"] == "MISS"
                assert origin.num_asked == n + 1


def test_a_purge_needs_the_token_and_keys(start_worker):
    url = start_worker(ORIGIN="http://127.0.0.1:9")
    right = f"Bearer {TOKEN}"
    for authorization, body, status in (
        ("", {"keys": ["a"]}, 401),
        ("Bearer wrong", {"keys": ["a"]}, 401),
        (right, {"keys": []}, 400),
        (right, {"keys": ["a b"]}, 400),
        (right, {"keys": ["a"] * 1001}, 400),
        (right, {"keys": [1]}, 400),
        (right, ["a"], 400),
        (right, None, 400),
        (right, {"keys": ["a"]}, 200),
    ):
        headers = {"Authorization": authorization}
        got = httpx2.post(f"{url}/__purge", json=body, headers=headers, trust_env=False)
        assert got.status_code == status, (authorization, body)
        assert status == 200 or "Error" not in got.json()["error"]["message"]
    assert httpx2.get(f"{url}/__purge", trust_env=False).status_code == 405
    closed = start_worker(ORIGIN="http://127.0.0.1:9", PURGE_TOKEN="")
    assert purge(closed, ["a"], token="any").status_code == 503


def test_without_the_object_that_knows_the_purges_nothing_is_served_from_the_edge(start_worker):
    with counting_origin() as origin:
        url = start_worker(ORIGIN=origin.url, purges=False)
        with httpx2.Client(base_url=url, trust_env=False) as client:
            for n in range(3):
                got = client.get("/v1/query?q=x")
                assert (got.text, got.headers["x-edge-cache"]) == (origin.text, "BYPASS")
                assert origin.num_asked == n + 1


def test_the_first_token_passes_before_the_last_is_made(serve, start_worker, mock_llm):
    """The model stalls after half of its tokens: whatever is seen, came before the rest."""
    llm = mock_llm(fault="stall_later", reply="Staff get 31 days of paid leave a year [1].")
    origin = serve(llm__url=llm.url, llm__model="mock", llm__stall_timeout_s=3)
    origin.put()
    url = start_worker(ORIGIN=origin.url, ORIGIN_KEY=origin.keys["edge"])
    seen: list[str] = []
    with (
        origin.client("", url) as client,
        client.stream("POST", "/v1/query", json={"query": QUESTION, "stream": True}) as got,
    ):
        for line in got.iter_lines():
            name = re.fullmatch(r"event: (\w+)", line)
            if name:
                seen.append(name.group(1))
            if seen[-1:] == ["token"] and line.startswith("data: "):
                assert llm.open_streams == 1, "the model is still writing"
                break
    assert seen == ["sources", "token"]


def test_an_answer_for_a_key_is_never_kept_nor_given_to_another(front):
    front.origin.put(SECRET, "secret", groups=["board"])
    assert "77 days" not in front.settled().text
    told = front.ask("director")
    assert "77 days" in told.text
    assert "x-edge-cache" not in told.headers
    assert "77 days" not in front.ask().text
    assert front.ask(headers={"Authorization": "Bearer wrong"}).status_code == 401
    with front.origin.client("", front.url) as world:
        assert world.delete("/v1/documents/leave").status_code == 403
        assert world.get("/metrics").status_code == 404


def test_errors_and_unanswerable_questions_are_never_kept(front):
    front.settled()
    for parameters, status in (({"k": "0"}, 400), ({"q": "Who won the chess olympiad?"}, 200)):
        for _ in range(2):
            got = front.ask(**parameters)
            assert got.status_code == status
            assert got.headers["x-edge-cache"] == "MISS"
            assert got.headers["cache-control"] == "no-store"


def test_an_origin_without_a_purge_url_leaves_nothing_to_the_edge(serve, start_worker):
    origin = serve()
    origin.put()
    front = Front(start_worker(ORIGIN=origin.url, ORIGIN_KEY=origin.keys["edge"]), origin)
    for _ in range(3):
        got = front.ask()
        assert got.headers["cache-control"] == "public, no-cache"
        assert got.headers["x-edge-cache"] == "MISS"
    origin.stop()
    assert front.ask().status_code == 502


def until_hit(client: httpx2.Client) -> httpx2.Response:
    """Ask until the answer was kept: that happens behind the answer."""
    for _ in range(2000):
        got = client.get("/v1/query?q=x")
        if got.headers["x-edge-cache"] == "HIT":
            return got
    raise AssertionError("nothing was ever kept")


def purge(url: str, keys: list[str], *, token: str = TOKEN) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.post(f"{url}/__purge", json={"keys": keys}, headers=headers, trust_env=False)


def test_what_is_deployed_is_what_is_tested():
    told = tomllib.loads((EDGE / "wrangler.toml").read_text(encoding="utf-8"))
    run = (EDGE / "dev.mjs").read_text(encoding="utf-8")
    assert told["main"] == "worker.js"
    assert f'compatibilityDate: "{told["compatibility_date"]}"' in run
    (binding,) = told["durable_objects"]["bindings"]
    assert f'{binding["name"]}: {{ className: "{binding["class_name"]}", useSQLite: true }}' in run
    assert told["migrations"] == [{"tag": "v1", "new_sqlite_classes": [binding["class_name"]]}]


def test_the_lock_file_names_versions_and_hashes_and_no_registry():
    locked = json.loads((EDGE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    packages = [one for path, one in locked.items() if path]
    assert packages
    assert all("version" in one and "integrity" in one for one in packages)
    assert not [one for one in packages if "resolved" in one]
