"""Evaluation sets of one form: corpus, questions, judgements, and what BM25 scores on them.

A set is a folder with `corpus.jsonl.gz` {"id", "title", "text"}, `queries.jsonl.gz` {"id",
"text", "type", ...}, `qrels.tsv` (query, document, relevance; with a header line) and
`bm25.json`. The folder of sets is $STEELYARD_DATA, else `shared/data` beside the repository.
"""

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.evaluation import Outcome, Question, Ranked
from steelyard.core.ranking import Qrels, Run
from steelyard.evals.measures import parse_measure

NATIVE = {"docs_fastapi": ""}  # ids are file names, texts are in their native markup
PLAIN = "document.txt"


@dataclass(frozen=True, slots=True)
class SetDocument:
    id: str
    title: str
    text: str
    filename: str


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """`queries` holds the judged questions of `part` only. `bm25` is (nDCG@10, recall@10)."""

    name: str
    part: str
    documents: list[SetDocument]
    queries: Mapping[str, str]
    qrels: Qrels
    bm25: tuple[float, float]
    rows: Mapping[str, Mapping[str, Any]]

    @property
    def label(self) -> str:
        return f"{self.name} ({self.part})" if self.part else self.name


def data_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("STEELYARD_DATA", default))


def load_set(name: str, *, part: str = "") -> EvaluationSet:
    """Read a set; `part` keeps the questions of one `type` only (nfcorpus: dev, test)."""
    folder = data_folder() / name
    documents = [
        SetDocument(row["id"], row["title"], row["text"], row["id"] if name in NATIVE else PLAIN)
        for row in _rows(folder / "corpus.jsonl.gz")
    ]
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, document_id, relevance = line.split("\t")
        qrels.setdefault(query_id, {})[document_id] = int(relevance)
    rows = {
        row["id"]: row
        for row in _rows(folder / "queries.jsonl.gz")
        if any(relevance > 0 for relevance in qrels.get(row["id"], {}).values())
        and (not part or row["type"] == part)
    }
    figures = json.loads((folder / "bm25.json").read_text(encoding="utf-8"))
    figures = figures[part] if part else figures
    return EvaluationSet(
        name=name,
        part=part,
        documents=documents,
        queries={query_id: row["text"] for query_id, row in rows.items()},
        qrels=qrels,
        bm25=(figures["ndcg@10"], figures["recall@10"]),
        rows=rows,
    )


def ndcg(run: Run, qrels: Qrels, *, k: int = 10) -> float:
    """Return the mean nDCG@k over the questions of `run`."""
    return _mean(f"nDCG@{k}", run, qrels)


def recall(run: Run, qrels: Qrels, *, k: int = 10) -> float:
    """Return the mean share of relevant documents that are among the first k."""
    return _mean(f"R@{k}", run, qrels)


def _mean(measure: str, run: Run, qrels: Qrels) -> float:
    questions = [Question(query, "", relevant=qrels[query]) for query in run]
    rankings = [tuple(Ranked(document, 0.0) for document in found) for found in run.values()]
    outcomes = [Outcome(query, each) for query, each in zip(run, rankings, strict=True)]
    return float(parse_measure(measure).values(questions, outcomes).mean())


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
