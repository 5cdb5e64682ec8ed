"""What a set is: a hash of its content, whatever its files look like."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

from steelyard.core.evaluation import Question, SetDocument


def content_id(questions: Iterable[Question], documents: Iterable[SetDocument]) -> str:
    """Return the SHA-256 of questions and documents, equal for every order of rows and keys."""
    digest = hashlib.sha256()
    for items in (documents, questions):
        for line in sorted(map(_canonical, items)):
            digest.update(line.encode("utf-8") + b"\n")
        digest.update(b"\0")
    return digest.hexdigest()


def _canonical(item: Question | SetDocument) -> str:
    return json.dumps(asdict(item), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
