"""A version as a folder or a zip that others can load: adapter, merged ONNX graph, model card."""

import secrets
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import InputError
from steelyard.core.registry import Evaluation, Version
from steelyard.core.tuning import TuneKind
from steelyard.infra.binding import base_model, check_base
from steelyard.infra.files import explained, make_folder
from steelyard.infra.models import find_model
from steelyard.registry.artefacts import artefact_folder, check_artefact
from steelyard.registry.bindings import FULL
from steelyard.registry.card import model_card
from steelyard.registry.identity import GROUP_OF

ADAPTER, ONNX, CARD = "adapter", "onnx", "README.md"
ZIP = ".zip"
GRAPHS = (TuneKind.EMBEDDER, TuneKind.RERANKER, TuneKind.READER)


@dataclass(frozen=True, slots=True)
class Exported:
    """`path` is the folder or zip; `files` says of each what it is. `without` tells why there is
    no ONNX graph; "" if there is one."""

    path: Path
    files: Mapping[str, str]
    without: str


def export(
    home: Path,
    version: Version,
    target: Path,
    *,
    evaluations: tuple[Evaluation, ...],
    recipe: str = "",
) -> Exported:
    """Write a version to `target`, whole or not at all; a name that ends in .zip is a zip.

    Raises:
        InputError: there is something at `target` already, or the version has no artefact.
        SetupError: the artefact is damaged, its base is another, or the disk is full.
    """
    if not version.artefact:
        raise InputError(
            f"{version.id} ({version.name}) is options alone; `steelyard registry show` prints them"
        )
    target = target.expanduser().absolute()
    if target.exists():
        raise InputError(f"{str(target)!r} is there already; name another place, or remove it")
    check_artefact(home, version.artefact)
    make_folder(target.parent)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with explained(target):
            shutil.copytree(artefact_folder(home, version.artefact), beside / ADAPTER)
            files = {f"{ADAPTER}/": "the artefact as it was trained, with its binding"}
            without = _write_onnx(home, version, beside / ONNX, files)
            card = model_card(version, evaluations=evaluations, recipe=recipe, files=files)
            (beside / CARD).write_text(card, encoding="utf-8")
            if target.suffix.lower() == ZIP:
                _zip(beside, target)
            else:
                beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Exported(target, {**files, CARD: "the model card"}, without)


def _write_onnx(home: Path, version: Version, folder: Path, files: dict[str, str]) -> str:
    """Write the graph of base and adapter together; return why there is none."""
    binding = version.binding
    assert binding is not None
    if binding.kind not in GRAPHS or binding.method == FULL:
        return f"a {version.kind} trained by {binding.method} has no ONNX graph of ours"
    group = GROUP_OF.get(binding.kind, "")
    name = str(version.options.get(f"{group}.model") or binding.base.name)
    base = find_model(name)
    check_base(binding, base_model(base, name=name), artefact=version.id)
    from steelyard.infra.bert import build  # loads the runtime
    from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE

    is_late = bool(binding.settings.get("scale"))  # as `rerank/chosen.py` reads it
    ready = {
        TuneKind.EMBEDDER: build.ready_encoder,
        TuneKind.RERANKER: build.ready_tokens if is_late else build.ready_scorer,
        TuneKind.READER: build.ready_reader,
    }[binding.kind]
    built = ready(base, precision="int8", adapter=artefact_folder(home, version.artefact))
    folder.mkdir()
    for file in (built.folder / GRAPH_FILE, built.folder / TENSORS_FILE):
        shutil.copyfile(file, folder / file.name)
    for file in (base / "tokenizer.json", base / "config.json"):
        shutil.copyfile(file, folder / file.name)
    agreement = "cosine" if binding.kind is TuneKind.EMBEDDER else "correlation"
    files[f"{ONNX}/"] = (
        f"base and adapter merged, {built.precision}, {agreement} to float32 {built.cosine:.4f}; "
        "tokenizer and configuration of the base"
    )
    if is_late:
        files[f"{ONNX}/"] += "; it gives each token a weight (a logit), then its vector"
    if built.fallback:
        files[f"{ONNX}/"] += f"; not int8: {built.fallback}"
    return ""


def _zip(folder: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}{ZIP}")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, Path(target.stem) / path.relative_to(folder))
        beside.rename(target)
    finally:
        beside.unlink(missing_ok=True)
