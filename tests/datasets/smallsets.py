"""Small sets on disk for the tests of this room."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, Any]]

DOCUMENTS: Rows = (
    {"id": "d1", "title": "Cranes", "text": "The red crane lifts 40 tonnes."},
    {"id": "d2", "title": "Pumps", "text": "A pump moves water. It needs oil."},
)
QUESTIONS: Rows = (
    {
        "id": "q1",
        "text": "What does the red crane lift?",
        "answers": ["40 tonnes"],
        "doc_id": "d1",
        "spans": [["40 tonnes", 20]],
    },
    {"id": "q2", "text": "What moves water?", "answers": ["A pump"], "type": "fact"},
    {"id": "q3", "text": "Who built the pump?", "answers": [], "type": "unanswerable"},
)
QRELS = "query_id\tdoc_id\trelevance\nq1\td1\t1\nq2\td2\t2\nq2\td1\t0\n"


def json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_folder(
    folder: Path,
    *,
    documents: Rows = DOCUMENTS,
    questions: Rows = QUESTIONS,
    qrels: str | None = QRELS,
) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "corpus.jsonl").write_text(json_lines(documents), encoding="utf-8")
    (folder / "queries.jsonl").write_text(json_lines(questions), encoding="utf-8")
    if qrels is not None:
        (folder / "qrels.tsv").write_text(qrels, encoding="utf-8")
    return folder
