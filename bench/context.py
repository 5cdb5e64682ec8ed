"""What a generator is given: does the context still hold the answer, and at how many tokens?

    python bench/context.py [SET ...]      # bench/out/context.json
    python bench/context.py squad2 policyqa --seed 1       # other questions

Ingests a small, fixed part of each set into a home of its own (kept in bench/out/context/), asks
up to 200 of its questions, and builds the context of what was found in several ways. Reports the
share of contexts that hold the gold answer or span, F1 of the built-in answerer, the tokens
given, and the mean difference to the context as found, with the 95 % interval of a paired
bootstrap over questions. "6 chunks" and "9 chunks" give other numbers of chunks as found, to
compare at equal tokens.

squad2: the articles that the built-in answerer was not fitted on, each joined to one document.
policyqa: 12 sites, each joined to one document and asked alone. docs_qa and docs_fastapi: the
documents with answers, and others up to 120.
"""

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from extractive import is_hit, plain, read, token_f1
from machine import OUT, write_result
from sets import SetDocument, data_folder, load_set

from steelyard.app import App, open_app
from steelyard.core.documents import DEFAULT_COLLECTION
from steelyard.core.ranking import PUBLIC, FoundChunk, Query
from steelyard.generate import REFUSAL, ExtractiveGenerator
from steelyard.retrieve import Context, ContextBuilder, ContextOptions

T = TypeVar("T")

HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"
NUM_QUESTIONS = 200
NUM_DOCUMENTS = 120
NUM_SITES = 12
K = 8  # sources of an answer by default
AS_FOUND = ContextOptions(drop_duplicates=False, trim=False, neighbours=0)
ARMS: Mapping[str, ContextOptions] = {
    "as found": AS_FOUND,
    "- duplicates": replace(AS_FOUND, drop_duplicates=True),
    "+ neighbours of 1": replace(AS_FOUND, neighbours=1),
    "+ neighbours of 3": replace(AS_FOUND, neighbours=3),
    "trimmed": replace(AS_FOUND, trim=True),
    "default": ContextOptions(),
    "default, trimmed": ContextOptions(trim=True),
    "6 chunks": AS_FOUND,
    "9 chunks": AS_FOUND,
}
NUM_CHUNKS = {"6 chunks": 6, "9 chunks": 9}
MOST_CHUNKS = 9


@dataclass(frozen=True, slots=True)
class Asked:
    """`golds` are spans of which the context should hold one, `answers` what F1 compares with;
    both empty: the documents don't tell."""

    text: str
    golds: tuple[str, ...]
    answers: tuple[str, ...]
    collection: str = DEFAULT_COLLECTION


@dataclass(frozen=True, slots=True)
class Task:
    documents: Sequence[SetDocument]
    asked: Sequence[Asked]


def handbook(seed: int) -> Task:
    rows = _lines(HANDBOOK / "questions.jsonl")
    asked = [Asked(r["question"], tuple(r["evidence"]), tuple(r["answers"])) for r in rows]
    return Task((), _some(asked, seed))


def squad2(seed: int) -> Task:
    rows = _set_lines("squad2", "corpus")
    titles = {row["title"] for row in rows if _bucket(row["title"]) >= 3}
    rows = [row for row in rows if row["title"] in titles]
    there = {row["id"] for row in rows}
    questions = [row for row in _set_lines("squad2", "queries") if row["doc_id"] in there]
    return Task(_joined(rows), [_asked(row) for row in _some(questions, seed)])


def policyqa(seed: int) -> Task:
    rows = _set_lines("policyqa", "corpus")
    sites = sorted({row["title"] for row in rows}, key=_digest)[:NUM_SITES]
    rows = [row for row in rows if row["title"] in sites]
    site_of = {row["id"]: row["title"] for row in rows}
    questions = [row for row in _set_lines("policyqa", "queries") if row["doc_id"] in site_of]
    asked = [
        _asked(row, collection=_slug(site_of[row["doc_id"]])) for row in _some(questions, seed)
    ]
    return Task(_joined(rows), asked)


def docs(name: str, seed: int) -> Task:
    one = load_set(name)
    gold = {document for grades in one.qrels.values() for document in grades}
    others = sorted((d for d in one.documents if d.id not in gold), key=lambda d: _digest(d.id))
    documents = [d for d in one.documents if d.id in gold]
    documents += others[: max(0, NUM_DOCUMENTS - len(documents))]
    asked = []
    for row in one.rows.values():
        span = row.get("evidence_contains")
        asked.append(Asked(row["text"], (span,) if span else (), tuple(row["answers"])))
    return Task(documents, _some(asked, seed))


TASKS = {
    "handbook": handbook,
    "squad2": squad2,
    "policyqa": policyqa,
    "docs_qa": partial(docs, "docs_qa"),
    "docs_fastapi": partial(docs, "docs_fastapi"),
}


async def run(name: str, seed: int) -> dict[str, Any]:
    task = TASKS[name](seed)
    app = open_app(OUT / "context" / name)
    try:
        await _ingest(app, name, task)
        questions = [
            (each, Query(each.text, PUBLIC, k=MOST_CHUNKS, collection=each.collection))
            for each in task.asked
        ]
        found = [(await app.retriever.search(query)).found for _, query in questions]
        generator = ExtractiveGenerator(app.embedder, pool=app.workers.query)
        rows = {
            arm: [
                _row(asked, _context(app, arm, query, chunks), generator)
                for (asked, query), chunks in zip(questions, found, strict=True)
            ]
            for arm in ARMS
        }
        return {
            "set": name,
            "questions": len(questions),
            "build_cpu_ms": _time(app, [query for _, query in questions], found),
            "arms": {arm: _summary(rows[arm], rows["as found"]) for arm in ARMS},
        }
    finally:
        app.close()


async def _ingest(app: App, name: str, task: Task) -> None:
    if app.store.counts().chunks:
        return
    if name == "handbook":
        await app.ingest_once([HANDBOOK])
        return
    folder = OUT / "context" / f"{name}-files"
    for document in task.documents:
        collection = _slug(document.title) if name == "policyqa" else DEFAULT_COLLECTION
        path = folder / collection / (_slug(document.id) + (Path(document.filename).suffix))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.text, encoding="utf-8")
    for part in sorted(folder.iterdir()):
        await app.ingest_once([part], collection=part.name)


def _context(app: App, arm: str, query: Query, found: Sequence[FoundChunk]) -> Context:
    builder = _builder(app, ARMS[arm])
    return builder.build_now(query, found[: NUM_CHUNKS.get(arm, K)], stable_order=True)


def _builder(app: App, options: ContextOptions) -> ContextBuilder:
    return ContextBuilder(
        reader=app.store,
        tokenizer=app.embedder.tokenizer,
        pool=app.workers.query,
        options=options,
    )


def _row(asked: Asked, context: Context, generator: ExtractiveGenerator) -> dict[str, float]:
    text = "\n".join(passage.text for passage in context.passages)
    said = generator.answer(asked.text, context.passages)
    row = {"tokens": float(context.num_tokens)}
    if not asked.answers:
        return row | {"declined": float(said == REFUSAL)}
    if asked.golds:
        row["holds"] = float(is_hit(text, asked.golds))
    else:
        row["holds"] = max(_covered(text, answer) for answer in asked.answers)
    return row | {"f1": 0.0 if said == REFUSAL else token_f1(said, asked.answers)}


def _covered(text: str, answer: str) -> float:
    """Return the share of an answer's different words that a context has."""
    words = set(plain(answer).split())
    return len(words & set(plain(text).split())) / max(1, len(words))


def _summary(
    rows: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for measure in ("tokens", "holds", "f1", "declined"):
        there = [i for i, row in enumerate(rows) if measure in row]
        if not there:
            continue
        values = np.array([rows[i][measure] for i in there])
        differences = values - np.array([base[i][measure] for i in there])
        report[measure] = round(float(values.mean()), 4)
        if measure != "tokens":
            report[f"{measure} - as found"] = _interval(differences)
    return report


def _interval(differences: np.ndarray[Any, Any]) -> list[float]:
    """Return the mean with the 95 % interval of 2,000 bootstrap samples."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (2000, len(differences))).mean(axis=1)
    return [round(float(x), 4) for x in (differences.mean(), *np.quantile(means, (0.025, 0.975)))]


def _time(
    app: App, queries: Sequence[Query], found: Sequence[Sequence[FoundChunk]]
) -> dict[str, float]:
    """Return the median milliseconds of processor time of one build, its texts read for the
    first time or again."""
    spent: dict[str, list[float]] = defaultdict(list)
    for query, chunks in zip(queries, found, strict=True):
        builder = _builder(app, ContextOptions())
        for kind in ("new", "known"):
            begun = time.thread_time()
            builder.build_now(query, chunks[:K], stable_order=True)
            spent[kind].append(time.thread_time() - begun)
    return {name: round(float(np.median(each)) * 1000, 3) for name, each in spent.items()}


def _joined(rows: Iterable[Mapping[str, Any]]) -> list[SetDocument]:
    """Return one document a title, from its paragraphs in order."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        texts[row["title"]].append(row["text"])
    return [
        SetDocument(title, title, f"# {title}\n\n" + "\n\n".join(parts), "document.md")
        for title, parts in texts.items()
    ]


def _asked(row: Mapping[str, Any], *, collection: str = DEFAULT_COLLECTION) -> Asked:
    answers = tuple(row["answers"])
    return Asked(row["text"], answers, answers, collection)


def _some(rows: Sequence[T], seed: int) -> list[T]:
    chosen = np.random.default_rng(seed).permutation(len(rows))[:NUM_QUESTIONS]
    return [rows[i] for i in sorted(chosen)]


def _set_lines(name: str, part: str) -> list[dict[str, Any]]:
    return read(data_folder(), name, part)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _bucket(title: str) -> int:
    return int(_digest(title), 16) % 5  # as bench/extractive.py parts articles


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.rpartition("://")[2])[-80:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(TASKS)}; all if none is given")
    parser.add_argument("--seed", type=int, default=0, help="chooses the questions")
    asked = parser.parse_args()
    reports = []
    for name in asked.sets or TASKS:
        reports.append(asyncio.run(run(name, asked.seed)))
        sys.stderr.write(json.dumps(reports[-1]) + "\n")
    write_result("context", {"k": K, "seed": asked.seed, "sets": reports})


if __name__ == "__main__":
    main()
