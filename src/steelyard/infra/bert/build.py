"""Built encoders: made once from weights, checked against float32, kept by content hash."""

import atexit
import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import onnxruntime

from steelyard.core.errors import SetupError
from steelyard.infra.bert.bound import bound_card
from steelyard.infra.bert.config import ModelCard
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE
from steelyard.infra.models import WEIGHTS_FILE, cache_dir, file_sha256

log = logging.getLogger(__name__)

PRECISIONS = ("int8", "fp32")
Purpose = Literal["embedder", "scorer", "reader", "tokens"]

_NOTE_FILE = "encoder.json"
_BUILDING = ".building-"
_ABANDONED_S = 3600.0  # a build takes seconds
_RECIPE = 3  # raise it when the graph writer changes what it computes
_RECIPES = {"scorer": 1, "reader": 1, "tokens": 2}  # the same for other graphs


@dataclass(frozen=True, slots=True)
class BuiltEncoder:
    """An encoder on disk: embedder, scorer of pairs or reader. `max_tokens` counts special tokens.

    `identity` hashes what decides the vectors (weights, adapter, architecture, pooling,
    precision asked for, recipe); `key` also the runtime's version, and names the folder.
    `precision` is what was built; `fallback` says why it is not what was asked for (empty:
    it is). `cosine` is the mean to float32 over the check texts; of a scorer or a reader, the
    correlation of the scores of check pairs (the cosine of the centred scores).
    """

    folder: Path
    key: str
    identity: str
    dim: int
    pooling: str
    max_tokens: int
    max_tokens_possible: int
    precision: str
    cosine: float
    fallback: str
    weights_sha256: str


def ready_encoder(
    path: Path, *, precision: str = "int8", adapter: Path | None = None
) -> BuiltEncoder:
    """Return the built encoder of a model directory, building it if the cache has none.

    Raises:
        SetupError: the model, its adapter or `precision` cannot be built.
    """
    return _ready(path, precision=precision, adapter=adapter, purpose="embedder")


def ready_scorer(
    path: Path, *, precision: str = "int8", adapter: Path | None = None
) -> BuiltEncoder:
    """Return the built scorer of a sequence-classification model; as `ready_encoder`.

    The adapter may bring the head along (peft's `modules_to_save`).
    """
    return _ready(path, precision=precision, adapter=adapter, purpose="scorer")


def ready_reader(
    path: Path, *, precision: str = "int8", adapter: Path | None = None
) -> BuiltEncoder:
    """Return the built reader of a question-answering model; as `ready_scorer`."""
    return _ready(path, precision=precision, adapter=adapter, purpose="reader")


def ready_tokens(
    path: Path, *, precision: str = "int8", adapter: Path | None = None
) -> BuiltEncoder:
    """Return a built encoder with the head on every token that `adapter` brings; as
    `ready_encoder`."""
    return _ready(path, precision=precision, adapter=adapter, purpose="tokens")


def _ready(path: Path, *, precision: str, adapter: Path | None, purpose: Purpose) -> BuiltEncoder:
    if precision not in PRECISIONS:
        raise SetupError(f"precision {precision!r} is unknown; set {' or '.join(PRECISIONS)}")
    card = bound_card(path, adapter=adapter)
    if not (path / WEIGHTS_FILE).is_file():
        raise SetupError(f"{str(path / WEIGHTS_FILE)!r} is missing; download the model again")
    wanted = _wanted(path, card=card, precision=precision, adapter=adapter, purpose=purpose)
    kept = cache_dir() / "models" / wanted.key
    built = _kept(replace(wanted, folder=kept))
    if built is None:
        wanted = replace(wanted, folder=kept)
        built = _build(path, card=card, adapter=adapter, wanted=wanted, purpose=purpose)
    if built.fallback:
        log.warning("encoder_fallback", extra={"model": str(path), "reason": built.fallback})
    return built


def _wanted(
    path: Path, *, card: ModelCard, precision: str, adapter: Path | None, purpose: Purpose
) -> BuiltEncoder:
    weights_sha256 = file_sha256(path / WEIGHTS_FILE)
    content = {
        "recipe": _RECIPE,
        "weights": weights_sha256,
        "adapter": [file_sha256(file) for file in _adapter_files(adapter)],
        "architecture": asdict(card.architecture),
        "pooling": card.pooling,
        "precision": precision,
    }
    if purpose != "embedder":
        del content["pooling"]
        content[purpose] = _RECIPES[purpose]
    identity = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    key = hashlib.sha256(f"{identity} {onnxruntime.__version__}".encode()).hexdigest()
    return BuiltEncoder(
        folder=path,
        key=key[:32],
        identity=identity,
        dim=card.architecture.hidden,
        pooling=card.pooling,
        max_tokens=card.max_tokens,
        max_tokens_possible=card.architecture.max_tokens,
        precision=precision,
        cosine=1.0,
        fallback="",
        weights_sha256=weights_sha256,
    )


def _adapter_files(adapter: Path | None) -> list[Path]:
    if adapter is None:
        return []
    files = [adapter / "adapter_config.json", adapter / "adapter_model.safetensors"]
    for file in files:
        if not file.is_file():
            raise SetupError(f"{str(file)!r} is missing; give the directory of a peft adapter")
    return files


def _kept(wanted: BuiltEncoder) -> BuiltEncoder | None:
    """Return a whole, undamaged encoder at `wanted.folder`, or None."""
    try:
        note = json.loads((wanted.folder / _NOTE_FILE).read_bytes())
        checksums = {name: _crc32(wanted.folder / name) for name in (GRAPH_FILE, TENSORS_FILE)}
        if note["checksums"] != checksums:
            return None
        return replace(
            wanted,
            precision=str(note["precision"]),
            cosine=float(note["cosine"]),
            fallback=str(note["fallback"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def _build(
    path: Path, *, card: ModelCard, adapter: Path | None, wanted: BuiltEncoder, purpose: Purpose
) -> BuiltEncoder:
    """Build into a fresh folder, then move it to `wanted.folder` in one step."""
    folder = _fresh_folder(wanted.folder.parent)
    try:
        # Imported here: onnx takes a third of a second, and a start with a kept encoder needs none.
        from steelyard.infra.bert import trial as trials

        write = {
            "embedder": trials.write_embedder,
            "scorer": trials.write_scorer,
            "reader": trials.write_reader,
            "tokens": trials.write_tokens,
        }[purpose]
        trial = write(folder, path, card=card, adapter=adapter, precision=wanted.precision)
        built = replace(
            wanted, precision=trial.precision, cosine=trial.agreement, fallback=trial.fallback
        )
        _write_note(folder, built)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise SetupError(
                f"the encoder cannot be written to {str(folder.parent)!r} ({error}); make room "
                "there, or set STEELYARD_CACHE to another folder"
            ) from error
        raise
    log.info("encoder_built", extra={"model": str(path), "precision": built.precision})
    if folder.parent != wanted.folder.parent:  # the cache cannot be written
        return replace(built, folder=folder)
    return replace(built, folder=_publish(folder, built))


def _fresh_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        return Path(tempfile.mkdtemp(prefix=_BUILDING, dir=parent))
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix="steelyard-encoder-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        log.warning(
            "cache_unwritable",
            extra={"cache": str(parent), "reason": str(error), "instead": str(folder)},
        )
        return folder


def _remove_abandoned(parent: Path) -> None:
    """Remove what builds that were killed left behind."""
    for folder in parent.glob(f"{_BUILDING}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


def _write_note(folder: Path, built: BuiltEncoder) -> None:
    note = {
        "precision": built.precision,
        "cosine": built.cosine,
        "fallback": built.fallback,
        "weights_sha256": built.weights_sha256,
        "checksums": {name: _crc32(folder / name) for name in (GRAPH_FILE, TENSORS_FILE)},
    }
    (folder / _NOTE_FILE).write_text(json.dumps(note, indent=1))
    for name in (GRAPH_FILE, TENSORS_FILE, _NOTE_FILE, ""):
        _sync(folder / name)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _publish(folder: Path, built: BuiltEncoder) -> Path:
    """Rename into place; where another process was first, its equal encoder is used."""
    for _ in range(2):
        with contextlib.suppress(OSError):
            os.rename(folder, built.folder)
            _sync(built.folder.parent)
            return built.folder
        if _kept(built) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            return built.folder
        shutil.rmtree(built.folder, ignore_errors=True)  # damaged: make room
    return folder
