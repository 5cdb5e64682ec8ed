"""Scenarios by name, and scenarios from a file of the user's."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from steelyard.advise.scenario import Scenario
from steelyard.core.errors import InputError, NotFound


def scenario_names() -> tuple[str, ...]:
    return tuple(_built_in())


def named_scenario(name: str, given: dict[str, Any] | None = None) -> Scenario:
    """Return a scenario that Steelyard brings, with `given` over it.

    Raises:
        NotFound: there is none of that name.
        InputError: `given` is wrong; says all that is.
    """
    known = _built_in()
    if name not in known:
        raise NotFound(f"there is no scenario {name!r}; there are {', '.join(known)}")
    return Scenario.read(known[name] | (given or {}), name=name)


def scenario_of_file(path: Path, given: dict[str, Any] | None = None) -> Scenario:
    """Return the scenario that a TOML file describes, with `given` over it.

    Raises:
        InputError: it cannot be read, or is wrong; says all that is.
    """
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{str(path)!r} is no scenario: {error}", code="bad_scenario") from error
    return Scenario.read(read | (given or {}), name=path.stem)


def _built_in() -> dict[str, dict[str, Any]]:
    text = files("steelyard.advise").joinpath("scenarios.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
