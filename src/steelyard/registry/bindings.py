"""Whether a version fits the base that it would be merged into, here and now."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import SetupError
from steelyard.core.registry import Version
from steelyard.infra.binding import base_model, check_base, read_binding
from steelyard.infra.models import find_model
from steelyard.registry.artefacts import artefact_folder, check_loaded
from steelyard.registry.identity import GROUP_OF

FULL = "full"  # the method whose artefact needs no base: it is a whole model


@dataclass(frozen=True, slots=True)
class BaseCheck:
    """`fault`: the base is here and is another, or what serves this kind needs it and it is not
    here. `note`: why it could not be compared."""

    fault: str = ""
    note: str = ""


def check_adapter(adapter: str | None, *, model: str, allow_download: bool = False) -> None:
    """Check an adapter before it is merged: its bytes, if a registry keeps it, and its base, if it
    says which one it was trained on.

    Raises:
        SetupError: a byte was changed, or the base is another.
    """
    if not adapter:
        return
    folder = Path(adapter).expanduser()
    check_loaded(folder)
    binding = read_binding(folder)
    if binding is not None and binding.method != FULL:
        base = base_model(find_model(model, allow_download=allow_download), name=model)
        check_base(binding, base, artefact=adapter)


def check_base_of(home: Path, version: Version, options: Mapping[str, Any]) -> BaseCheck:
    """Compare a version's base with the model that `options` name, by content."""
    binding = version.binding
    if binding is None:
        return BaseCheck()
    if read_binding(artefact_folder(home, version.artefact)) != binding:
        return BaseCheck(f"{version.id}: its steelyard.json is not the one that was registered")
    if binding.method == FULL:
        return BaseCheck(note=f"{version.id} is a whole model and needs no base")
    group = GROUP_OF.get(binding.kind)
    name = str(options.get(f"{group}.model") or "") if group else ""
    name = name or binding.base.name
    try:
        folder = Path(name).expanduser()
        base = base_model(folder if folder.is_dir() else find_model(name), name=name)
    except SetupError as error:
        if group is not None:
            return BaseCheck(f"{version.id}: its base cannot be read: {error}")
        return BaseCheck(note=f"{version.id}: its base {name!r} is not here, so it is not compared")
    try:
        check_base(binding, base, artefact=version.id)
    except SetupError as error:
        return BaseCheck(error.message)
    return BaseCheck()
