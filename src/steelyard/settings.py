"""Every option in one place: defaults < `settings.toml` < champions < environment < flags.

The options themselves live beside the code that uses them; this file only gathers them. What was
promoted in the registry comes after the home's file, because it was measured over that file, and a
promotion that a forgotten line undoes would be none. An environment or a flag is somebody's word
for this one process, so it wins, and it is told that the champion is not what serves.
"""

import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from steelyard.cache import CacheOptions
from steelyard.chunk import ChunkOptions
from steelyard.core.errors import SetupError
from steelyard.core.registry import Champions
from steelyard.embed import EmbedOptions
from steelyard.flows.registry import read_champions
from steelyard.generate import LlmOptions, ReaderOptions
from steelyard.index import IndexOptions
from steelyard.infra.files import explained, write_atomic
from steelyard.parse import ParseOptions
from steelyard.rerank import RerankOptions
from steelyard.retrieve import ContextOptions, RetrieveOptions

ENV_PREFIX = "STEELYARD_"
FILE_NAME = "settings.toml"
# Environment names of ours that are not options.
NOT_OPTIONS = frozenset(
    {
        "STEELYARD_HOME",
        "STEELYARD_CACHE",
        "STEELYARD_DATA",
        "STEELYARD_KEY",
        "STEELYARD_LLM_KEY",
        "STEELYARD_RERANK_KEY",
        "STEELYARD_JUDGE_KEY",
        "STEELYARD_HOSTED_KEY",
        "STEELYARD_PURGE_TOKEN",
    }
)


_Given = Mapping[str, tuple[Any, str]]  # dotted key → value and origin
MAX_CHALLENGER_SHARE = 0.5  # of the users: more of them is a promotion


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where the server listens, and how much it takes at once.

    Beyond loopback it needs API keys (`steelyard keys add`). Past `max_computing` questions that
    are being searched or answered, or `max_open` that wait for a language model too, a request
    is answered 429.

    An edge cache may keep public answers for `edge_ttl_s`, once `purge_url` names what tells it
    of changed documents (`STEELYARD_PURGE_TOKEN` is sent along). `public_key` names the API key
    that the edge holds: what it may read, anybody may.

    `challenger` is a TOML file with one arm, another way to answer, which `challenger_share` of
    the users see while `steelyard eval ab` compares both (docs/live.md).
    """

    host: str = "127.0.0.1"
    port: int = 8080
    max_computing: int = 64
    max_open: int = 512
    purge_url: str = ""
    public_key: str = ""
    edge_ttl_s: int = 300
    challenger: str = ""
    challenger_share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.challenger_share <= MAX_CHALLENGER_SHARE:
            raise ValueError(
                f"challenger_share {self.challenger_share} is no share from 0 to "
                f"{MAX_CHALLENGER_SHARE}"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """All options, one group a room."""

    serve: ServeOptions = field(default_factory=ServeOptions)
    parse: ParseOptions = field(default_factory=ParseOptions)
    chunk: ChunkOptions = field(default_factory=ChunkOptions)
    embed: EmbedOptions = field(default_factory=EmbedOptions)
    index: IndexOptions = field(default_factory=IndexOptions)
    retrieve: RetrieveOptions = field(default_factory=RetrieveOptions)
    rerank: RerankOptions = field(default_factory=RerankOptions)
    context: ContextOptions = field(default_factory=ContextOptions)
    cache: CacheOptions = field(default_factory=CacheOptions)
    llm: LlmOptions = field(default_factory=LlmOptions)
    reader: ReaderOptions = field(default_factory=ReaderOptions)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the origin of each: `default`, the file's path, `registry VERSION`, `$NAME`, or
    `flag`. `notes` tell where two of them disagree about what was promoted."""

    settings: Settings
    origins: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, Any, str]]:
        """Return (key, value, origin) of every option, in order; passwords of URLs are hidden."""
        return [
            (key, _without_password(value), self.origins.get(key, "default"))
            for key, value in _flatten(self.settings).items()
        ]


def load_settings(
    home: Path,
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    champions: Champions | None = None,
) -> Loaded:
    """Gather the options that hold for `home`; `flags` maps dotted keys to values.

    `champions` are what the registry has it serve; None: as the home says at this moment.

    Raises:
        SetupError: unknown keys or values of a wrong type, all of them at once.
    """
    env = os.environ if environment is None else environment
    given: dict[str, tuple[Any, str]] = {}
    faults: list[str] = []
    for key, value in _from_file(home / FILE_NAME).items():
        given[key] = (value, str(home / FILE_NAME))
    champions = read_champions(home) if champions is None else champions
    promoted = {key: (value, _registry(champions, key)) for key, value in champions.options.items()}
    from_file = dict(given)
    given |= promoted
    for name in sorted(env):
        if name.startswith(ENV_PREFIX) and name not in NOT_OPTIONS:
            env_key = _env_names().get(name)
            if env_key is None:
                faults.append(f"${name} is no option of ours{_nearest(name, _env_names())}")
            else:
                given[env_key] = (env[name], f"${name}")
    for key, value in (flags or {}).items():
        if value is not None:
            given[key] = (value, "flag")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key, (value, origin) in given.items():
        try:
            values[key] = _value(key, value)
            origins[key] = origin
        except ValueError as error:
            faults.append(f"{origin}: {error}")
    settings = Settings()
    if not faults:
        try:
            settings = _with_all(values)
        except ValueError as error:
            faults.append(_blamed(values, origins) or str(error))
    if faults:
        raise SetupError(
            "settings are wrong:\n  " + "\n  ".join(faults) + "\nrun `steelyard settings --help`"
        )
    return Loaded(settings, origins, _disagreeing(promoted, from_file, given))


def _registry(champions: Champions, key: str) -> str:
    return f"registry {champions.versions_of[key]}"


def _disagreeing(promoted: _Given, from_file: _Given, given: _Given) -> tuple[str, ...]:
    """Return a sentence for each option where a champion's value is not the only one."""
    notes = []
    for key, (value, origin) in promoted.items():
        said, where = from_file.get(key, (value, ""))
        if said != value:
            notes.append(f"{key} = {said!r} of {where} gives way to {value!r} of {origin}")
        used, by = given[key]
        if by != origin and str(used) != str(value):
            notes.append(
                f"{key} = {used!r} of {by} stands in for {value!r} of {origin}: what was promoted "
                "is not what serves"
            )
    return tuple(notes)


def save_option(home: Path, key: str, value: int | float | bool) -> Path:
    """Write one option into the home's settings file, keep all else as it is; return the file.

    Raises:
        SetupError: the file cannot be read or written, or is written in a way that we do not
            edit; says which line to write by hand.
    """
    path = home / FILE_NAME
    before = _from_file(path)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    group, name = key.split(".", 1)
    line = f"{name} = {str(value).lower()}"
    table = re.search(rf"^\[{group}\][^\n]*\n?(?:(?!^\s*\[).*\n?)*", text, re.MULTILINE)
    if table is None:
        after = f"{text.rstrip()}\n\n[{group}]\n{line}\n".lstrip()
    else:
        body = table.group().rstrip("\n")
        changed, num_changed = re.subn(rf"^\s*{name}\s*=.*$", line, body, flags=re.MULTILINE)
        body = changed if num_changed else f"{body}\n{line}"
        after = text[: table.start()] + body + "\n" + text[table.end() :]
    try:
        kept = _flat_tables(tomllib.loads(after)) == before | {key: value}
    except tomllib.TOMLDecodeError:
        kept = False
    if not kept:
        raise SetupError(f"{path} is written too freely to edit; write `{line}` under [{group}]")
    home.mkdir(parents=True, exist_ok=True)
    with explained(path):
        write_atomic(path, after.encode())
    return path


def option_types() -> dict[str, Any]:
    """Return dotted key → type of every option."""
    kinds: dict[str, Any] = {}
    for group in fields(Settings):
        options = typing.get_type_hints(Settings)[group.name]
        for name, kind in typing.get_type_hints(options).items():
            kinds[f"{group.name}.{name}"] = kind
    return kinds


def option_value(key: str, value: Any) -> Any:
    """Return an option's value in its own type, as JSON can hold it; text is read as a flag is.

    Raises:
        ValueError: there is no such option, or it cannot have this value.
    """
    group, _, name = key.partition(".")
    held = getattr(getattr(_with(key, value), group), name)
    return list(held) if isinstance(held, tuple) else held


def option_fault(key: str, value: Any) -> str:
    """Return why an option, by its dotted key, cannot have this value; "" if it can."""
    try:
        _with(key, value)
    except ValueError as error:
        return str(error)
    return ""


def _from_file(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read: {error}; repair or remove the file") from error
    return _flat_tables(tables)


def _flat_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for group, table in tables.items():
        if isinstance(table, dict):
            flat |= {f"{group}.{name}": value for name, value in table.items()}
        else:
            flat[group] = table
    return flat


def _with(key: str, value: Any) -> Settings:
    """Return the defaults with one option set; raises as `_with_all` does."""
    return _with_all({key: _value(key, value)})


def _with_all(values: Mapping[str, Any]) -> Settings:
    """Return the defaults with options set, a group's at once: what binds them holds for all.

    Raises:
        ValueError, SetupError: the options of a group do not go together, or one is out of range.
    """
    of_group: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, name = key.split(".", 1)
        of_group.setdefault(group, {})[name] = value
    settings = Settings()
    for group, own in of_group.items():
        try:
            changed = replace(getattr(settings, group), **own)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{group}: {error}") from error
        settings = replace(settings, **{group: changed})
    return settings


def _blamed(values: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """Return the fault of the first option that is wrong by itself, and who gave it; "": none."""
    for key, value in values.items():
        try:
            _with_all({key: value})
        except ValueError as error:
            return f"{origins[key]}: {key} = {value!r}: {error}"
        except SetupError:
            continue
    return ""


def _value(key: str, value: Any) -> Any:
    """Return an option's value as its type; raises ValueError."""
    kinds = option_types()
    if key not in kinds:
        raise ValueError(f"unknown option {key!r}{_nearest(key, list(kinds))}")
    try:
        return _convert(value, kinds[key])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{key} = {value!r}: {error}") from error


def _convert(value: Any, kind: Any) -> Any:
    """Return `value` as `kind`; text (from the environment or a flag) is read as TOML would."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        inner = [arg for arg in typing.get_args(kind) if arg is not type(None)]
        return None if value in ("", None) else _convert(value, inner[0])
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Sequence):
            raise ValueError("a list is needed")
        return tuple(str(part).strip() for part in parts if str(part).strip())
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        found = value if isinstance(value, bool) else words.get(str(value).lower())
        if found is None:
            raise ValueError("true or false is needed")
        return found
    if kind in (int, float):
        if isinstance(value, bool):
            raise ValueError("a number is needed")
        try:
            return kind(value)
        except (TypeError, ValueError):
            needed = "a whole number" if kind is int else "a number"
            raise ValueError(f"{needed} is needed") from None
    if kind is str and not isinstance(value, str):
        raise ValueError("text is needed")
    return value if kind is Any else kind(value)


def _flatten(settings: Settings) -> dict[str, Any]:
    return {
        f"{group.name}.{option.name}": getattr(getattr(settings, group.name), option.name)
        for group in fields(settings)
        for option in fields(getattr(settings, group.name))
    }


def _without_password(value: Any) -> Any:
    return re.sub(r"(?<=://)[^@/\s]*@", "***@", value) if isinstance(value, str) else value


def _env_names() -> dict[str, str]:
    return {ENV_PREFIX + key.replace(".", "_").upper(): key for key in option_types()}


def _nearest(name: str, known: Sequence[str] | Mapping[str, str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
