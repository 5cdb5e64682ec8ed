"""Does late interaction over the embedder's own token vectors rank better than no reranking?

    python bench/maxsim.py SET ...      # bench/out/maxsim-SET.json: nDCG@10 of every question
    python bench/maxsim.py --report     # bench/out/maxsim.{json,md} from what was measured

The first 20 chunks of the served hybrid are scored by MaxSim: each question token takes its
best cosine among a passage's tokens, and these are added up. Variants: all 384 dimensions of
`last_hidden_state`; 64 or 128 principal components as int8 (what a store could hold); each also
with question tokens weighted by their rarity. A weight w mixes w of the MaxSim score with 1 - w of
the fused score, both stretched to [0, 1] over the pool. Variant and weight are chosen on CHOOSE and
reported on REPORT, as differences a question with a bootstrap interval. At most 300 questions a
set, and of large corpora a fixed random sample of documents beside the judged ones.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from legs import OUT, KeptVectors
from machine import write_result
from numpy.typing import NDArray
from sets import EvaluationSet, load_set, ndcg
from system import System

from steelyard.chunk import ChunkOptions, StructureChunker
from steelyard.core.ranking import Hit, Ranking
from steelyard.embed.bert import BertEmbedder
from steelyard.infra.bert import open_session, open_tokenizer
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.infra.models import find_model

# Shapes: Q question tokens, P passage tokens, D dimensions, N tokens of a sample.
CHOOSE = ("nfcorpus dev", "docs_fastapi", "multihop")
REPORT = ("nfcorpus test", "squad2", "docs_qa", "medquad_faq")
POOL = 20
MAX_QUESTIONS = 300
MAX_DOCUMENTS = 2500
WEIGHTS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
DIMENSIONS = (64, 128)
VARIANTS = tuple(
    f"{width}{weighting}"
    for width in ("all", *(f"pca{number}" for number in DIMENSIONS))
    for weighting in ("", "+rarity")
)
RESAMPLES = 5000

Tokens = tuple[NDArray[np.float32], list[int]]  # unit rows, ids


class Encoder:
    """Token vectors of a text, without special tokens, each of unit length; remembered."""

    def __init__(self, embedder: BertEmbedder) -> None:
        self._tokenizer = open_tokenizer(find_model(embedder.options.model))
        self._session = open_session(embedder.encoder.folder / GRAPH_FILE)
        self._limit = embedder.max_tokens + 2
        self._kept: dict[str, tuple[NDArray[np.float16], list[int]]] = {}

    def tokens(self, text: str) -> Tokens:
        if text not in self._kept:
            ids = self._tokenizer.encode(text).ids
            if len(ids) > self._limit:
                ids = [*ids[: self._limit - 1], ids[-1]]
            rows = self._session.hidden(np.array(ids, np.int32))[1:-1]
            self._kept[text] = (unit(rows).astype(np.float16), ids[1:-1])
        rows, ids = self._kept[text]
        return rows.astype(np.float32), ids

    def warm(self, texts: Sequence[str]) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.tokens, dict.fromkeys(texts)))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)


def components(rows_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all principal components (D, D), largest first, of rows as they are, uncentred."""
    _, vectors = np.linalg.eigh(rows_ND.T @ rows_ND)
    return np.ascontiguousarray(vectors[:, ::-1], np.float32)


def small(rows: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows as they would be read back from a byte a dimension."""
    return np.asarray(np.rint(unit(rows @ matrix) * 127) / 127, np.float32)


def maxsim(
    question: Tokens, passage: Tokens, matrix: NDArray[np.float32], rarity: Mapping[int, float]
) -> dict[str, float]:
    (q, q_ids), (p, _) = question, passage
    if not len(p) or not len(q):
        return dict.fromkeys(VARIANTS, 0.0)
    weights_Q = np.array([rarity.get(token, 1.0) for token in q_ids])
    scores: dict[str, float] = {}
    for width, left, right in (
        ("all", q, p),
        *((f"pca{n}", small(q, matrix[:, :n]), small(p, matrix[:, :n])) for n in DIMENSIONS),
    ):
        best_Q = (left @ right.T).max(axis=1)
        scores[width] = float(best_Q.mean())
        scores[f"{width}+rarity"] = float((best_Q * weights_Q).sum() / weights_Q.sum())
    return scores


def stretched(scores: Sequence[float]) -> NDArray[np.float64]:
    array = np.array(scores, np.float64)
    width = float(np.ptp(array)) if len(array) else 0.0
    return (array - array.min()) / width if width else np.zeros(len(array))


def reordered(fused: Ranking, scores: Sequence[float], weight: float) -> Ranking:
    pool = fused.hits[:POOL]
    mixed = weight * stretched(scores) + (1 - weight) * stretched([hit.score for hit in pool])
    order = sorted(range(len(pool)), key=lambda at: (-mixed[at], at))
    head = tuple(Hit(pool[at].chunk_id, float(mixed[at])) for at in order)
    return Ranking(head + fused.hits[POOL:])


def sampled(one: EvaluationSet) -> EvaluationSet:
    """Return the set with few enough questions and documents, always the same ones."""
    draw = random.Random(0)
    names = sorted(one.queries)
    names = sorted(draw.sample(names, min(MAX_QUESTIONS, len(names))))
    judged = {doc for name in names for doc, grade in one.qrels[name].items() if grade > 0}
    others = [document.id for document in one.documents if document.id not in judged]
    room = max(0, MAX_DOCUMENTS - len(judged))
    kept = judged | set(draw.sample(others, min(room, len(others))))
    return replace(
        one,
        queries={name: one.queries[name] for name in names},
        documents=[document for document in one.documents if document.id in kept],
    )


def measure(label: str, vectors: KeptVectors, encoder: Encoder) -> None:
    """Write nDCG@10 of each question under each variant and weight."""
    name, _, part = label.partition(" ")
    one = sampled(load_set(name, part=part))
    options = ChunkOptions()
    system = System(vectors, StructureChunker(vectors.embedder.tokenizer, options))
    num_chunks = system.add(one.documents)
    pools = {query: system.find(text) for query, text in one.queries.items()}
    texts = [system.texts[i] for fused in pools.values() for i in fused.chunk_ids[:POOL]]
    encoder.warm([*texts, *one.queries.values()])
    sampled_texts = texts[:: max(1, len(texts) // 100)]
    matrix = components(np.concatenate([encoder.tokens(text)[0] for text in sampled_texts]))
    seen = Counter(token for text in dict.fromkeys(texts) for token in set(encoder.tokens(text)[1]))
    total = len(set(texts))
    rarity = {token: float(np.log(1 + total / n)) for token, n in seen.items()}
    runs: dict[str, dict[str, float]] = {}
    for query, fused in pools.items():
        question = encoder.tokens(one.queries[query])
        scored = [
            maxsim(question, encoder.tokens(system.texts[i]), matrix, rarity)
            for i in fused.chunk_ids[:POOL]
        ]
        ways = {"none": fused} | {
            f"{variant} {weight}": reordered(fused, [row[variant] for row in scored], weight)
            for variant in VARIANTS
            for weight in WEIGHTS
        }
        for way, ranking in ways.items():
            found = ndcg({query: system.documents(ranking, 10)}, one.qrels)
            runs.setdefault(way, {})[query] = found
    system.close()
    result = {"set": label, "chunks": num_chunks, "documents": len(one.documents), "ndcg": runs}
    (OUT / f"maxsim-{label.replace(' ', '-')}.json").write_text(json.dumps(result))
    means = {way: round(float(np.mean(list(row.values()))), 4) for way, row in runs.items()}
    print(label, num_chunks, len(one.queries), json.dumps(means), flush=True)


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(differences), (RESAMPLES, len(differences)))
    low, high = np.percentile(differences[rows].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def report() -> None:
    measured = {}
    for label in (*CHOOSE, *REPORT):
        path = OUT / f"maxsim-{label.replace(' ', '-')}.json"
        measured[label] = json.loads(path.read_text())
    ways = [way for way in measured[CHOOSE[0]]["ndcg"] if way != "none"]
    gains = {
        way: float(np.mean([differences(measured[label], way).mean() for label in CHOOSE]))
        for way in ways
    }
    best = {
        variant: max((f"{variant} {weight}" for weight in WEIGHTS), key=lambda way: gains[way])
        for variant in VARIANTS
    }
    rows = []
    for label in (*CHOOSE, *REPORT):
        row: dict[str, object] = {
            "set": label,
            "part": "choose" if label in CHOOSE else "report",
            "questions": len(measured[label]["ndcg"]["none"]),
            "chunks": measured[label]["chunks"],
            "none": round(float(np.mean(list(measured[label]["ndcg"]["none"].values()))), 4),
        }
        for way in [*best.values(), *(f"{variant} 1.0" for variant in VARIANTS)]:
            change = differences(measured[label], way)
            low, high = interval(change)
            row[way] = f"{change.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
        rows.append(row)
    write_result("maxsim", {"chosen": best, "gains on CHOOSE": gains, "sets": rows})


def differences(result: Mapping[str, dict[str, dict[str, float]]], way: str) -> NDArray[np.float64]:
    ndcgs = result["ndcg"]
    return np.array([ndcgs[way][query] - base for query, base in ndcgs["none"].items()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", choices=[*CHOOSE, *REPORT, []])
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    if asked.sets:
        embedder = BertEmbedder()
        vectors, encoder = KeptVectors(embedder), Encoder(embedder)
        for label in asked.sets:
            measure(label, vectors, encoder)
    if asked.report:
        report()


if __name__ == "__main__":
    main()
