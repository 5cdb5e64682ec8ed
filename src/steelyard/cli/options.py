"""What the verbs share: their options, and opening the home that they name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.app import App, open_app
from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.store import DATABASE

DEFAULT_HOME = Path(".steelyard")
# The command line is the machine's owner: it manages everything and searches as `public`,
# or as the groups that it names.
OWNER = Principal(id="owner", groups=PUBLIC.groups, operator=True)

Home = Annotated[
    Path | None, typer.Option("--home", envvar="STEELYARD_HOME", help="the folder of the home")
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document to stdout")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="the collection")]
Groups = Annotated[
    str, typer.Option("--groups", help="comma-separated groups: for whom, or as whom")
]
Filter = Annotated[
    str, typer.Option("--filter", help='JSON, for example {"uri": "*/hr/*"} or {"lang": "en"}')
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="an option, for example chunk.max_tokens=256")
]
LlmUrl = Annotated[str | None, typer.Option("--llm-url", help="an OpenAI-compatible endpoint")]
LlmModel = Annotated[str | None, typer.Option("--llm-model", help="the model's name there")]
LlmGguf = Annotated[str | None, typer.Option("--llm-gguf", help="a local GGUF file (extra `llm`)")]


@contextmanager
def opened(
    ctx: typer.Context, home: Path | None, flags: dict[str, Any], pairs: list[str] | None = None
) -> Iterator[App]:
    app = open_app(home_of(ctx, home), flags=flags | pairs_of(pairs))
    try:
        yield app
    finally:
        app.close()


def home_of(ctx: typer.Context, home: Path | None) -> Path:
    return home or ctx.find_root().obj or DEFAULT_HOME


def database_of(ctx: typer.Context, home: Path | None) -> Path:
    """Return the database of a home that is there; raise NotFound, rather than make one."""
    path = home_of(ctx, home) / DATABASE
    if not path.exists():
        raise NotFound(f"there is no home at {str(path.parent)!r}: name it by --home")
    return path


def pairs_of(pairs: list[str] | None) -> dict[str, str]:
    given: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} has no '='; write --set chunk.max_tokens=256")
        given[key.strip()] = value.strip()
    return given


def names_of(groups: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in groups.split(",") if name.strip())


def query_of(question: str, k: int, collection: str, groups: str, filter_json: str) -> Query:
    try:
        wanted = json.loads(filter_json) if filter_json else {}
    except ValueError as error:
        raise InputError(f"--filter {filter_json!r} is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise InputError(f"--filter {filter_json!r} must be a JSON object")
    names = names_of(groups)
    principal = Principal("owner", frozenset(names), operator=True) if names else OWNER
    return Query(text=question, principal=principal, k=k, collection=collection, filter=wanted)
