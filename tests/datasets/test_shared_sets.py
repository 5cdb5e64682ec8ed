"""The sets named by `STEELYARD_DATA`, read whole; skipped without it."""

import os
from pathlib import Path

import pytest

from steelyard.datasets import clusters, read_set

DATA = os.environ.get("STEELYARD_DATA", "")
# set: questions, documents, judged pairs, spans, unanswerable, clusters
EXPECTED = {
    "chunk_excerpts": (472, 5, 472, 790, 0, 5),
    "docs_fastapi": (44, 244, 38, 0, 6, 42),
    "docs_qa": (100, 232, 192, 0, 0, 99),
    "medquad_faq": (38, 16_373, 223, 0, 0, 38),
    "multihop": (400, 4_850, 837, 0, 0, 400),
    "nfcorpus": (650, 3_395, 30_409, 0, 0, 647),
    "policyqa": (7_961, 1_071, 7_961, 12_398, 0, 40),
    "sec_10q_pdf": (157, 827, 16_494, 0, 0, 70),
    "squad2": (5_349, 1_043, 2_575, 4_523, 2_774, 16),
}


@pytest.mark.skipif(not DATA, reason="STEELYARD_DATA names no folder")
@pytest.mark.parametrize("name", EXPECTED)
def test_a_shared_set_is_read_without_loss(name):
    found = read_set(Path(DATA) / name)
    texts = {one.id: one.text for one in found.documents}
    spans = [span for one in found.questions for span in one.spans]
    assert all(texts[span.document_id][span.start : span.end] == span.text for span in spans)
    assert EXPECTED[name] == (
        len(found.questions),
        len(found.documents),
        sum(len(one.relevant) for one in found.questions),
        len(spans),
        sum(one.answerable is False for one in found.questions),
        len(set(clusters(found).tolist())),
    )
    assert len(found.notes) == (name == "sec_10q_pdf")
