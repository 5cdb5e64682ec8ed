"""How well the handbook's questions are answered, through the façade that users use.

    python bench/handbook.py [--llm-url URL --llm-model NAME]

Ingests examples/handbook into a fresh home and asks every question. Reports hit@5 (a gold page
among the first five documents; for two-page questions, `all@5`: both), answer token F1 and
exact-number hits on the answerable ones, how often the answer holds the gold answer, whether its
citations quote the gold page, and how well it tells what the documents don't say.
Writes bench/out/handbook.json.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from machine import write_result

from steelyard import Steelyard
from steelyard.evals.measures.words import contains, f1

HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"


def page_of(uri: str) -> str:
    return unquote(uri.partition("/handbook/")[2])


def ask(home: Steelyard, row: dict[str, Any]) -> dict[str, Any]:
    found = home.search(row["question"], k=50).found
    pages = list(dict.fromkeys(page_of(one.chunk.uri) for one in found))[:5]
    answer = home.ask(row["question"])
    cited = {page_of(citation.uri) for citation in answer.citations}
    golds = row["answers"] or [row["answer"]]
    return {
        "id": row["id"],
        "type": row["type"],
        "answerable": row["answerable"],
        "hit": any(page in pages for page in row["documents"]),
        "all": all(page in pages for page in row["documents"]),
        "f1": max((f1(answer.text, gold) for gold in golds), default=0.0),
        "contains": max((contains(answer.text, gold) for gold in golds), default=0.0)
        if row["answerable"]
        else 0.0,
        "said_answerable": answer.answerable,
        "cited_gold": bool(cited & set(row["documents"])),
        "answer": answer.text,
        "total_ms": answer.usage.timings_ms["total"],
    }


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    good = [row for row in rows if row["answerable"]]
    told = [row for row in good if row["said_answerable"]]
    return {
        "questions": len(rows),
        "hit@5": mean([row["hit"] for row in good]),
        "all@5": mean([row["all"] for row in good]),
        "answer_f1": mean([row["f1"] if row["said_answerable"] else 0.0 for row in good]),
        "answer_contains_gold": mean([row["contains"] for row in good]),
        "citation_from_gold_page": mean([row["cited_gold"] for row in told]),
        "answered_when_answerable": mean([row["said_answerable"] for row in good]),
        "declined_when_unanswerable": mean(
            [not row["said_answerable"] for row in rows if not row["answerable"]]
        ),
        "median_total_ms": sorted(row["total_ms"] for row in rows)[len(rows) // 2],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm-url")
    parser.add_argument("--llm-model")
    given = parser.parse_args()
    lines = (HANDBOOK / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    options = {"llm.url": given.llm_url, "llm.model": given.llm_model}
    with tempfile.TemporaryDirectory() as folder, Steelyard(folder, options=options) as home:
        added = home.add(HANDBOOK)
        rows = [ask(home, row) for row in questions]
    by_type = {
        kind: summary([row for row in rows if row["type"] == kind])
        for kind in sorted({row["type"] for row in rows})
        if kind != "unanswerable"
    }
    result = {
        "num_searchable": added.num_searchable,
        "summary": summary(rows),
        "hit@5_by_type": {kind: one["hit@5"] for kind, one in by_type.items()},
        "f1_by_type": {kind: one["answer_f1"] for kind, one in by_type.items()},
    }
    path = write_result("handbook", result)
    details = path.with_name("handbook_rows.jsonl")
    details.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
