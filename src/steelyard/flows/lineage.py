"""Where a version comes from: its base, the run, the training data and what that was made from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.registry import Action, Evaluation, Version
from steelyard.core.tuning import BaseModel, Binding
from steelyard.datasets.training import find_version
from steelyard.flows.registry import Registry
from steelyard.registry import check_base_of

RUNS = Path("tune") / "runs"
_SHORT = 12  # of a hash, as people compare them


@dataclass(frozen=True, slots=True)
class Branch:
    """`what` it is, its `name`, what there is to `tell`, and what it was made from.

    `missing`: only its name is known here.
    """

    what: str
    name: str
    tell: Mapping[str, Any]
    made_from: tuple["Branch", ...] = ()
    missing: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """What two versions do not share, by name: the one's value and the other's."""

    options: Mapping[str, tuple[Any, Any]]
    lineage: Mapping[str, tuple[str, str]]


def lineage(registry: Registry, version: Version) -> Branch:
    """Return a version as a tree of what it was made from."""
    binding = version.binding
    tell = {
        "kind": version.kind,
        "artefact": version.artefact[:_SHORT],
        "licence": version.licence,
        "weighed": [
            f"{e.run} {'passed' if e.passed else 'refused'}" for e in weighed(registry, version)
        ],
    }
    made_from: list[Branch] = []
    if binding is not None:
        made_from = [_run(registry.home, binding), _base(registry, version, binding.base)]
    return Branch("version", f"{version.name} {version.id}", tell, tuple(made_from))


def weighed(registry: Registry, version: Version) -> tuple[Evaluation, ...]:
    """Return how a version did, the newest first."""
    return tuple(
        event.evaluation
        for event in reversed(registry.store.registry_history(version.id))
        if event.action is Action.WEIGH and event.evaluation is not None
    )


def recipe_of(registry: Registry, version: Version) -> str:
    """Return the effective recipe of the run that made a version; "": it is not here."""
    if version.binding is None or not version.binding.run:
        return ""
    try:
        path = registry.home / RUNS / version.binding.run / "recipe.yaml"
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def difference(one: Version, other: Version) -> Difference:
    """Return in what two versions differ; their scores are compared by whoever weighed them."""
    keys = sorted(set(one.options) | set(other.options))
    options = {
        key: (one.options.get(key), other.options.get(key))
        for key in keys
        if one.options.get(key) != other.options.get(key)
    }
    left, right = _traits(one), _traits(other)
    names = dict.fromkeys([*left, *right])
    return Difference(
        options,
        {
            name: (left.get(name, ""), right.get(name, ""))
            for name in names
            if left.get(name, "") != right.get(name, "")
        },
    )


def _traits(version: Version) -> dict[str, str]:
    traits = {
        "kind": version.kind,
        "artefact": version.artefact[:_SHORT],
        "licence": version.licence,
    }
    if (binding := version.binding) is not None:
        traits |= {
            "base": f"{binding.base.name} {binding.base.weights_sha256[:_SHORT]}",
            "tokenizer": binding.base.tokenizer_sha256[:_SHORT],
            "template": binding.base.template_sha256[:_SHORT],
            "method": binding.method,
            "layers": str(binding.layers or "all"),
            "max_tokens": str(binding.max_tokens),
            "run": binding.run,
            "data": binding.dataset,
            "recipe": binding.recipe_sha256[:_SHORT],
        }
    return traits


def _run(home: Path, binding: Binding) -> Branch:
    name = binding.run or "not told"
    try:
        told = json.loads((home / RUNS / binding.run / "state.json").read_bytes())
        tell = {key: told[key] for key in ("state", "step", "num_steps", "ended_at") if key in told}
        missing = False
    except (OSError, ValueError, TypeError):
        tell, missing = {}, True
    tell = {"method": binding.method, "recipe": binding.recipe_sha256[:_SHORT], **tell}
    return Branch("run", name, tell, _data(home, binding.dataset), missing or not binding.run)


def _data(home: Path, named: str, depth: int = 0) -> tuple[Branch, ...]:
    """Return versions of training data with what each was made from, as far as they are here."""
    found = []
    for one in named.replace(",", " ").split():
        identity, _, split = one.partition("@")
        try:
            version = find_version(home, identity)
        except (NotFound, InputError, SetupError):
            found.append(Branch("data", one, {}, missing=True))
            continue
        parents = " ".join(version.parents) if depth < 50 else ""
        tell = {
            "rows": version.num_rows,
            "kind": version.kind.value,
            "split": split,
            "made by": version.recipe.get("verb", ""),
            "licence": version.recipe.get("licence", ""),
            "sources": ", ".join(version.sources),
        }
        name = f"{version.name} {version.id}"
        found.append(Branch("data", name, tell, _data(home, parents, depth + 1)))
    return tuple(found)


def _base(registry: Registry, version: Version, base: BaseModel) -> Branch:
    check = check_base_of(registry.home, version, registry.champions_with(version).options)
    tell = {
        "weights": base.weights_sha256[:_SHORT],
        "tokenizer": base.tokenizer_sha256[:_SHORT],
        "template": base.template_sha256[:_SHORT],
        "here": check.fault or check.note or "the same",
    }
    return Branch("base", base.name, tell)
