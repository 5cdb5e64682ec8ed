"""Make the rows that the shipped reranker learns from, and the split that its figures rest on.

    python recipes/reranker_rows.py --data DIR --home HOME --out rows/

DIR has the evaluation sets (bench/sets.py tells their form); each is ingested into a home of its
own below HOME, as it would be served, and asked every question. A row is a question, the passages
of its documents that hybrid search found (with the answer in them, where it is known), and the best
found passages of other documents as negatives. OUT gets train.jsonl, dev.jsonl and split.json.

Documents that a question joins stand on one side: 40 of 100 are held out for the figures, 10 are
for choices (dev), the rest is learnt from, by the hash of the smallest document id. A held-out
document is in no row, not even as a negative. chunk_excerpts has five long documents, too few to
hold any out: all are learnt from, and a question's right and wrong passages are told apart inside
its document, by the excerpts that answer it.
"""

import argparse
import asyncio
import gzip
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.app import App, open_app
from steelyard.arms.filling import fill
from steelyard.core.deadline import Deadline
from steelyard.core.documents import Chunk, StoredChunk
from steelyard.core.evaluation import SetDocument
from steelyard.core.ranking import PUBLIC, Query

log = logging.getLogger("rows")

SETS = ("squad2", "multihop", "docs_qa", "docs_fastapi", "chunk_excerpts")
ANSWERED_INSIDE = frozenset({"squad2"})
EXCERPTS = frozenset({"chunk_excerpts"})
EXCERPT_CHARS = 50  # of an excerpt's beginning or end tell that a passage has it
TEST, DEV = 40, 50  # of 100: below the first held out, below the second for choices
MAX_NEGATIVES = 7
DEPTH = 50


@dataclass(frozen=True, slots=True)
class Asked:
    id: str
    text: str
    gold: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Set:
    name: str
    documents: Mapping[str, SetDocument]
    questions: Sequence[Asked]


def read(folder: Path) -> Set:
    def rows(name: str) -> list[dict[str, Any]]:
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    gold: dict[str, list[str]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, relevance = line.split("\t")
        if int(relevance) > 0:
            gold.setdefault(question, []).append(document)
    documents = {
        row["id"]: SetDocument(row["id"], row.get("title") or "", row["text"])
        for row in rows("corpus.jsonl.gz")
    }
    questions = [
        Asked(
            row["id"],
            row["text"],
            # A question that its document does not answer is still about that document.
            tuple(gold.get(row["id"]) or ([row["doc_id"]] if row.get("doc_id") else [])),
            tuple(row.get("answers") or ()),
        )
        for row in rows("queries.jsonl.gz")
    ]
    return Set(folder.name, documents, questions)


def split(one: Set) -> dict[str, str]:
    """Return test, dev or train for each document."""
    parent = {name: name for name in one.documents}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for asked in one.questions:
        known = [name for name in asked.gold if name in parent]
        for other in known[1:]:
            low, high = sorted((root(known[0]), root(other)))
            parent[high] = low
    if one.name in EXCERPTS:
        return dict.fromkeys(one.documents, "train")
    return {name: part(f"{one.name}:{root(name)}") for name in one.documents}


def part(key: str) -> str:
    number = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 100
    return "test" if number < TEST else "dev" if number < DEV else "train"


async def rows_of(one: Set, app: App, parts: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return (part, row) of each question that can be learnt from."""
    made: list[tuple[str, dict[str, Any]]] = []
    for asked in one.questions:
        gold = [name for name in asked.gold if name in parts]
        if not gold or parts[gold[0]] == "test":
            continue
        query = Query(asked.text, PUBLIC, k=DEPTH)
        result = await app.retriever.search(query, deadline=Deadline(30.0))
        found = [hit.chunk for hit in result.found]
        excerpts = one.name in EXCERPTS
        new = by_excerpt(one, asked, found) if excerpts else row_of(one, asked, found, gold, parts)
        if new is not None:
            made.append((parts[gold[0]], new))
    return made


def row_of(
    one: Set,
    asked: Asked,
    found: Iterable[StoredChunk],
    gold: Sequence[str],
    parts: Mapping[str, str],
) -> dict[str, Any] | None:
    own: dict[str, list[str]] = {}
    negatives: list[str] = []
    for chunk in found:
        name, text = chunk.document_id, embedded(chunk)
        if name in gold:
            own.setdefault(name, []).append(text)
        elif parts[name] == parts[gold[0]]:  # rows of one part never show another's documents
            negatives.append(text)
    inside = asked.answers if one.name in ANSWERED_INSIDE else ()
    return row(one, asked, [best(texts, inside) for texts in own.values()], negatives)


def by_excerpt(one: Set, asked: Asked, found: Iterable[StoredChunk]) -> dict[str, Any] | None:
    ends = [
        end
        for answer in map(plain, asked.answers)
        for end in (answer[:EXCERPT_CHARS], answer[-EXCERPT_CHARS:])
    ]
    positives: list[str] = []
    negatives: list[str] = []
    for chunk in found:
        has = any(end in plain(chunk.text) for end in ends)
        (positives if has else negatives).append(embedded(chunk))
    return row(one, asked, positives[:1], negatives)


def row(
    one: Set, asked: Asked, positives: Sequence[str], negatives: Sequence[str]
) -> dict[str, Any] | None:
    """Return the row; None where there is nothing to learn from."""
    if not positives or len(negatives) < 2:
        return None
    return {
        "query": asked.text,
        "positives": list(positives),
        "negatives": list(negatives[:MAX_NEGATIVES]),
        "source": one.name,
    }


def plain(text: str) -> str:
    return " ".join(text.lower().split())


def best(texts: Sequence[str], answers: Sequence[str]) -> str:
    """Return the first passage with an answer in it, else the first."""
    low = [answer.lower() for answer in answers]
    return next((t for t in texts if any(a in t.lower() for a in low)), texts[0])


def embedded(chunk: StoredChunk) -> str:
    plain = Chunk(0, chunk.start, chunk.end, chunk.text, chunk.heading)
    return plain.embedded_text(chunk.title)


async def made(one: Set, home: Path, parts: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    app = open_app(home / one.name)
    try:
        if app.store.counts().documents < len(one.documents):
            await fill(app, list(one.documents.values()), on_progress=lambda done, total: None)
        app.index.refresh()
        return await rows_of(one, app, parts)
    finally:
        await app.aclose()
        app.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", default=",".join(SETS))
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    log.setLevel(logging.INFO)
    asked.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "dev": []}
    splits: dict[str, dict[str, str]] = {}
    for name in asked.sets.split(","):
        one = read(asked.data / name)
        splits[name] = split(one)
        for where, row in asyncio.run(made(one, asked.home, splits[name])):
            rows[where].append(row)
        log.info("%s: %s", name, {where: len(kept) for where, kept in rows.items()})
    for where, kept in rows.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        (asked.out / f"{where}.jsonl").write_text(text, encoding="utf-8")
    (asked.out / "split.json").write_text(json.dumps(splits, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
