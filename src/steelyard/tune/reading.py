"""YAML and flags → a recipe: unknown keys fail with a suggestion, all faults at once."""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from steelyard.core.errors import InputError
from steelyard.core.tuning import TuneKind
from steelyard.tune.needs import INSTALL
from steelyard.tune.recipe import DEFAULTS, FULL_LR, SECTIONS, Recipe, effective

_RECIPE = TypeAdapter(Recipe)


def read_recipe(path: Path, *, flags: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe of a YAML file; `flags` (dotted key → value) come before what it says.

    Raises:
        InputError: no such file, no YAML, or a recipe with faults: all of them.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {str(path)!r} cannot be read ({error})") from error
    return make_recipe(parse_yaml(text, place=path.name), flags=flags, place=path.name)


def make_recipe(
    given: Mapping[str, Any], *, flags: Mapping[str, Any] | None = None, place: str = "flags"
) -> Recipe:
    """Return the recipe that a mapping describes: defaults of the kind < mapping < flags.

    Raises:
        InputError: the faults of all values and keys, each with its place and the repair.
    """
    values = _merged({}, given)
    faults = [fault for key, value in (flags or {}).items() if (fault := _put(values, key, value))]
    kind = _kind_of(values)
    if kind is not None:
        values = _merged(_defaults(kind, values), values)
        faults += [
            f"{name}: is for kind {name!r}, and this recipe's kind is {kind.value!r}; remove it"
            for name in SECTIONS
            if name in values and name != kind.value
        ]
        values = {key: value for key, value in values.items() if key not in SECTIONS or key == kind}
    try:
        recipe = _RECIPE.validate_python(values)
    except ValidationError as error:
        faults += [
            _told(one["loc"], one["type"], one["msg"], one["input"]) for one in error.errors()
        ]
        recipe = None
    if recipe is not None:
        faults += list(_conflicts(recipe))
    if faults or recipe is None:
        raise InputError(f"the recipe in {place} is wrong:\n  " + "\n  ".join(faults))
    return recipe


def parse_yaml(text: str, *, place: str) -> dict[str, Any]:
    """Return the mapping of a YAML text; a key given twice is a fault.

    Raises:
        InputError: it is no YAML, no mapping, or says something twice.
    """
    yaml = _yaml()
    try:
        content = yaml.load(text, Loader=_strict_loader(yaml))
    except yaml.YAMLError as error:
        raise InputError(f"{place} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{place} holds no keys; write at least `kind:` and `data:` (docs/tuning.md)"
        )
    return content


def recipe_text(recipe: Recipe) -> str:
    """Return the effective configuration as YAML, the same for the same recipe."""
    text: str = _yaml().safe_dump(effective(recipe), sort_keys=False, allow_unicode=True)
    return text


def recipe_sha256(recipe: Recipe) -> str:
    return hashlib.sha256(json.dumps(effective(recipe), sort_keys=True).encode()).hexdigest()


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"recipes are YAML, whose reader is missing; run: {INSTALL}") from error
    return yaml


def _strict_loader(yaml: Any) -> Any:
    class Strict(yaml.SafeLoader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key, (place, _) in zip(keys, node.value, strict=True):
                if keys.count(key) > 1:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key!r} is given twice", place.start_mark
                    )
            return super().construct_mapping(node, deep)

    return Strict


def _kind_of(values: Mapping[str, Any]) -> TuneKind | None:
    try:
        return TuneKind(values.get("kind", ""))
    except ValueError:
        return None


def _defaults(kind: TuneKind, values: Mapping[str, Any]) -> dict[str, Any]:
    merged = _merged({}, DEFAULTS[kind])
    if values.get("method") == "full":
        whole = {"lora": {"strength": 1.0}, "train": {"lr": FULL_LR, "head_lr": 0.0}}
        merged = _merged(merged, whole)
    return merged


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, `above` first; mappings within are merged too, an empty section says nothing."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping):
            under = merged.get(key)
            merged[key] = _merged(under if isinstance(under, Mapping) else {}, value)
        elif value is not None or not _keys_of([key]):
            merged[key] = value
    return merged


def _put(values: dict[str, Any], key: str, value: Any) -> str:
    """Set a dotted key; return the fault if it leads through something that has no keys."""
    *sections, last = key.split(".")
    at = values
    for name in sections:
        inner = at.setdefault(name, {})
        if not isinstance(inner, dict):
            return f"{key}: {name!r} has no keys in this recipe"
        at = inner
    at[last] = value
    return ""


def _told(loc: tuple[int | str, ...], kind: str, message: str, given: Any) -> str:
    path = [str(part) for part in loc]
    place = ".".join(path)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place}: no such key{_nearest(path)}"
    if kind == "missing":
        return f"{place}: is missing; give one of {', '.join(SECTIONS)}"
    reason = message.removeprefix("Input ").removeprefix("should be ")
    return f"{place}: {given!r} must be {reason}" if reason != message else f"{place}: {message}"


def _nearest(path: list[str]) -> str:
    names = _keys_of(path[:-1])
    found = get_close_matches(path[-1], names, n=1, cutoff=0.5)
    elsewhere = [f"{name}.{path[-1]}" for name in _keys_of([]) if path[-1] in _keys_of([name])]
    if elsewhere:
        return f"; did you mean {elsewhere[0]!r}?"
    if found:
        return f"; did you mean {'.'.join([*path[:-1], found[0]])!r}?"
    return f"; known are {', '.join(names)}"


def _keys_of(path: Iterable[str]) -> list[str]:
    where: Any = Recipe
    for name in path:
        where = typing.get_type_hints(where).get(name)
    return (
        [one.name for one in dataclasses.fields(where)] if dataclasses.is_dataclass(where) else []
    )


_HEADLESS = (TuneKind.EMBEDDER, TuneKind.LLM)


def _conflicts(recipe: Recipe) -> Iterable[str]:
    train = recipe.train
    if train.batch_size % train.accumulate:
        yield (
            f"train.accumulate: {train.accumulate} pieces do not divide a batch of "
            f"{train.batch_size}; give a divisor of train.batch_size"
        )
    if recipe.method == "qlora" and recipe.kind is not TuneKind.LLM:
        yield f"method: 'qlora' is for kind 'llm'; a {recipe.kind.value} takes 'lora' or 'full'"
    if recipe.lora.strength < 1 and (recipe.method == "full" or recipe.kind not in _HEADLESS):
        yield (
            f"lora.strength: {recipe.lora.strength:g} is for adapters without a head of their own; "
            f"kind {recipe.kind.value!r} by method {recipe.method!r} takes 1"
        )
    if recipe.kind is TuneKind.EMBEDDER and recipe.method == "full" and recipe.embedder.margin:
        yield "embedder.margin: is told by the untuned model, which method 'full' does not keep"
