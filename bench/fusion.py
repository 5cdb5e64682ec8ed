"""Which fusion of the two legs finds the right document? Chosen on some sets, told on others.

    python bench/fusion.py --home HOME [--sets squad2,docs_qa] # bench/out/fusion.json

HOME is one in which `steelyard eval run` has ingested the sets: bench/results.py does. Both legs of
every question are asked once, as production asks them, 100 deep; every way to merge them is then
applied to the same hits. nDCG@10 of documents, differences to fusion by ranks paired by question,
clustered, with 95 % intervals.
"""

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import write_result
from sets import data_folder

from steelyard.arms import Laboratory, read_arms
from steelyard.arms.laboratory import OWNER
from steelyard.core.evaluation import Outcome, QuestionSet, Ranked
from steelyard.core.ranking import Hit, Query, Ranking
from steelyard.datasets import clusters, read_set
from steelyard.evals.measures import parse_measures, values_of
from steelyard.evals.statistics import weigh
from steelyard.retrieve import fuse_convex, fuse_rrf

CHOSEN_ON = ("nfcorpus:dev", "docs_fastapi", "multihop")
TOLD_ON = ("nfcorpus:test", "squad2", "docs_qa", "medquad_faq")
DEEPEST = 100
MEASURES = parse_measures("nDCG@10,R@10")
BEFORE = "ranks 60, 1:1.5, 50 deep"


@dataclass(frozen=True, slots=True)
class Found:
    """What both legs found for one question, and whose chunk each is."""

    dense: Ranking
    lexical: Ranking
    owners: Mapping[int, str]

    def legs(self, depth: int) -> list[Ranking]:
        return [Ranking(leg.hits[:depth]) for leg in (self.dense, self.lexical)]


Way = Callable[[Found], Ranking]


def floored(found: Found, share: float, depth: int) -> Ranking:
    """Merge by scores over their theoretical least: -1 of a cosine, 0 of BM25."""
    dense, lexical = found.legs(depth)
    best = lexical.hits[0].score if lexical.hits else 1.0
    top = dense.hits[0].score if dense.hits else 1.0
    total: dict[int, float] = {}
    for hit in dense.hits:
        total[hit.chunk_id] = share * (hit.score + 1) / (top + 1)
    for hit in lexical.hits:
        total[hit.chunk_id] = total.get(hit.chunk_id, 0.0) + (1 - share) * hit.score / best
    order = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return Ranking(tuple(Hit(*item) for item in order))


def ways() -> dict[str, Way]:
    """Name every way that is compared, the one served before first."""
    made: dict[str, Way] = {
        BEFORE: lambda f: fuse_rrf(f.legs(50), weights=[1.0, 1.5]),
        "ranks 60, 1:1, 50 deep": lambda f: fuse_rrf(f.legs(50)),
        "ranks 60, 1:1.5, 100 deep": lambda f: fuse_rrf(f.legs(100), weights=[1.0, 1.5]),
        "ranks 10, 1:1, 50 deep": lambda f: fuse_rrf(f.legs(50), k=10),
        "ranks 10, 1:1.5, 50 deep": lambda f: fuse_rrf(f.legs(50), k=10, weights=[1.0, 1.5]),
    }
    for depth in (20, 50, 100):
        for share in (0.3, 0.4, 0.5, 0.6, 0.7):
            made[f"convex {share}, {depth} deep"] = lambda f, s=share, d=depth: fuse_convex(
                f.legs(d), weights=[s, 1 - s]
            )
    for share in (0.5, 0.7, 0.8, 0.9):
        made[f"floored {share}, 50 deep"] = lambda f, s=share: floored(f, s, 50)
    made["dense"] = lambda f: f.dense
    made["lexical"] = lambda f: f.lexical
    return made


async def found_in(home: Path, questions: QuestionSet) -> list[Found]:
    """Ask both legs of every question as production does."""
    laboratory = Laboratory(home)
    [spec] = read_arms("hybrid")
    found: list[Found] = []
    async with laboratory.opened(questions, [spec]):
        [app] = laboratory._apps.values()
        legs = app.retriever._legs
        view = app.index.view()
        for question in questions.questions:
            query = Query(question.text, OWNER, k=50)
            told = await legs.run(query, view, depth=DEEPEST, budget_s=30.0, timings={})
            dense, lexical = told.rankings["dense"], told.rankings["lexical"]
            ids = list(dict.fromkeys([*dense.chunk_ids, *lexical.chunk_ids]))
            owners = {c.chunk_id: c.document_id for c in app.store.fetch(ids, query=query)}
            found.append(Found(dense, lexical, owners))
    return found


def outcome(question_id: str, found: Found, way: Way) -> Outcome:
    documents = dict.fromkeys(found.owners[hit.chunk_id] for hit in way(found).hits)
    ranking = tuple(Ranked(name, -float(place)) for place, name in enumerate(documents))
    return Outcome(question_id, ranking)


def compared(questions: QuestionSet, found: Sequence[Found]) -> dict[str, dict[str, object]]:
    values = {}
    for name, way in ways().items():
        outcomes = [
            outcome(question.id, each, way)
            for question, each in zip(questions.questions, found, strict=True)
        ]
        values[name] = values_of(MEASURES, questions.questions, outcomes)
    weighed = weigh(values, clusters(questions), MEASURES, baseline=BEFORE, resamples=2000)
    rows: dict[str, dict[str, object]] = {
        name: {m: round(figures[m].value, 4) for m in figures}
        for name, figures in weighed.figures.items()
    }
    for one in weighed.comparisons:
        delta = one.delta
        rows[one.candidate][f"{one.measure} against ranks"] = [
            round(delta.value, 4), round(delta.low, 4), round(delta.high, 4)
        ]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sets", default=",".join((*CHOSEN_ON, *TOLD_ON)))
    parser.add_argument("--limit", type=int, default=None)
    asked = parser.parse_args()
    results: dict[str, object] = {}
    for name in asked.sets.split(","):
        folder, _, part = name.partition(":")
        questions = read_set(data_folder() / folder, part=part, limit=asked.limit)
        judged = tuple(q for q in questions.questions if any(g > 0 for g in q.relevant.values()))
        questions = QuestionSet(questions.name, questions.id, judged, questions.documents)
        found = asyncio.run(found_in(asked.home, questions))
        rows = compared(questions, found)
        results[name] = {"questions": len(judged), "ways": rows}
        best = sorted(rows, key=lambda way: -float(np.float64(rows[way]["nDCG@10"])))[:6]
        print(name, len(judged), *(f"\n  {way}: {rows[way]}" for way in [BEFORE, *best]))
    write_result("fusion", {"sets": results}, quiet=True)


if __name__ == "__main__":
    main()
