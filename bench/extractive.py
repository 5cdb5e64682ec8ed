"""Fit and check the extractive answerer (`steelyard.generate.choose`).

    python bench/extractive.py [--fit] [--data DIR] [--questions N]

Passages come from the sets' own corpora: the 8 best by reciprocal rank fusion of BM25 and the
default embedder. squad2 is split by article: three fifths of the titles fit the weights, the
others check them; docs_qa and policyqa (a question's own site only) are never fit on. Questions
of the other sets, asked of a corpus that cannot know, are the second kind of unanswerable one.
Prints JSON lines; with --fit the weights too, to be copied to `choose.py`.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from citations import logistic  # the script beside this one

from steelyard.core.chat import Passage
from steelyard.core.words import content_stems
from steelyard.embed.bert import BertEmbedder
from steelyard.generate import choose as shipped
from steelyard.generate.candidates import Candidate, candidates
from steelyard.generate.features import SENTENCE_FEATURES, sentence_features

ANSWER_FEATURES = ("cosine", "passage_cosine", "context_recall", "names_missing", "lacks_wanted")
NUM_PASSAGES = 8
RRF_K = 60
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A question with its passages. `kind`: answerable, near (unanswerable, on topic), far."""

    question: str
    answers: tuple[str, ...]
    gold: str
    group: str
    kind: str
    passages: tuple[Passage, ...]


class Vectors:
    """Embeds each text once."""

    def __init__(self) -> None:
        self._embedder = BertEmbedder()
        self._known: dict[str, Array] = {}

    def __call__(self, text: str) -> Array:
        if text not in self._known:
            self._known[text] = self._embedder.embed_query(text)
        return self._known[text]


class Corpus:
    """A small hybrid search over one set."""

    def __init__(self, rows: Sequence[dict[str, Any]], embed: Vectors) -> None:
        self.rows = rows
        self.titles = np.array([row["title"] for row in rows])
        self._embed = embed
        self._matrix = np.stack([embed(row["title"] + "\n" + row["text"][:1000]) for row in rows])
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths = []
        for i, row in enumerate(rows):
            counts = Counter(content_stems(row["title"] + " " + row["text"]))
            lengths.append(sum(counts.values()))
            for word, count in counts.items():
                self._postings[word].append((i, count))
        self._norms = 1.2 * (0.25 + 0.75 * np.array(lengths) / max(1.0, float(np.mean(lengths))))

    def search(self, question: str, *, only: Array | None = None) -> tuple[Passage, ...]:
        lexical = np.zeros(len(self.rows))
        for word in set(content_stems(question)):
            found = self._postings.get(word, [])
            idf = np.log(1 + (len(self.rows) - len(found) + 0.5) / (len(found) + 0.5))
            for i, count in found:
                lexical[i] += idf * count * 2.2 / (count + self._norms[i])
        dense = self._matrix @ self._embed(question)
        fused: dict[int, float] = defaultdict(float)
        for leg in (lexical, dense):
            scores = leg if only is None else np.where(only, leg, -np.inf)
            for rank, i in enumerate(np.argsort(-scores, kind="stable")[:60], start=1):
                if np.isfinite(scores[i]):
                    fused[int(i)] += 1 / (RRF_K + rank)
        best = sorted(fused, key=lambda i: (-fused[i], i))[:NUM_PASSAGES]
        return tuple(self._passage(n, i) for n, i in enumerate(best, start=1))

    def _passage(self, n: int, i: int) -> Passage:
        row = self.rows[i]
        text = row["text"][:4000]
        return Passage(n, i, row["id"], "", row["title"], text, 0, len(text), 0.0)


def read(data: Path, name: str, part: str) -> list[dict[str, Any]]:
    with gzip.open(data / name / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cases(
    data: Path, name: str, embed: Vectors, *, limit: int, far: Iterable[str], by_title: bool = False
) -> list[Case]:
    corpus = Corpus(read(data, name, "corpus"), embed)
    titles = {row["id"]: row["title"] for row in corpus.rows}
    questions = read(data, name, "queries")
    chosen = np.random.default_rng(0).permutation(len(questions))[:limit]
    made = []
    for row in (questions[i] for i in sorted(chosen)):
        title = titles.get(row.get("doc_id", ""), "")
        only = corpus.titles == title if by_title else None
        kind = "answerable" if row["answers"] else "near"
        found = corpus.search(row["text"], only=only)
        gold = row.get("doc_id", "")
        made.append(Case(row["text"], tuple(row["answers"]), gold, title, kind, found))
    made += [Case(text, (), "", text, "far", corpus.search(text)) for text in far]
    return made


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def is_hit(text: str, answers: Iterable[str]) -> bool:
    return any(plain(answer) and f" {plain(answer)} " in f" {plain(text)} " for answer in answers)


def token_f1(text: str, answers: Iterable[str]) -> float:
    best = 0.0
    said = Counter(plain(text).split())
    for answer in answers:
        gold = Counter(plain(answer).split())
        shared = sum((said & gold).values())
        if shared:
            best = max(best, 2 * shared / (sum(said.values()) + sum(gold.values())))
    return best


def in_training(case: Case) -> bool:
    return int(hashlib.sha256(case.group.encode()).hexdigest(), 16) % 5 < 3


def features(case: Case, embed: Vectors) -> tuple[list[Candidate], Array]:
    found = shipped.likely(case.question, candidates(case.passages))
    vectors = np.stack([embed(each.embedded) for each in found])
    return found, sentence_features(case.question, embed(case.question), found, vectors)


def fit(training: Sequence[Case], embed: Vectors) -> None:
    rows, golds, kinds = [], [], []
    for case in training:
        found, each = features(case, embed)
        places = [case.passages[candidate.place].document_id for candidate in found]
        gold = [
            is_hit(candidate.text, case.answers) and place == case.gold
            for candidate, place in zip(found, places, strict=True)
        ]
        rows.append(each)
        golds.append(np.array(gold))
        kinds.append(case.kind)
    weights = conditional_logit(rows, golds)
    best = np.stack([each[int(np.argmax(each @ weights))] for each in rows])
    columns = [SENTENCE_FEATURES.index(name) for name in ANSWER_FEATURES]
    labels = np.array([kind == "answerable" for kind in kinds])
    *answer_weights, bias = logistic(best[:, columns], labels)
    show(
        sentence_weights=dict(zip(SENTENCE_FEATURES, np.round(weights, 2).tolist(), strict=True)),
        answer_weights=dict(zip(ANSWER_FEATURES, np.round(answer_weights, 2), strict=True)),
        answer_bias=round(bias, 2),
    )


def conditional_logit(
    rows: Sequence[Array], golds: Sequence[Array], *, ridge: float = 1.0
) -> Array:
    """Fit weights so that the gold sentences of a question share its softmax (Newton)."""
    asked = [(each, gold) for each, gold in zip(rows, golds, strict=True) if gold.any()]
    weights = np.zeros(rows[0].shape[1])
    for _ in range(30):
        gradient = -ridge * weights
        hessian = ridge * np.eye(len(weights))
        for each, gold in asked:
            scores = each @ weights
            p = np.exp(scores - scores.max())
            p /= p.sum()
            target = np.where(gold, p, 0.0)
            mean = p @ each
            gradient += (target / target.sum() - p) @ each
            hessian += (each * p[:, None]).T @ each - np.outer(mean, mean)
        step = np.clip(np.linalg.solve(hessian, gradient), -2, 2)
        weights += step
        if np.abs(step).max() < 1e-4:
            break
    return weights


def check(name: str, held: Sequence[Case], embed: Vectors) -> None:
    """Print how the shipped weights do: with how many sentences, how often right, how silent."""
    choices = [shipped.choose(case.question, case.passages, embed=embed) for case in held]
    asked = [
        (case, choice)
        for case, choice in zip(held, choices, strict=True)
        if case.kind == "answerable"
    ]
    said = [" ".join(pick.text for pick in choice.picks) for _, choice in asked]
    confidence: dict[str, list[float]] = defaultdict(list)
    for case, choice in zip(held, choices, strict=True):
        confidence[case.kind].append(choice.confidence)
    report: dict[str, Any] = {
        "answerable": len(asked),
        "hit": mean(
            is_hit(text, case.answers) for text, (case, _) in zip(said, asked, strict=True)
        ),
        "token_f1": mean(
            token_f1(text, case.answers) for text, (case, _) in zip(said, asked, strict=True)
        ),
        "sentences": mean(len(choice.picks) for _, choice in asked),
        "words": mean(len(text.split()) for text in said),
        "answered": mean(choice.answers for _, choice in asked),
    }
    for kind in ("near", "far"):
        if confidence[kind]:
            report[f"{kind}_auroc"] = auroc(confidence["answerable"], confidence[kind])
            report[f"{kind}_refused"] = mean(each < shipped.ANSWERS for each in confidence[kind])
    show(set=name, **report)


def mean(values: Iterable[float]) -> float:
    return round(float(np.mean([float(value) for value in values])), 3)


def auroc(above: Sequence[float], below: Sequence[float]) -> float:
    differences = np.subtract.outer(np.array(above), np.array(below))
    return round(float((differences > 0).mean() + 0.5 * (differences == 0).mean()), 3)


def time_one(held: Sequence[Case]) -> None:
    """Print the cost of an answer whose sentences are all new, and of a single query."""
    embedder = BertEmbedder()
    embedder.embed_query("warm up")
    whole = timed(
        lambda case: shipped.choose(case.question, case.passages, embed=embedder.embed_query), held
    )
    single = timed(lambda case: embedder.embed_query(case.question), held)
    show(cold_answer_ms_p50=whole, query_embedding_ms_p50=single)


def timed(work: Callable[[Case], object], held: Sequence[Case]) -> float:
    spent = []
    for case in held:
        begun = time.perf_counter()
        work(case)
        spent.append(time.perf_counter() - begun)
    return round(float(np.median(spent)) * 1000, 2)


def show(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("STEELYARD_DATA", default))
    )
    parser.add_argument("--questions", type=int, default=2400)
    parser.add_argument("--fit", action="store_true")
    given = parser.parse_args()
    embed = Vectors()
    texts = {
        name: [row["text"] for row in read(given.data, name, "queries")]
        for name in ("docs_fastapi", "policyqa", "docs_qa", "squad2")
    }
    strangers = texts["docs_fastapi"] + texts["policyqa"][::60] + texts["docs_qa"]
    squad = cases(given.data, "squad2", embed, limit=given.questions, far=strangers)
    if given.fit:
        fit([case for case in squad if in_training(case)], embed)
    held = [case for case in squad if not in_training(case)]
    check("squad2, held-out articles", held, embed)
    for name, by_title in (("docs_qa", False), ("policyqa", True)):
        far = texts["squad2"][::60]
        made = cases(given.data, name, embed, limit=400, far=far, by_title=by_title)
        check(name, made, embed)
    time_one([case for case in held if case.kind == "answerable"][:50])


if __name__ == "__main__":
    main()
