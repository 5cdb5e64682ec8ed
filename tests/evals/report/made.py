"""Made-up but lifelike runs: questions, arms with answers, sources and timings, and a report."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.core.chat import Answer, Citation, Passage, Span, Usage
from steelyard.core.evaluation import (
    ArmFigures,
    Comparison,
    GoldSpan,
    Interval,
    Outcome,
    Question,
    QuestionSet,
    Ranked,
    Report,
    SetDocument,
    Values,
    Verdict,
)

# Enough of them that texts compress no better than English does.
SYLLABLES = re.findall(
    r"\w+",
    "har bour crane board leave no tice pe riod app ro val in voice led ger pi lot tide berth ves "
    "sel per mit safe ty duc tion ro ta over time al low ance ex pense claim re view au dit quar "
    "ter main ten chan nel dock cus toms ma ni fest stow age ten der bal last an chor",
)
WORDS = [a + b for a in SYLLABLES for b in SYLLABLES]
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
PARTS = {"embedder": "minilm", "retrieval": "hybrid", "reranker": "none", "reader": "extractive"}
STEPS = (
    ("retrieval", "bm25"),
    ("embedder", "tuned-e1"),
    ("reranker", "tuned-r1"),
    ("reader", "tuned-x1"),
)


@dataclass(frozen=True, slots=True)
class Made:
    report: Report
    questions: QuestionSet
    outcomes: dict[str, list[Outcome]]


def made_run(
    num: int = 30,
    *,
    arms: Sequence[str] = ("base", "+embedder", "+reranker"),
    measures: Sequence[str] = ("nDCG@10", "F1", "p95_ms", "cost_usd"),
    answers: bool = True,
    compared: bool = True,
    equal: bool = False,
    seed: int = 7,
) -> Made:
    """Return a run; later arms are a little better and slower unless `equal`."""
    rng = random.Random(seed)
    documents = tuple(_document(n, rng) for n in range(max(4, num // 4)))
    questions = tuple(_question(n, documents[n % len(documents)], rng) for n in range(num))
    values, outcomes, figures = {}, {}, []
    for place, arm in enumerate(arms):
        skill = 0.55 if equal else 0.45 + 0.06 * place
        found = [
            _outcome(q, documents, skill, place, answers, seed if equal else seed + place)
            for q in questions
        ]
        outcomes[arm] = found
        values[arm] = {
            m: _values(m, questions, found, skill, seed if equal else seed + place)
            for m in measures
        }
        parts = dict(PARTS)
        parts.update(dict(STEPS[1 : place + 1]))
        failures = {one.question_id: one.error for one in found if one.error}
        means = {m: _interval(v, m) for m, v in values[arm].items()}
        figures.append(
            ArmFigures(arm, parts, means, failures, busy_s=sum(o.wall_ms for o in found) / 1000)
        )
    clusters = np.array([n % len(documents) for n in range(num)], dtype=np.int64)
    comparisons = _compared(arms, measures, values) if compared else ()
    report = Report(
        id="e-20261121-7f3a",
        created_at="2026-11-21T08:15:00+00:00",
        set_name="handbook",
        set_id="9c1d",
        question_ids=tuple(q.id for q in questions),
        clusters=clusters,
        measures=tuple(measures),
        arms=tuple(figures),
        comparisons=comparisons,
        values=values,
        notes=("3 spans do not match their document and were left out",),
        machine={"cpu": "two cores", "python": "3.11"},
        wall_s=61.5,
        overhead_s=1.25,
    )
    return Made(report, QuestionSet("handbook", "9c1d", questions, documents), outcomes)


def _document(n: int, rng: random.Random) -> SetDocument:
    sentences = [
        f"The {' '.join(rng.choices(WORDS, k=12))} takes {rng.randint(2, 400)} days."
        for _ in range(12)
    ]
    return SetDocument(f"doc-{n:05d}.md", f"Page {n} 🌴 of the handbook", " ".join(sentences))


def _question(n: int, document: SetDocument, rng: random.Random) -> Question:
    if n == 1:
        text = f"Is {HOSTILE} allowed?"
    else:
        text = f"How many days does the {' '.join(rng.choices(WORDS, k=6))} take (number {n})?"
    start = document.text.index(". The", 60 * (n % 5)) + 2
    end = document.text.index(".", start) + 1
    words = document.text[start:end]
    return Question(
        id=f"q-{n:05d}",
        text=text,
        answers=(words.split(" takes ")[1].rstrip("."),),
        answerable=n % 9 != 0,
        relevant={document.id: 1},
        spans=(GoldSpan(document.id, words, start, end),),
        type=("fact", "table", "list")[n % 3],
        cluster=document.id,
    )


def _outcome(
    question: Question,
    documents: Sequence[SetDocument],
    skill: float,
    place: int,
    answers: bool,
    seed: int,
) -> Outcome:
    rng = random.Random(f"{question.id} {seed}")
    gold = next(d for d in documents if d.id in question.relevant)
    found = rng.sample(list(documents), min(8, len(documents)))
    if rng.random() < skill and gold not in found:
        found[rng.randrange(min(3, len(found)))] = gold
    ranking = tuple(Ranked(d.id, round(1 / (n + 1), 4)) for n, d in enumerate(found))
    wall_ms = 40.0 + 25 * place + 30 * rng.random()
    if rng.random() < 0.01:
        return Outcome(question.id, error="deadline_exceeded: no leg was in time", wall_ms=1000.0)
    timings = {
        "embed": 2.0,
        "dense": 1.1,
        "lexical": 1.4,
        "fuse": 0.2,
        "fetch": 0.6,
        "search": 6.0,
        "rerank": 25.0 * place,
        "first_token": wall_ms * 0.8,
        "total": wall_ms,
    }
    answer = _answer(question, gold, found, rng, timings) if answers else None
    return Outcome(question.id, ranking, answer, timings, wall_ms, 0.0002 * (place + 1))


def _answer(question, gold, found, rng, timings):
    sources = []
    for n, document in enumerate(found[:6], start=1):
        start = (
            rng.choice((0, 150, 300))
            if document is not gold
            else max(0, question.spans[0].start - 40)
        )
        text = document.text[start : start + 900]
        number = int(document.id[4:9]) * 100 + start
        sources.append(
            Passage(
                n,
                number,
                document.id,
                f"handbook/{document.id}",
                document.title,
                text,
                start,
                start + len(text),
                1 / n,
                ("Handbook", "Days"),
            )
        )
    cited = next((s for s in sources if s.document_id == gold.id), sources[0])
    offset = cited.text.index("The ")
    quote = cited.text[offset : cited.text.index(".", offset) + 1]
    where = cited.start + offset
    text = f"🎉 It takes {rng.randint(2, 400)} days [{cited.n}]. "
    loose = "The moon is made of cheese, and so on."
    if question.id == "q-00001":
        text += HOSTILE + " "
    span = Span(len(text), len(text) + len(loose))
    text += loose + f" {' '.join(rng.choices(WORDS, k=30))} [{cited.n}]."
    citation = Citation(
        cited.n, cited.document_id, cited.uri, cited.chunk_id, where, where + len(quote), quote
    )
    return Answer(
        id=f"a-{question.id}",
        text=text,
        answerable=True,
        citations=(citation,),
        unsupported=(span,),
        sources=tuple(sources),
        usage=Usage(timings, prompt_tokens=812, completion_tokens=64, model="extractive"),
        cache="off",
        bundle="b0123",
        snapshot=41,
        degraded=(),
    )


def _values(measure, questions, outcomes, skill, seed) -> Values:
    rng = np.random.default_rng([seed, sum(measure.encode())])
    num = len(questions)
    if measure.endswith("_ms"):
        return np.array([one.wall_ms for one in outcomes])
    if measure.endswith("_usd"):
        return np.array([np.nan if one.cost_usd is None else one.cost_usd for one in outcomes])
    made = rng.beta(0.6 * skill + 0.1, 0.6 * (1 - skill) + 0.1, num)
    made[made > 0.97], made[made < 0.03] = 1.0, 0.0
    made[[bool(one.error) for one in outcomes]] = 0.0
    if measure == "F1":
        made[[q.answerable is False for q in questions]] = np.nan
    return made


def _interval(values: Values, measure: str = "") -> Interval:
    kept = values[~np.isnan(values)]
    middle = float(np.quantile(kept, 0.95)) if measure.startswith("p95") else float(kept.mean())
    half = 1.96 * float(kept.std()) / max(1, len(kept)) ** 0.5
    return Interval(middle, middle - half, middle + half, len(kept))


def _compared(arms, measures, values):
    made = []
    for arm in arms[1:]:
        for measure in measures:
            delta = _interval(values[arm][measure] - values[arms[0]][measure])
            lower = measure.endswith(("_ms", "_usd"))
            if delta.low > 0 or delta.high < 0:
                verdict = Verdict.WORSE if (delta.value > 0) == lower else Verdict.BETTER
            else:
                verdict = Verdict.UNDERPOWERED if measure == "F1" else Verdict.NO_EVIDENCE
            p = 0.0004 if verdict in (Verdict.BETTER, Verdict.WORSE) else 0.31
            needed = 1240 if verdict is Verdict.UNDERPOWERED else None
            made.append(
                Comparison(
                    measure,
                    arms[0],
                    arm,
                    delta,
                    p,
                    min(1, 3 * p),
                    "paired permutation",
                    (delta.high - delta.low) * 0.72,
                    needed,
                    verdict,
                )
            )
    return tuple(made)
