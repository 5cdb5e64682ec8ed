"""What the span reader adds to the built-in answerer, and the weights that join the two.

    python bench/reader.py [--fit] [--data DIR] [--adapter DIR] [--questions N]

Without --adapter the shipped reader is measured. Two ways: `gold`, a question with the paragraph
that it was asked of, as SQuAD measures readers; and `found`, with the 8 passages that a small
hybrid search finds in the whole set (bench/extractive.py). squad2's articles and policyqa's sites
are split by recipes/reader_rows.py: what is measured here is held out from training; --fit fits
choose.py's READ_* numbers on the dev articles and prints them. Prints JSON lines.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from citations import logistic
from extractive import Case, Corpus, Vectors, auroc, is_hit, mean, show
from extractive import read as read_set

from steelyard.core.chat import Passage
from steelyard.evals.measures.words import exact, f1
from steelyard.generate import choose
from steelyard.generate.candidates import candidates
from steelyard.generate.choose import Weighed, squashed, weigh
from steelyard.generate.options import ReaderOptions
from steelyard.generate.reader import SpanReader
from steelyard.generate.spans import ReadSpan

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "recipes"))
from reader_rows import split  # noqa: E402  # of the recipe: one split for training and figures

GAINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
UNHURRIED_MS = 10**6


@dataclass(frozen=True, slots=True)
class Read:
    """A case, its likely sentences, and what the reader found in them."""

    case: Case
    weighed: Weighed
    spans: Mapping[int, ReadSpan]

    def best(self, gain: float) -> int:
        logits = [
            each + gain * squashed(self.spans.get(n)) for n, each in enumerate(self.weighed.logits)
        ]
        return max(range(len(logits)), key=lambda n: (logits[n], -n))

    def text(self, n: int) -> str:
        span = self.spans.get(n)
        return "" if span is None else self.case.passages[span.place].text[span.start : span.end]

    @property
    def margin(self) -> float:
        return max(map(squashed, self.spans.values()), default=-choose.MAX_MARGIN)


def asked(data: Path, name: str, part: str, *, limit: int) -> list[dict[str, Any]]:
    """Return questions on one part of a set, by chance but always the same."""
    titles = {one["id"]: one["title"] for one in read_set(data, name, "corpus")}
    questions = read_set(data, name, "queries")
    if part:
        parts = split(name, {titles[one["doc_id"]] for one in questions})
        questions = [one for one in questions if parts[titles[one["doc_id"]]] == part]
    chosen = np.random.default_rng(0).permutation(len(questions))[:limit]
    return [questions[n] for n in sorted(chosen)]


def gold(reader: SpanReader, data: Path, name: str, part: str, *, limit: int) -> None:
    """Print how the reader alone does on the paragraphs that were asked about."""
    documents = {one["id"]: one for one in read_set(data, name, "corpus")}
    scores, exacts, margins = [], [], {True: [], False: []}  # type: ignore[var-annotated]
    for one in asked(data, name, part, limit=limit):
        text = documents[one["doc_id"]]["text"]
        passage = Passage(1, 1, one["doc_id"], "", "", text, 0, len(text), 1.0)
        spans = reader.read_now(one["text"], [passage], candidates([passage]))
        best = max(spans.values(), key=lambda span: span.margin, default=None)
        margins[bool(one["answers"])].append(best.margin if best else -choose.MAX_MARGIN)
        if one["answers"]:
            said = text[best.start : best.end] if best else ""
            scores.append(max(f1(said, answer) for answer in one["answers"]))
            exacts.append(max(exact(said, answer) for answer in one["answers"]))
    told = {"AUROC": auroc(margins[True], margins[False])} if margins[False] else {}
    show(gold=name, part=part, answerable=len(scores), F1=mean(scores), EM=mean(exacts), **told)


def found(
    reader: SpanReader, corpus: Corpus, questions: Sequence[dict[str, Any]], embed: Vectors
) -> list[Read]:
    titles = {row["id"]: row["title"] for row in corpus.rows}
    reads = []
    for one in questions:
        title = titles.get(one.get("doc_id", ""), "")
        passages = corpus.search(one["text"])
        kind = "answerable" if one["answers"] else "near"
        case = Case(
            one["text"], tuple(one["answers"]), one.get("doc_id", ""), title, kind, passages
        )
        weighed = weigh(one["text"], passages, embed=embed)
        if weighed.found:
            reads.append(Read(case, weighed, reader.read_now(one["text"], passages, weighed.found)))
    return reads


def check(name: str, reads: Sequence[Read]) -> None:
    """Print what each gain gives; 0: the sentences that the embedder alone would quote."""
    answerable = [one for one in reads if one.case.answers]
    for gain in GAINS:
        picked = [(one, one.best(gain)) for one in answerable]
        show(
            found=name,
            gain=gain,
            answerable=len(answerable),
            hit=mean(is_hit(one.weighed.found[n].text, one.case.answers) for one, n in picked),
            F1_short=mean(max(f1(one.text(n), a) for a in one.case.answers) for one, n in picked),
        )
    near = [one for one in reads if not one.case.answers]
    if near:
        ways = {"embedder": _embedders, "margin": _margin, "joined": _joined}
        told = {
            f"AUROC_{way}": auroc([*map(of, answerable)], [*map(of, near)])
            for way, of in ways.items()
        }
        show(found=name, near=len(near), **told)


def _embedders(one: Read) -> float:
    return one.weighed.answer


def _margin(one: Read) -> float:
    return one.margin


def _joined(one: Read) -> float:
    return choose.decide(one.weighed, spans=one.spans).confidence


def fit(reads: Sequence[Read]) -> None:
    """Print the gain of the best short answers, and a logistic of both answerers' confidence."""
    answerable = [one for one in reads if one.case.answers]

    def score(gain: float) -> float:
        return mean(
            max(f1(one.text(one.best(gain)), answer) for answer in one.case.answers)
            for one in answerable
        )

    rows = np.array([[one.weighed.answer, one.margin] for one in reads])
    labels = np.array([bool(one.case.answers) for one in reads])
    answer, margin, bias = logistic(rows, labels)
    show(
        read_gain=max(GAINS, key=score),
        read_weights={"answer": round(float(answer), 2), "margin": round(float(margin), 2)},
        read_bias=round(float(bias), 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT.parent / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("STEELYARD_DATA", default))
    )
    parser.add_argument("--adapter", type=str, default=None)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--fit", action="store_true")
    given = parser.parse_args()
    model = "all-MiniLM-L6-v2" if given.adapter else "default"
    reader = SpanReader(ReaderOptions(model, given.adapter, budget_ms=UNHURRIED_MS))
    show(reader=reader.model, precision=reader.built.precision, int8_to_fp32=reader.built.cosine)
    for name in ("squad2", "policyqa"):
        gold(reader, given.data, name, "test", limit=given.questions)
    embed = Vectors()
    corpus = Corpus(read_set(given.data, "squad2", "corpus"), embed)
    if given.fit:
        questions = asked(given.data, "squad2", "dev", limit=given.questions)
        fit(found(reader, corpus, questions, embed))
    for name, part in (("squad2", "test"), ("docs_qa", "")):
        questions = asked(given.data, name, part, limit=given.questions)
        own = corpus if name == "squad2" else Corpus(read_set(given.data, name, "corpus"), embed)
        check(name, found(reader, own, questions, embed))


if __name__ == "__main__":
    main()
