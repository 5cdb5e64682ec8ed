"""What a version is: its id, the options that serve it, and the folder that they stand for."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.core.registry import ARTEFACT_MARK, Champions, Version
from steelyard.core.tuning import Binding, TuneKind
from steelyard.registry.artefacts import artefact_folder

ID_CHARS = 16  # of the SHA-256: a clash within 4 billion versions
# The groups of options that name a base and an adapter to it.
GROUP_OF: Mapping[str, str] = {
    TuneKind.EMBEDDER: "embed",
    TuneKind.RERANKER: "rerank",
    TuneKind.READER: "reader",
}


def version_id(kind: str, options: Mapping[str, Any], artefact: str) -> str:
    """Return the id that equal content has everywhere."""
    content = json.dumps([kind, dict(options), artefact], sort_keys=True, ensure_ascii=False)
    return "v" + hashlib.sha256(content.encode()).hexdigest()[:ID_CHARS]


def usual_options(binding: Binding, *, base: str = "") -> dict[str, Any]:
    """Return the options that serve a trained artefact: its own, else those of its kind.

    `base` is where the base is, if its name does not say it. A language model's adapter without
    it is put on the home's own `llm.local`.
    """
    group = GROUP_OF.get(binding.kind)
    if binding.options:
        return dict(binding.options) | ({f"{group}.model": base} if group and base else {})
    if binding.kind is TuneKind.LLM:
        if binding.method == "full":
            return {"llm.local": ARTEFACT_MARK}
        return {"llm.adapter": ARTEFACT_MARK} | ({"llm.local": base} if base else {})
    if group is None:
        return {}
    options: dict[str, Any] = {
        f"{group}.model": base or binding.base.name,
        f"{group}.adapter": ARTEFACT_MARK,
    }
    if binding.max_tokens:
        options[f"{group}.max_tokens"] = binding.max_tokens
    return options


def marked(options: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Return options that do not depend on where the artefact lay: its folder becomes a mark."""
    where = source.expanduser().resolve()

    def is_it(value: Any) -> bool:
        return (
            isinstance(value, str) and value != "" and Path(value).expanduser().resolve() == where
        )

    return {key: ARTEFACT_MARK if is_it(value) else value for key, value in options.items()}


def expanded(home: Path, version: Version) -> dict[str, Any]:
    """Return a version's options with its artefact's folder in them."""
    folder = str(artefact_folder(home, version.artefact)) if version.artefact else ""
    return {
        key: value.replace(ARTEFACT_MARK, folder) if isinstance(value, str) else value
        for key, value in version.options.items()
    }


def together(home: Path, seq: int, versions: tuple[Version, ...]) -> Champions:
    """Return what is served when these are the champions; no two of them set one option."""
    options: dict[str, Any] = {}
    versions_of: dict[str, str] = {}
    for version in versions:
        options |= expanded(home, version)
        versions_of |= dict.fromkeys(version.options, version.id)
    return Champions(seq, versions, options, versions_of)


def options_id(options: Mapping[str, Any]) -> str:
    """Return a hash of what is served, to know whether it is the same still."""
    content = json.dumps(dict(options), sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:ID_CHARS]
