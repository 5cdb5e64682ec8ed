"""`steelyard.json`: what a trained artefact is bound to, written by training, proved on load."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steelyard.core.errors import SetupError
from steelyard.core.tuning import BaseModel, Binding, TuneKind
from steelyard.infra.models import WEIGHTS_FILE, file_sha256

BINDING_FILE = "steelyard.json"
FORMAT = 1

_TEMPLATE_FILE = "chat_template.jinja"


def read_binding(folder: Path) -> Binding | None:
    """Return what the artefact in `folder` is bound to; None: it does not say (a foreign one).

    Raises:
        SetupError: the file is damaged, or of a newer format.
    """
    path = folder / BINDING_FILE
    try:
        return binding_of(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{str(path)!r} lacks or garbles {error}; export or train the artefact again"
        ) from error


def binding_of(content: Mapping[str, Any]) -> Binding:
    """Return the binding that `binding_json` wrote; ValueError, KeyError, TypeError: it is none."""
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']!r} (known: {FORMAT})")
    fields = {key: value for key, value in content.items() if key != "format"}
    fields["kind"] = TuneKind(fields["kind"])
    fields["base"] = BaseModel(**fields["base"])
    fields["labels"] = tuple(fields.get("labels", ()))
    return Binding(**fields)


def binding_json(binding: Binding) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(binding)}


def write_binding(folder: Path, binding: Binding) -> None:
    text = json.dumps(binding_json(binding), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / BINDING_FILE).write_text(text + "\n", encoding="utf-8")


def base_model(path: Path, *, name: str) -> BaseModel:
    """Return what the model directory `path` is, by content.

    Raises:
        SetupError: a file is missing or may not be read.
    """
    return BaseModel(
        name=name,
        weights_sha256=_weights_sha256(path),
        tokenizer_sha256=file_sha256(path / "tokenizer.json"),
        template_sha256=_template_sha256(path),
    )


def check_base(binding: Binding, base: BaseModel, *, artefact: str) -> None:
    """Check that an artefact fits the base that it is about to be merged into.

    Raises:
        SetupError: weights, tokenizer or chat template are others; names all that differ.
    """
    wanted = binding.base
    differing = [
        f"{what} ({getattr(wanted, field)[:12]} wanted, {getattr(base, field)[:12]} found)"
        for what, field in (
            ("weights", "weights_sha256"),
            ("tokenizer", "tokenizer_sha256"),
            ("chat template", "template_sha256"),
        )
        if getattr(wanted, field) != getattr(base, field)
    ]
    if differing:
        raise SetupError(
            f"artefact {artefact!r} was trained on {wanted.name!r} and does not fit "
            f"{base.name!r}: other {', '.join(differing)}; use the base that it was trained on"
        )


def _weights_sha256(path: Path) -> str:
    if (path / WEIGHTS_FILE).is_file():
        return file_sha256(path / WEIGHTS_FILE)
    shards = sorted(path.glob("model-*-of-*.safetensors"))
    if not shards:
        raise SetupError(f"{str(path / WEIGHTS_FILE)!r} is missing; download the model again")
    return hashlib.sha256("".join(map(file_sha256, shards)).encode()).hexdigest()


def _template_sha256(path: Path) -> str:
    template = _template(path)
    return hashlib.sha256(template.encode()).hexdigest() if template else ""


def _template(path: Path) -> str:
    """Return the chat template as transformers finds it: its own file first."""
    own = path / _TEMPLATE_FILE
    if own.is_file():
        return own.read_text(encoding="utf-8")
    config = path / "tokenizer_config.json"
    if not config.is_file():
        return ""
    try:
        content = json.loads(config.read_bytes())
    except ValueError as error:
        raise SetupError(f"{str(config)!r} is no JSON ({error}); download it again") from error
    template = content.get("chat_template") if isinstance(content, Mapping) else ""
    if not template:
        return ""
    return template if isinstance(template, str) else json.dumps(template, sort_keys=True)
