"""Files of training rows → canonical rows, with every fault, flag and count told."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.training import Example, Kind, Provenance, TrainingRow
from steelyard.datasets.ledger import Ledger, Place
from steelyard.datasets.lines import Row, parse_json, read_rows, read_text
from steelyard.datasets.training.check import check
from steelyard.datasets.training.fields import BESIDE, Fields
from steelyard.datasets.training.forms import OWN, Form, detect, form_named
from steelyard.datasets.training.private import Private, find_private
from steelyard.datasets.training.texts import texts_of

LOOKED_AT = 100  # rows that tell a file's form
KEPT_FAULTS = 10_000


@dataclass(frozen=True, slots=True)
class Flag:
    """Something private in a row: not refused, but to be looked at before anybody trains."""

    place: Place
    field: str
    found: Private

    def __str__(self) -> str:
        return f"{self.place}: field {self.field!r} holds private data, {self.found}"


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as it was understood; `num_rows` are those that stand in it, sound or not."""

    name: str
    form: str
    num_rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReadRows:
    """The sound rows of files. `faults` are sentences with place and field, `num_faults` all of
    them; with one fault nothing should be trained on."""

    files: tuple[ReadFile, ...]
    kinds: Mapping[Kind, int]
    rows: tuple[TrainingRow, ...]
    faults: tuple[str, ...] = ()
    num_faults: int = 0
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    _ledger: Ledger = field(default_factory=Ledger, repr=False, compare=False)

    def refuse_faults(self) -> None:
        """Raise if any row is unsound.

        Raises:
            InputError: the first 20 faults, one a line, and how many more there are.
        """
        self._ledger.check("the training data" if len(self.files) > 1 else self.files[0].name)


def read_files(
    paths: Sequence[Path], *, form: str = "", origin: str = "", licence: str = ""
) -> ReadRows:
    """Return the rows of files of one kind; `origin` and `licence` where rows don't say.

    Raises:
        InputError: a file that cannot be read, or whose form cannot be told.
    """
    if not paths:
        raise InputError("no file given; give at least one file of rows")
    ledger = Ledger(keep=KEPT_FAULTS)
    chosen = form_named(form) if form else None
    files: list[ReadFile] = []
    rows: list[TrainingRow] = []
    flags: list[Flag] = []
    for path, name in zip(paths, _names(paths), strict=True):
        reader = _FileReader(path, name, ledger, chosen)
        for row in reader.rows(flags):
            rows.append(_with_defaults(row, origin, licence))
        files.append(reader.told())
    kinds = Counter(row.kind for row in rows)
    if len(kinds) > 1:
        counted = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
        ledger.fault(Place(files[-1].name), f"rows of several kinds ({counted}): import each alone")
    if not rows and not ledger.num_faults:
        raise InputError(f"{', '.join(one.name for one in files)}: no row at all; write one a line")
    return ReadRows(
        files=tuple(files),
        kinds=kinds,
        rows=tuple(rows),
        faults=ledger.faults(),
        num_faults=ledger.num_faults,
        flags=tuple(flags),
        notes=ledger.notes(),
        _ledger=ledger,
    )


class _FileReader:
    """One file's rows, and what there is to say of the file."""

    def __init__(self, path: Path, name: str, ledger: Ledger, form: Form | None) -> None:
        self._path = path
        self._name = name
        self._ledger = ledger
        self._form = form
        self._num_rows = 0
        self._keys: Counter[str] = Counter()

    def rows(self, flags: list[Flag]) -> Iterator[TrainingRow]:
        listed = _objects(self._path, self._ledger)
        first = list(islice(listed, LOOKED_AT))
        if self._form is None and first:
            try:
                self._form = detect(row.fields for row in first)
            except InputError as error:
                raise InputError(f"{self._name}: {error.message}") from error
        for rows in (first, listed):
            for row in rows:
                self._num_rows += 1
                self._keys.update(row.fields.keys())
                placed = Row(Place(self._name, row.place.number), row.fields)
                if (sound := self._sound(placed, flags)) is not None:
                    yield sound
        self._tell_keys()

    def told(self) -> ReadFile:
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ReadFile(self._name, self._form.name if self._form else "", self._num_rows, digest)

    def _sound(self, row: Row, flags: list[Flag]) -> TrainingRow | None:
        form = self._form
        assert form is not None
        fields = Fields(row, self._ledger)
        if lacking := form.needs - row.fields.keys():
            names = ", ".join(map(repr, sorted(form.needs)))
            fields.fault(min(lacking), f"is missing: a row of {form.name} has {names}")
            return None
        example = form.read(fields)
        provenance = self._provenance(fields, form)
        if not fields.sound:
            return None
        check(example, fields.fault)
        if not fields.sound:
            return None
        flags += _flags(example, row.place)
        return TrainingRow(example, provenance)

    def _provenance(self, fields: Fields, form: Form) -> Provenance:
        if form.name != OWN:
            return fields.provenance(self._name)
        inner = fields.within(fields.get("provenance"), "provenance")
        found = inner.provenance(self._name)
        fields.sound = fields.sound and inner.sound
        return found

    def _tell_keys(self) -> None:
        """Tell of fields that only some rows have, and of those that are left out."""
        form = self._form
        if form is None:
            return
        for name, times in self._keys.items():
            if name not in form.needs | form.may | BESIDE:
                self._ledger.note(
                    f"{self._name}: field {name!r} of {times:,} rows is no part of {form.name} "
                    "and is left out"
                )
            elif times < self._num_rows and name not in form.needs:
                self._ledger.note(
                    f"{self._name}: {times:,} of {self._num_rows:,} rows have the field {name!r}"
                )


def _objects(path: Path, ledger: Ledger) -> Iterator[Row]:
    """Yield a file's objects; those of SQuAD's one object are its questions."""
    if path.name.removesuffix(".gz").lower().endswith(".json"):
        place = Place(path.name)
        text = read_text(path, ledger)
        if text.lstrip()[:1] == "{":
            try:
                whole = parse_json(text, ledger, place)
            except ValueError:
                whole = None  # lines of JSON under another name
            if isinstance(whole, dict) and isinstance(whole.get("data"), list):
                yield from _questions(whole["data"], path.name, ledger)
                return
            if isinstance(whole, dict):
                yield Row(Place(path.name, 1), whole)
                return
    yield from read_rows(path, ledger)


def _questions(articles: Iterable[Any], name: str, ledger: Ledger) -> Iterator[Row]:
    """Yield SQuAD's nested questions as flat rows, numbered through the file."""
    number = 0
    for article in articles:
        for paragraph in _items(article, "paragraphs", name, ledger):
            for question in _items(paragraph, "qas", name, ledger):
                number += 1
                place = Place(name, number)
                if not isinstance(question, dict):
                    ledger.fault(place, "field 'qas' must list objects")
                    continue
                context = paragraph.get("context")
                yield Row(place, {"title": article.get("title", ""), "context": context} | question)


def _items(value: Any, key: str, name: str, ledger: Ledger) -> list[Any]:
    listed = value.get(key) if isinstance(value, dict) else None
    if not isinstance(listed, list):
        ledger.fault(Place(name), f"field {key!r} must be a list")
        return []
    return listed


def flags_of(row: TrainingRow) -> list[Flag]:
    """Return what is private in a row."""
    place = Place(row.provenance.file or row.provenance.id, row.provenance.line)
    return list(_flags(row.example, place))


def _flags(example: Example, place: Place) -> Iterator[Flag]:
    for name, text in texts_of(example):
        for found in find_private(text):
            yield Flag(place, name, found)


def _with_defaults(row: TrainingRow, origin: str, licence: str) -> TrainingRow:
    known = row.provenance
    if (known.origin or not origin) and (known.licence or not licence):
        return row
    given = replace(known, origin=known.origin or origin, licence=known.licence or licence)
    return replace(row, provenance=given)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return names that tell the files apart: with the folder where two are called the same."""
    once = Counter(path.name for path in paths)
    return [path.name if once[path.name] == 1 else str(path) for path in paths]
