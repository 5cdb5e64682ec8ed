"""Homes for arms: a set's documents ingested as production ingests them, or a live home."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steelyard.app import RECIPE_GROUPS, App, open_app
from steelyard.arms.filling import fill
from steelyard.arms.parts import parts_of
from steelyard.arms.served import Asking, ServedArm
from steelyard.arms.specs import BUILT_IN, ArmSpec
from steelyard.bundle import Bundle
from steelyard.core.documents import DEFAULT_COLLECTION, Document
from steelyard.core.errors import InputError, SetupError
from steelyard.core.evaluation import QuestionSet, SetDocument
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.core.registry import Champions
from steelyard.cost import Book
from steelyard.datasets import bind
from steelyard.flows.questions import read_documents
from steelyard.infra.concurrent import compute
from steelyard.infra.files import write_atomic
from steelyard.settings import load_settings

OWNER = Principal(id="owner", groups=PUBLIC.groups, operator=True)
FOLDER = "evals"
MARK = "filled.json"
# What shapes an outcome; a change elsewhere in the package does not.
SHAPING = (
    "parse", "chunk", "embed", "index", "retrieve", "rerank", "generate", "cache", "core",
    "infra/bert", "arms", "flows/answer.py", "flows/cached.py", "bundle.py", "parts.py",
)  # fmt: skip
_OWN_OF_A_SERVER = ("serve.", "cache.")  # an evaluation shares no port and no cache with one


@dataclass(frozen=True, slots=True)
class Opened:
    """Arms that can be run, and the questions with documents named as the homes name them;
    `documents` are a live home's, and `changes` tells whether they changed since."""

    questions: QuestionSet
    arms: tuple[ServedArm, ...]
    notes: tuple[str, ...] = ()
    documents: tuple[SetDocument, ...] = ()
    changes: Callable[[], Sequence[str]] = tuple


@dataclass(slots=True)
class Laboratory:
    """`home` is the one whose settings hold for every arm, and below which sets are ingested;
    `champions` what its registry has it serve (None: as it says).

    `on_fill(done, total)` is called while a set's documents are being ingested. `queries` say, by
    a question's id, how it was asked once: it is asked so again, and has no gold to be bound.
    """

    home: Path
    flags: Mapping[str, Any] = field(default_factory=dict)
    champions: Champions | None = None
    principal: Principal = OWNER
    collection: str = DEFAULT_COLLECTION
    deadline_s: float = 10.0
    timeout_s: float = 180.0
    queries: Mapping[str, Query] = field(default_factory=dict)
    on_fill: Callable[[int, int], None] = lambda done, total: None
    _apps: dict[Path, App] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    _begun_at: dict[Path, int] = field(default_factory=dict)  # a live home's last change

    @asynccontextmanager
    async def opened(
        self, questions: QuestionSet, specs: Sequence[ArmSpec]
    ) -> AsyncIterator[Opened]:
        """Open every arm over the home it needs; what a set has no home for yet is ingested.

        Raises:
            InputError, SetupError: an arm cannot be opened; the message says what to change.
        """
        bundles: list[Bundle] = []
        try:
            arms: list[ServedArm] = []
            for spec in specs:
                app, documents, fitted = await self._app(questions, spec)
                options = {"cache.mode": "off", **fitted.options}
                bundle = app.variant({k: v for k, v in options.items() if not _of_recipe(k)})
                bundles.append(bundle)
                arms.append(self._arm(fitted, app, bundle, documents))
                await arms[-1].warm_up()
            live: tuple[SetDocument, ...] = ()
            if not questions.documents:
                questions, live = await self._bound(questions)
            notes = tuple(dict.fromkeys(self._notes))
            yield Opened(questions, tuple(arms), notes, live, self._changes)
        finally:
            for bundle in bundles:
                await bundle.aclose()
            for app in self._apps.values():
                await app.aclose()
                app.close()
            self._apps.clear()
            self._begun_at.clear()

    def _arm(self, spec: ArmSpec, app: App, bundle: Bundle, documents: str) -> ServedArm:
        asking = Asking(
            principal=self.principal,
            collection=self.collection,
            documents=documents,
            code=code_identity(),
            deadline_s=self.deadline_s,
            timeout_s=self.timeout_s,
            queries=self.queries,
            prices=Book(self.home),
        )
        if bundle.settings.retrieve.legs != "none" or not spec.answers:
            _ = bundle.retriever  # so that a wrong model is told before the first question
        if spec.answers:
            _ = bundle.answering
        return ServedArm(
            spec,
            bundle,
            store=app.store,
            workers=app.workers,
            asking=asking,
            parts=parts_of(spec, bundle),
        )

    async def _app(self, questions: QuestionSet, spec: ArmSpec) -> tuple[App, str, ArmSpec]:
        """Return the app that an arm asks, what names its documents, and the arm fitted to it."""
        if spec.home:
            return self._live(_home_of(spec), spec)
        if not questions.documents:
            return self._live(self.home.absolute(), spec)
        recipe = {key: value for key, value in spec.options.items() if _of_recipe(key)}
        documents = documents_id(questions)
        folder = f"{documents[:12]}-{_digest(recipe)[:8]}"
        path = self.home.absolute() / FOLDER / "homes" / folder
        if path not in self._apps:
            self._apps[path] = open_app(path, flags=self._settings() | recipe)
            await self._fill(self._apps[path], path, questions, documents)
        return self._apps[path], f"set {documents}", spec

    def _live(self, path: Path, spec: ArmSpec) -> tuple[App, str, ArmSpec]:
        if path not in self._apps:
            champions = self.champions if path == self.home.absolute() else None
            self._apps[path] = open_app(path, flags=dict(self.flags), champions=champions)
        app = self._apps[path]
        seq = self._begun_at.setdefault(path, app.store.last_seq())
        if spec.options == BUILT_IN["bm25"].options:
            spec = replace(spec, options=BUILT_IN["lexical"].options)
            self._notes.append(
                "bm25 over a live home is the BM25 leg of its own index, over chunks"
            )
        settings = app.settings_with(spec.options)
        for group in RECIPE_GROUPS:
            if getattr(settings, group) != getattr(app.settings, group):
                raise SetupError(
                    f"arm {spec.name!r} changes {group}.*, which needs an index of its own: run "
                    f"`steelyard --home OTHER ingest PATHS --set {group}...=...` and give the arm "
                    "home=OTHER"
                )
        return app, f"home {path} at {seq}", spec

    def _changes(self) -> list[str]:
        """Return a note for each live home whose documents changed while they were asked of."""
        return [
            f"documents of home {path.name!r} changed while it was asked, so that early and late "
            "questions met different ones: run it again when they are at rest"
            for path, seq in self._begun_at.items()
            if self._apps[path].store.last_seq() != seq
        ]

    def _settings(self) -> dict[str, Any]:
        """Return what the home's file, the environment and flags say, for a set's own home."""
        loaded = load_settings(self.home, flags=self.flags, champions=self.champions)
        given: dict[str, Any] = {}
        for key in loaded.origins:
            if not key.startswith(_OWN_OF_A_SERVER):
                group, name = key.split(".", 1)
                given[key] = getattr(getattr(loaded.settings, group), name)
        return given

    async def _fill(self, app: App, path: Path, questions: QuestionSet, documents: str) -> None:
        mark = path / MARK
        filled = {"documents": documents, "recipe": app.space.name}
        try:
            told = json.loads(mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = {}
        if {key: told.get(key) for key in filled} != filled:
            mark.unlink(missing_ok=True)
            notes = await fill(app, questions.documents, on_progress=self.on_fill)
            told = {**filled, "notes": notes}
            write_atomic(mark, json.dumps(told).encode())
        app.index.refresh()
        self._notes += told["notes"]

    async def _bound(self, questions: QuestionSet) -> tuple[QuestionSet, tuple[SetDocument, ...]]:
        """Return the questions with a live home's documents for the names in them, and those."""
        app = next(iter(self._apps.values()))
        collections = {
            one.collection for query in self.queries.values() for one in query.each_collection()
        } or {self.collection}
        found: list[Document] = []
        for collection in sorted(collections):
            found += await compute(app.workers.query, read_documents, app.store, collection)
        documents = tuple(SetDocument(one.id, one.title, one.text) for one in found)
        return questions if self.queries else bind(questions, found), documents


def _home_of(spec: ArmSpec) -> Path:
    path = Path(spec.home).expanduser().absolute()
    if not path.is_dir():
        raise InputError(f"arm {spec.name!r}: there is no home {str(path)!r}; ingest first")
    return path


def documents_id(questions: QuestionSet) -> str:
    """Return a hash of a set's documents alone."""
    whole = hashlib.sha256()
    for one in questions.documents:
        whole.update(json.dumps([one.id, one.title, one.text, one.filename]).encode())
    return whole.hexdigest()


def code_identity() -> str:
    """Return a hash of the source that shapes an outcome, so that no older one is used again."""
    package = Path(__file__).parents[1]
    files = sorted(
        file
        for name in SHAPING
        for file in ([package / name] if name.endswith(".py") else (package / name).rglob("*.py"))
    )
    shipped = sorted((package / "models").rglob("*.safetensors"))  # named by `default` alone
    whole = hashlib.sha256()
    for file in [*files, *shipped]:
        whole.update(file.read_bytes())
    return whole.hexdigest()


def _of_recipe(key: str) -> bool:
    return key.split(".", 1)[0] in RECIPE_GROUPS


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
