"""Where the parts of a set lie: layouts as data, tried in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to lay out a set. `needs` and `may` map a part to its file names, best first."""

    name: str
    needs: Mapping[str, tuple[str, ...]]
    may: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Laid:
    """A layout that fits a folder; `files` holds the parts that are there."""

    layout: Layout
    files: Mapping[str, Path]


def _packed(*names: str) -> tuple[str, ...]:
    return tuple(name + suffix for name in names for suffix in ("", ".gz"))


_CORPUS = _packed("corpus.jsonl")
_QUERIES = _packed("queries.jsonl", "questions.jsonl")
_QRELS = _packed("qrels.tsv", "qrels.txt", "qrels")
_DOCUMENT_QRELS = _packed("doc_qrels.jsonl")
_BEIR_PARTS = _packed("qrels/test.tsv", "qrels/dev.tsv", "qrels/train.tsv")

LAYOUTS = (
    Layout("judged", {"corpus": _CORPUS, "queries": _QUERIES, "qrels": _QRELS}, {}),
    Layout(
        "judged by document",
        {"corpus": _CORPUS, "queries": _QUERIES, "document_qrels": _DOCUMENT_QRELS},
        {},
    ),
    Layout("BEIR", {"corpus": _CORPUS, "queries": _QUERIES, "part_qrels": _BEIR_PARTS}, {}),
    Layout("with documents", {"corpus": _CORPUS, "queries": _QUERIES}, {}),
    Layout(
        "TREC",
        {
            "topics": _packed("topics.tsv", "topics.txt", "queries.tsv"),
            "qrels": (*_QRELS, *_BEIR_PARTS),
        },
        {"corpus": _CORPUS, "collection": _packed("collection.tsv", "corpus.tsv")},
    ),
    Layout("questions", {"queries": _packed("questions.jsonl", "queries.jsonl")}, {}),
    Layout("a table", {"queries": _packed("questions.csv", "questions.tsv")}, {}),
)


def lay_out(path: Path) -> Laid:
    """Return the first layout that fits `path`, a folder or one file.

    Raises:
        InputError: nothing there, or nothing that fits.
    """
    if path.is_file():
        part = "squad" if _stem(path).endswith(".json") else "queries"
        return Laid(Layout(part, {part: (path.name,)}, {}), {part: path})
    if not path.is_dir():
        raise InputError(f"no question set at {str(path)!r}: no such file or folder")
    for layout in LAYOUTS:
        needed = {part: _first(path, names) for part, names in layout.needs.items()}
        if all(needed.values()):
            more = {part: _first(path, names) for part, names in layout.may.items()}
            files = {part: file for part, file in (needed | more).items() if file is not None}
            return Laid(layout, files)
    lone = sorted(file for file in path.iterdir() if _stem(file).endswith(".json"))
    squad = [file for file in lone if file.name not in ("meta.json", "bm25.json")]
    if len(squad) == 1:
        return Laid(Layout("squad", {}, {}), {"squad": squad[0]})
    there = ", ".join(sorted(file.name for file in path.iterdir())[:8]) or "nothing"
    raise InputError(
        f"{str(path)!r} is no question set: it needs corpus.jsonl, queries.jsonl and qrels.tsv, "
        f"or questions.jsonl (it has {there}); see docs/data.md"
    )


def parts_of(folder: Path) -> dict[str, Path]:
    """Return BEIR's judgement files of a folder by their part's name."""
    found: dict[str, Path] = {}
    for file in sorted((folder / "qrels").glob("*.tsv*")):
        found.setdefault(file.name.removesuffix(".gz").removesuffix(".tsv"), file)
    return found


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").lower()


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
