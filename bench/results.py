"""docs/results.md: every judged set through the harness, with intervals, by one command.

    python bench/results.py --home HOME [--sets squad2,docs_qa]

HOME keeps what is ingested (a first run embeds some 75,000 chunks) and every outcome, so that a
second run asks nothing anew. Sets are read from the folder named by STEELYARD_DATA. The handbook's
report is written to docs/handbook-report.html.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from machine import OUT, machine
from sets import data_folder

from steelyard.core.evaluation import Report
from steelyard.evals.report import report_from_json
from steelyard.evals.report.figures import shown_delta, with_interval
from steelyard.evals.report.markdown import p_value

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RANKS = "ranks=hybrid retrieve.fusion=ranks retrieve.dense_share=0.4"
SEARCH = ["--arms", "hybrid,bm25,lexical,dense", "--arm", RANKS]
SETS = (
    ("squad2", ""),
    ("docs_qa", ""),
    ("docs_fastapi", ""),
    ("multihop", ""),
    ("medquad_faq", ""),
    ("nfcorpus", "test"),
    ("nfcorpus", "dev"),
)
HANDBOOK = ROOT / "examples" / "handbook"
ANSWER_MEASURES = "nDCG@10,F1,contains,abstention,AUROC,cite_precision,support,p50_ttft_ms,p95_ms"
HANDBOOK_ARMS = [
    "--arms", "rag,base,oracle",
    "--arm", "lexical-rag=rag retrieve.legs=lexical",
    "--arm", "dense-rag=rag retrieve.legs=dense",
]  # fmt: skip
SQUAD_SAMPLE = 500

HEAD = """\
# Results

Made by `python bench/results.py`; every figure with its 95 % interval. {machine}, commit {commit}.
Arms are run through the code that serves. `bm25` is the textbook's, over whole documents; `lexical`
and `dense` are the served index's legs over its chunks; `hybrid` is what is served; `ranks` merges
the legs by reciprocal ranks instead of by scores. No arm here has the shipped reranker: its figures
are in [models.md](models.md). How the intervals and verdicts are made:
[why/statistics.md](why/statistics.md).

## Finding the right document
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A set's report, and the BM25 figure that came with the set."""

    report: Report
    noted_bm25: float


BY_HAND = "<!-- What follows is of other benches, and kept. -->\n"


def evaluated(home: Path, name: str, words: list[str]) -> Report:
    """Run `steelyard eval run`, and return its report as JSON."""
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / f"results-{name.replace('/', '-')}.json"
    command = [sys.executable, "-m", "steelyard", "--home", str(home), "eval", "run", *words]
    print("steelyard", *words, file=sys.stderr, flush=True)
    subprocess.run([*command, "--json", str(file)], check=True, stdout=subprocess.DEVNULL)
    return report_from_json(json.loads(file.read_text(encoding="utf-8")), where=str(file))


def noted_bm25(name: str, part: str) -> float:
    figures = json.loads((data_folder() / name / "bm25.json").read_text(encoding="utf-8"))
    return float((figures[part] if part else figures)["ndcg@10"])


def retrieval(home: Path, names: set[str]) -> list[Found]:
    found = []
    for name, part in SETS:
        if not names or name in names:
            words = ["--data", str(data_folder() / name), *SEARCH, "--min-effect", "0.01"]
            words += ["--part", part] if part else []
            words += ["--measures", "nDCG@10,R@10,RR@10,p50_ms,p95_ms,failed"]
            report = evaluated(home, f"{name}{part}", words)
            found.append(Found(report, noted_bm25(name, part)))
    return found


def retrieval_table(reports: list[Found]) -> str:
    """Return nDCG@10 of every arm, then what hybrid adds to the others."""
    names = ["bm25", "lexical", "dense", "ranks", "hybrid"]
    lines = [
        f"| nDCG@10 | questions | BM25 noted | {' | '.join(names)} |",
        f"|---|---:|---:|{'---:|' * len(names)}",
    ]
    for row in reports:
        report = row.report
        arms = {arm.name: arm.figures["nDCG@10"] for arm in report.arms}
        cells = [with_interval("nDCG@10", arms[name]) for name in names]
        n = arms["hybrid"].n
        noted = f"{row.noted_bm25:.3f}"
        lines.append(f"| {report.set_name} | {n:,} | {noted} | {' | '.join(cells)} |")
    return "\n".join(lines)


def gains_table(reports: list[Found]) -> str:
    """Return what hybrid is better by than each other arm, with the verdict about hybrid."""
    others = ["bm25", "dense", "lexical", "ranks"]
    turned = {"better": "worse", "worse": "better"}
    lines = [
        f"| hybrid's nDCG@10 less that of | {' | '.join(others)} |",
        f"|---|{'---|' * len(others)}",
    ]
    for row in reports:
        report = row.report
        cells = []
        for name in others:
            one = next(
                c for c in report.comparisons if (c.candidate, c.measure) == (name, "nDCG@10")
            )
            delta = one.delta
            value, low, high = (
                shown_delta("nDCG@10", -x) for x in (delta.value, delta.high, delta.low)
            )
            verdict = turned.get(one.verdict.value, one.verdict.value)
            cells.append(f"{value} [{low}, {high}], p {p_value(one.p_holm)}: {verdict}")
        lines.append(f"| {report.set_name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def times_table(reports: list[Found]) -> str:
    names = ["bm25", "lexical", "dense", "hybrid"]
    lines = [
        f"| p50 / p95 of a search | {' | '.join(names)} | harness's share of the time |",
        f"|---|{'---:|' * (len(names) + 1)}",
    ]
    for row in reports:
        report = row.report
        arms = {arm.name: arm.figures for arm in report.arms}
        cells = [
            f"{arms[name]['p50_ms'].value:.1f} / {arms[name]['p95_ms'].value:.1f} ms"
            for name in names
        ]
        share = (
            report.overhead_s / report.wall_s
            if any(a.num_reused == 0 for a in report.arms)
            else None
        )
        told = "reused" if share is None else f"{report.overhead_s:.1f} of {report.wall_s:.1f} s"
        lines.append(f"| {report.set_name} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines)


def answers_table(report: Report) -> str:
    lines = [
        f"| arm | {' | '.join(report.measures)} |",
        f"|---|{'---:|' * len(report.measures)}",
    ]
    for arm in report.arms:
        cells = [with_interval(name, arm.figures[name]) for name in report.measures]
        lines.append(f"| {arm.name} | {' | '.join(cells)} |")
    lines += ["", "Differences that are shown (p after Holm's correction):", ""]
    for one in report.comparisons:
        if one.verdict.value in ("better", "worse"):
            delta = with_interval(one.measure, one.delta, delta=True)
            lines.append(
                f"* {one.candidate} against {one.baseline}: {one.verdict.value} in {one.measure}, "
                f"{delta}, p {p_value(one.p_holm)}"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sets", default="")
    asked = parser.parse_args()
    reports = retrieval(asked.home, {name for name in asked.sets.split(",") if name})
    handbook = asked.home / "handbook"
    steelyard = [sys.executable, "-m", "steelyard", "--home", str(handbook)]
    subprocess.run([*steelyard, "ingest", str(HANDBOOK)], check=True, stdout=subprocess.DEVNULL)
    page = DOCS / "handbook-report.html"
    words = ["--data", str(HANDBOOK / "questions.jsonl"), *HANDBOOK_ARMS, "--html", str(page)]
    own = evaluated(handbook, "handbook", [*words, "--measures", ANSWER_MEASURES])
    squad = evaluated(
        asked.home,
        "squad2-answers",
        [
            "--data", str(data_folder() / "squad2"), "--arms", "rag,oracle",
            "--limit", str(SQUAD_SAMPLE), "--measures", ANSWER_MEASURES,
        ],
    )  # fmt: skip
    about = machine()
    text = "\n".join(
        [
            HEAD.format(
                machine=f"{about['cores']} cores of an {about['cpu']}", commit=about["commit"]
            ),
            retrieval_table(reports),
            "",
            "What is served against each other way; `better` and `worse` are about `hybrid`:",
            "",
            gains_table(reports),
            "",
            "Times are of two questions at once on a machine that had other work too: compare "
            "arms, not lone figures; `bm25` embeds nothing.",
            "",
            times_table(reports),
            "",
            "## Answers without a language model",
            "",
            "The built-in answerer quotes sentences, so F1 against answers of a few words is low; "
            "`base` has no documents and declines everything; `oracle` has no gold for what cannot "
            "be answered, so it declines that by construction. The handbook is our own example "
            "([whole report](handbook-report.html)); the answerer's threshold was chosen with a "
            "look at it.",
            "",
            "### The handbook, 142 questions",
            "",
            answers_table(own),
            "",
            f"### squad2, a sample of {SQUAD_SAMPLE} questions",
            "",
            answers_table(squad),
            "",
        ]
    )
    path = DOCS / "results.md"
    _, mark, tuned = path.read_text(encoding="utf-8").partition(BY_HAND)
    path.write_text(f"{text.rstrip()}\n\n{mark}{tuned}" if mark else text, encoding="utf-8")


if __name__ == "__main__":
    main()
