"""What an arm is, in words: a built-in one, or another with some options changed."""

import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.cost import Rates
from steelyard.settings import option_fault, option_types

SEARCH_K = 50  # chunks, so that ten documents are nearly always among them
ANSWER_K = 8  # as the server's default
WHOLE = 1_000_000  # tokens: no document is longer, so that each is one chunk


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """`options` are settings by dotted key, over those of the home.

    `answers`: a whole answer is asked for, else only a search. `gold`: the question's gold
    passages stand in for what a search finds. `home` names another home to ask. `rates` are
    prices given by hand; without any, the price book's hold for the models that it knows.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    answers: bool = False
    k: int = SEARCH_K
    gold: bool = False
    home: str = ""
    rates: Rates = field(default_factory=Rates)


def _search(name: str, **options: Any) -> ArmSpec:
    return ArmSpec(name, {key.replace("__", "."): value for key, value in options.items()})


def _answer(name: str, *, gold: bool = False, **options: Any) -> ArmSpec:
    given = {key.replace("__", "."): value for key, value in options.items()}
    return ArmSpec(name, given, answers=True, k=ANSWER_K, gold=gold)


# bm25 is the textbook's: whole documents, words alone. `lexical` is the served index's own leg.
BUILT_IN: dict[str, ArmSpec] = {
    one.name: one
    for one in (
        _search(
            "bm25",
            retrieve__legs="lexical",
            embed__model="hashing",
            chunk__max_tokens=WHOLE,
            chunk__min_tokens=WHOLE // 2,
        ),
        _search("lexical", retrieve__legs="lexical"),
        _search("dense", retrieve__legs="dense"),
        _search("hybrid", retrieve__legs="hybrid"),
        _search("hybrid+rerank", retrieve__legs="hybrid", rerank__model="default"),
        _answer("base", retrieve__legs="none"),
        _answer("rag"),
        _answer("oracle", gold=True),
    )
}
# Arms that must be told what they are: what they are otherwise, and the option that tells.
TOLD: dict[str, tuple[ArmSpec, str]] = {
    "tuned": (BUILT_IN["base"], "--tuned llm.model=NAME"),
    "tuned+rag": (BUILT_IN["rag"], "--tuned llm.model=NAME"),
}
ANSWERING = (*(name for name, one in BUILT_IN.items() if one.answers), "tuned", "tuned+rag")
_RATES = ("usd_per_mtok_in", "usd_per_mtok_out", "usd_per_hour")
_OF_A_SERVER = "serve."
_OWN = ("k", "home", *_RATES)


def read_arms(
    names: str,
    *,
    lines: Sequence[str] = (),
    file: Path | None = None,
    tuned: Mapping[str, str] | None = None,
    reranked: bool = False,
) -> tuple[ArmSpec, ...]:
    """Return the arms of `names` (a list with commas), then those of `lines`, then of `file`.

    A line is `NAME=BASE key=value ...`: the arm BASE with options of `steelyard settings`, `k`,
    `home`, or a price changed. A TOML file has a table an arm with `base` and the same keys.
    `tuned` are the options of the tuned arms; `reranked`: the home has a reranker, which then
    takes the place of the shipped one.

    Raises:
        InputError: unknown arms, keys or values; all of them at once.
    """
    faults: list[str] = []
    known = dict(BUILT_IN)
    if reranked:
        known["hybrid+rerank"] = replace(known["hybrid"], name="hybrid+rerank")
    for name, (base, _) in TOLD.items():
        if tuned:
            known[name] = replace(base, name=name, options={**base.options, **tuned})
    chosen: list[ArmSpec] = []
    for name in (part.strip() for part in names.split(",") if part.strip()):
        chosen += _named(name, known, faults)
    given = [_of_line(line, faults) for line in lines]
    for each in [*given, *_of_file(file, faults)]:
        if each is not None:
            arm = _changed(each, known, faults)
            known[each.name] = arm
            chosen.append(arm)
    twice = {one.name for one in chosen if sum(o.name == one.name for o in chosen) > 1}
    faults += [f"arm {name!r} is given twice" for name in sorted(twice)]
    if not chosen and not faults:
        where = f"{file} names no arm" if file else "no arm is named"
        hint = 'write [wide] with base = "rag"' if file else "try --arms bm25,dense,hybrid"
        faults.append(f"{where}; {hint}")
    if faults:
        raise InputError("; ".join(dict.fromkeys(faults)))
    return tuple(chosen)


@dataclass(frozen=True, slots=True)
class _Given:
    """An arm as written: what it is made from, and what is different."""

    name: str
    base: str
    values: Mapping[str, Any]
    where: str


def _named(name: str, known: Mapping[str, ArmSpec], faults: list[str]) -> list[ArmSpec]:
    if name in known:
        return [known[name]]
    if name in TOLD:
        faults.append(f"arm {name!r} must be told what it is: add {TOLD[name][1]}")
        return []
    near = get_close_matches(name, [*known, *TOLD], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join([*known, *TOLD])}"
    faults.append(f"no arm is called {name!r}; {hint}")
    return []


def _of_line(line: str, faults: list[str]) -> _Given | None:
    try:
        head, *pairs = shlex.split(line)
    except ValueError as error:
        faults.append(f"--arm {line!r}: {error or 'nothing is named'}")
        return None
    name, equals, base = head.partition("=")
    values: dict[str, Any] = {}
    for pair in pairs:
        key, has_value, value = pair.partition("=")
        if not has_value:
            faults.append(f"--arm {line!r}: {pair!r} has no '='")
        values[key] = value
    if not equals or not name or not base:
        faults.append(f"--arm {line!r} is not NAME=BASE key=value ..., as wide=rag k=20")
        return None
    return _Given(name, base, values, f"--arm {line!r}")


def _of_file(file: Path | None, faults: list[str]) -> Iterable[_Given | None]:
    if file is None:
        return
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        faults.append(f"{file} cannot be read: {error}")
        return
    for name, table in tables.items():
        where = f"{file}: [{name}]"
        if not isinstance(table, dict) or not isinstance(table.get("base"), str):
            faults.append(f'{where} needs base = "..." , one of {", ".join(BUILT_IN)}')
            continue
        yield _Given(name, table.pop("base"), _flat(table), where)


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def _changed(given: _Given, known: Mapping[str, ArmSpec], faults: list[str]) -> ArmSpec:
    found = _named(given.base, known, faults)
    arm = replace(found[0], name=given.name) if found else ArmSpec(given.name)
    options = option_types()
    for key, value in given.values.items():
        if key.startswith(_OF_A_SERVER):
            faults.append(f"{given.where}: {key} is the server's, and changes no answer")
        elif key in options:
            if fault := option_fault(key, value):
                faults.append(f"{given.where}: {fault}")
            arm = replace(arm, options={**arm.options, key: value})
        elif key in _OWN:
            try:
                arm = _own(arm, key, value)
            except ValueError as error:
                faults.append(f"{given.where}: {key} = {value!r}: {error}")
        else:
            near = get_close_matches(key, [*options, *_OWN], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            faults.append(f"{given.where}: unknown option {key!r}{hint}")
    return arm


def _own(arm: ArmSpec, key: str, value: Any) -> ArmSpec:
    if key == "home":
        return replace(arm, home=str(value))
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError("a number is needed") from None
    if not 0 <= number < 1e9:
        raise ValueError("a number from 0 on is needed")
    if key == "k":
        if number != int(number) or not 1 <= number <= 200:
            raise ValueError("a whole number from 1 to 200 is needed")
        return replace(arm, k=int(number))
    return replace(arm, rates=replace(arm.rates, **{key: number}))
