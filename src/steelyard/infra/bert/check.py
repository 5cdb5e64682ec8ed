"""The texts and the arithmetic by which a built model is compared with float32."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.infra.bert.pairs import Pair, PairTemplate
from steelyard.infra.bert.session import open_reader, open_scorer, open_session, open_tokens
from steelyard.infra.bert.tokenizer import BertTokenizer

# Questions, prose, figures, code and other scripts: what an encoder meets.
_TEXTS = (
    "How do I reset my password?",
    "refund after 30 days",
    "What is the difference between annual leave and parental leave?",
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "Net revenue rose 4.2 % to $1,284 million in Q3 2023; operating margin fell to 11.9 %.",
    "def area(width: float, height: float) -> float:\n    return width * height",
    "| Region | Orders | Returns |\n|---|---|---|\n| North | 1204 | 31 |\n| South | 988 | 47 |",
    "Aspirin irreversibly inhibits cyclooxygenase and thereby reduces platelet aggregation.",
    "Die Kündigungsfrist beträgt drei Monate zum Ende eines Kalendervierteljahres.",
    "La sauvegarde est chiffrée avant d'être envoyée vers le stockage distant.",
    "Error 0x80070005: access is denied. Run the installer as an administrator and try again.",
    "This agreement shall be governed by the laws of the State in which the tenant resides, "
    "and any dispute arising from it shall first be submitted to mediation. Either party may "
    "end it with sixty days' written notice, in which case all fees paid in advance for the "
    "remaining term are returned within fourteen days. Confidential information stays "
    "confidential for three years after the end of the agreement.",
)
_NUM_QUESTIONS = 3


def check_texts(tokenizer: BertTokenizer, *, max_tokens: int) -> list[list[int]]:
    """Return the token ids of the check texts, with special tokens, cut at `max_tokens`."""
    return [tokenizer.ids(text, limit=max_tokens) for text in _TEXTS]


def check_pairs(tokenizer: BertTokenizer, *, max_tokens: int) -> list[Pair]:
    """Return each of the first texts, the questions, with each of all texts."""
    template = PairTemplate.of(tokenizer)
    room = max(1, (max_tokens - template.num_special) // 2)
    ids = [tokenizer.own_ids(text, limit=room) for text in _TEXTS]
    return [template.join(first, second) for first in ids[:_NUM_QUESTIONS] for second in ids]


def embed_ids(graph: Path, ids: list[list[int]]) -> NDArray[np.float32]:
    """Return one embedding a text, each run alone."""
    session = open_session(graph)
    return np.stack([session.embed(np.array(row, np.int32)) for row in ids if row])


def score_pairs(graph: Path, pairs: list[Pair]) -> NDArray[np.float32]:
    """Return one score a pair, each run alone."""
    session = open_scorer(graph)
    return np.array([session.score(pair) for pair in pairs], np.float32)


def read_pairs(graph: Path, pairs: list[Pair]) -> NDArray[np.float32]:
    """Return start and end logits of all tokens of all pairs, each pair run alone."""
    session = open_reader(graph)
    return np.concatenate([session.logits(pair).ravel() for pair in pairs])


def read_tokens(graph: Path, ids: list[list[int]]) -> NDArray[np.float32]:
    """Return the weights and vectors of all tokens of all texts, each run alone."""
    session = open_tokens(graph)
    return np.concatenate([session.tokens(np.array(row, np.int32)).ravel() for row in ids if row])


def correlation(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Return Pearson's correlation; 0 if a side is constant or any number is not finite."""
    left_centred, right_centred = left - left.mean(), right - right.mean()
    length = float(np.linalg.norm(left_centred) * np.linalg.norm(right_centred))
    found = float(left_centred @ right_centred) / length if length else 0.0
    return found if np.isfinite(found) else 0.0


def mean_cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Return the mean cosine of rows of unit length; 0 if any number is not finite."""
    cosine = float((left * right).sum(axis=1).mean())
    return cosine if np.isfinite(cosine) else 0.0
