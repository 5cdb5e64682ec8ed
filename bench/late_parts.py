"""What does each comparison of the shipped late interaction bring, on questions it never saw?

    python bench/late_parts.py --home HOME --split rows/split.json [--part test] [--adapter DIR]
        [--sets squad2,multihop,docs_qa,docs_fastapi,medquad_faq] [--most 500]

HOME and split.json are those of recipes/reranker_rows.py; of a set that the split does not name all
questions count. Each question is searched as it is served, its first 20 passages are compared, and
the comparisons are added one after the other, with the weights that the adapter names: so a line
tells what came with its last term. nDCG@10 of documents, differences to the search alone with 95 %
bootstrap intervals, by right document. Writes bench/out/late_parts.json.
"""

import argparse
import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import write_result
from numpy.typing import NDArray
from sets import data_folder, load_set

from steelyard.app import App, open_app
from steelyard.arms.filling import fill
from steelyard.core.deadline import Deadline
from steelyard.core.documents import Chunk
from steelyard.core.late import LateScoring
from steelyard.core.ranking import PUBLIC, FoundChunk, Query, RerankPassage
from steelyard.evals.statistics import interval
from steelyard.rerank import RerankOptions, choose
from steelyard.rerank.late import Asked, LateInteraction, interaction, unit

POOL, DEPTH = 20, 50
TERMS = ("scale", "window_scale", "exact", "adjacent")


@dataclass(frozen=True, slots=True)
class Case:
    """A question's found documents in order, which of them are right, and of the first chunks
    what the search said (N,) and the four comparisons (N, 4)."""

    documents: Sequence[str]
    grades: Mapping[str, int]
    searched_N: NDArray[np.float64]
    compared_N4: NDArray[np.float64]

    @property
    def cluster(self) -> str:
        return min(name for name, grade in self.grades.items() if grade > 0)


class Reader:
    """Compares passages, each read once."""

    def __init__(self, late: LateInteraction, window: int) -> None:
        self._late = late
        self._seen: dict[str, tuple[Any, Any]] = {}
        self._alone = [replace(LateScoring(0.0, window), **{term: 1.0}) for term in TERMS]

    def compared(self, asked: Asked, text: str) -> list[float]:
        if text not in self._seen:
            passage = RerankPassage(0, text)
            ids = self._late.pair(asked, passage).ids[1:-1]
            (made,) = self._late.read([passage])
            if not len(made):  # longer than the input: by its own window
                made = self._late._vectors(self._late.pair(asked, passage).ids)
            self._seen[text] = ids, unit(made.astype(np.float32))
        ids, rows = self._seen[text]
        return [interaction(asked, ids, rows, one) for one in self._alone]


def embedded(found: FoundChunk) -> str:
    chunk = found.chunk
    plain = Chunk(0, chunk.start, chunk.end, chunk.text, chunk.heading)
    return plain.embedded_text(chunk.title)


async def cases_of(
    app: App, late: LateInteraction, asked: Mapping[str, str], grades: Any, window: int
) -> list[Case]:
    reader = Reader(late, window)
    cases: list[Case] = []
    for query, text in asked.items():
        found = await app.retriever.search(Query(text, PUBLIC, k=DEPTH), deadline=Deadline(30.0))
        pool = found.found[:POOL]
        if not pool:
            continue
        question = late.question(text)
        searched = np.array([one.score for one in pool]) / max(pool[0].score, 1e-9)
        compared = np.array([reader.compared(question, embedded(one)) for one in pool])
        documents = [one.chunk.document_id for one in found.found]
        cases.append(Case(documents, grades[query], searched, compared))
    return cases


def quality(case: Case, scores_N: NDArray[np.float64]) -> float:
    """Return nDCG@10 of the documents when the first chunks stand in the order of `scores_N`."""
    num = len(scores_N)
    order = [case.documents[n] for n in np.argsort(-scores_N, kind="stable")]
    ranked = list(dict.fromkeys([*order, *case.documents[num:]]))[:10]
    gains = [case.grades.get(name, 0) for name in ranked]
    best = sorted(case.grades.values(), reverse=True)[:10]
    discount = 1 / np.log2(np.arange(2, 12))
    ideal = float(np.dot(best, discount[: len(best)]))
    return float(np.dot(gains, discount[: len(gains)])) / ideal if ideal > 0 else 0.0


def told(cases: Sequence[Case], mix: Sequence[float], first_stage: float) -> dict[str, Any]:
    """Return the search's mean, and the difference to it term by term."""
    plain = np.array([quality(one, one.searched_N) for one in cases])
    result: dict[str, Any] = {"questions": len(cases), "hybrid": round(float(plain.mean()), 4)}
    for num, term in enumerate(TERMS, start=1):
        weights = np.array([*mix[:num], *[0.0] * (len(mix) - num)])
        values = [
            quality(one, one.compared_N4 @ weights + first_stage * one.searched_N) for one in cases
        ]
        gain = interval(np.array(values) - plain, [one.cluster for one in cases])
        result[f"+ {term}"] = [round(one, 4) for one in (gain.value, gain.low, gain.high)]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", default="test")
    parser.add_argument("--adapter")
    parser.add_argument("--sets", default="squad2,multihop,docs_qa,docs_fastapi")
    parser.add_argument("--most", type=int, default=500)
    given = parser.parse_args()
    options = RerankOptions(model="default")
    if given.adapter:
        options = RerankOptions(model="all-MiniLM-L6-v2", adapter=given.adapter)
    chosen = choose(options)
    assert chosen.late is not None
    late = LateInteraction(options)
    split = json.loads(given.split.read_text(encoding="utf-8"))
    result: dict[str, Any] = {"part": given.part, "first_stage": chosen.first_stage}
    for name in given.sets.split(","):
        one = load_set(name)
        parts = split.get(name)
        asked = {
            query: text
            for query, text in one.queries.items()
            if any(grade > 0 for grade in one.qrels.get(query, {}).values())
            and (parts is None or parts.get(next(iter(one.qrels[query]))) == given.part)
        }
        drawn = random.Random(0).sample(sorted(asked), min(given.most, len(asked)))
        app = open_app(given.home / name)
        try:
            if app.store.counts().documents < len(one.documents):
                filling = fill(app, list(one.documents), on_progress=lambda done, total: None)
                asyncio.run(filling)
            app.index.refresh()
            questions = {query: asked[query] for query in drawn}
            cases = asyncio.run(cases_of(app, late, questions, one.qrels, chosen.late.window))
        finally:
            asyncio.run(app.aclose())
            app.close()
        result[name] = told(cases, chosen.late.mix, chosen.first_stage)
        print(name, json.dumps(result[name]), flush=True)
    late.close()
    write_result("late_parts", result)


if __name__ == "__main__":
    main()
