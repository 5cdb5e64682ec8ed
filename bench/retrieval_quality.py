"""How well is the right document found? Legs and fusion against BM25 over whole documents.

    python bench/retrieval_quality.py [SET ...]     # bench/out/retrieval_quality.{json,md}
    python bench/retrieval_quality.py --choices     # depths, RRF constants and weights too

Each set is read by the parser, cut by the chunker, embedded by the default embedder. A document
ranks where its best chunk ranks. nDCG as trec_eval computes it (gain = relevance): with it, the
lexical leg over whole documents comes to the noted BM25 figures of the graded sets.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from legs import OUT, KeptVectors, Legs
from machine import write_result
from sets import EvaluationSet, SetDocument, load_set, ndcg, recall

from steelyard.chunk import ChunkOptions, StructureChunker
from steelyard.core.protocols import Chunker
from steelyard.core.ranking import Hit, Ranking
from steelyard.embed.bert import BertEmbedder
from steelyard.parse import FileParser
from steelyard.retrieve import RetrieveOptions, fuse_rrf

SERVED_WEIGHTS = (1.0, RetrieveOptions().lexical_weight)  # dense, lexical
SETS = (
    ("nfcorpus", "test"),
    ("nfcorpus", "dev"),
    ("squad2", ""),
    ("docs_qa", ""),
    ("docs_fastapi", ""),
    ("multihop", ""),
    ("medquad_faq", ""),
)
DEPTHS = (20, 50, 100, 200)
RRF_KS = (10, 30, 60, 100)
WEIGHTS = ((1.0, 1.0), (1.5, 1.0), (2.0, 1.0), (1.0, 1.5), (1.0, 2.0))
CONVEX = (0.3, 0.4, 0.5, 0.6)
DEEPEST = max(DEPTHS)
K = 10


@dataclass(frozen=True, slots=True)
class Found:
    """The two legs' chunks for one question."""

    dense: Ranking
    lexical: Ranking

    def fused(
        self,
        *,
        depth: int = RetrieveOptions().pool,
        k: int = 60,
        weights: Sequence[float] = SERVED_WEIGHTS,
    ) -> Ranking:
        legs = [Ranking(leg.hits[:depth]) for leg in (self.dense, self.lexical)]
        return fuse_rrf(legs, k=k, weights=weights)


def convex(found: Found, *, dense: float, depth: int = 100) -> Ranking:
    """Add up scores, each leg's stretched to [0, 1] over its first `depth` hits.

    Source: Bruch, Gai & Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2022.
    """
    total: dict[int, float] = {}
    for leg, weight in ((found.dense, dense), (found.lexical, 1 - dense)):
        hits = leg.hits[:depth]
        for hit in hits:
            width = hits[0].score - hits[-1].score
            share = (hit.score - hits[-1].score) / width if width else 1.0
            total[hit.chunk_id] = total.get(hit.chunk_id, 0.0) + weight * share
    best = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return Ranking(tuple(Hit(chunk_id, score) for chunk_id, score in best))


class System:
    """The house's parts in a row, in memory: documents in, ranked documents out."""

    def __init__(self, vectors: KeptVectors, chunker: Chunker) -> None:
        self._vectors = vectors
        self._chunker = chunker
        self._parser = FileParser()
        self._owners: list[str] = []  # of each chunk
        self.texts: list[str] = []  # of each chunk, as embedded

    def add(self, documents: Iterable[SetDocument]) -> int:
        """Index documents, once; return the number of their chunks."""
        for document in documents:
            parsed = self._parser.parse(document.text.encode(), filename=document.filename)
            parsed = replace(parsed, title=document.title)
            for chunk in self._chunker.chunk(parsed):
                self.texts.append(chunk.embedded_text(document.title))
                self._owners.append(document.id)
        self._legs = Legs(self.texts, self._vectors)
        self._parser.close()
        return len(self.texts)

    def search(self, text: str, k: int) -> list[str]:
        return self.documents(self.find(text).fused(), k)

    def find(self, text: str, *, depth: int = DEEPEST) -> Found:
        return Found(self._legs.dense(text, k=depth), self._legs.lexical(text, k=depth))

    def documents(self, ranking: Ranking, k: int) -> list[str]:
        """Return the documents of a ranking of chunks, each where its best chunk is."""
        return list(dict.fromkeys(self._owners[chunk_id] for chunk_id in ranking.chunk_ids))[:k]

    def close(self) -> None:
        self._legs.close()


def measure(
    one: EvaluationSet, system: System, found: Mapping[str, Found], rank: Callable[[Found], Ranking]
) -> dict[str, float]:
    return figures(one, {query: system.documents(rank(legs), K) for query, legs in found.items()})


def figures(one: EvaluationSet, run: Mapping[str, list[str]]) -> dict[str, float]:
    return {
        "ndcg@10": round(ndcg(run, one.qrels), 4),
        "recall@10": round(recall(run, one.qrels), 4),
    }


def choices() -> dict[str, Callable[[Found], Ranking]]:
    """Name every way to fuse that is compared."""
    ways: dict[str, Callable[[Found], Ranking]] = {}
    for depth in DEPTHS:
        ways[f"depth {depth}"] = lambda legs, d=depth: legs.fused(depth=d)
    for k in RRF_KS:
        ways[f"k {k}"] = lambda legs, k=k: legs.fused(k=k)
    for weights in WEIGHTS:
        ways[f"dense {weights[0]} : lexical {weights[1]}"] = lambda legs, w=weights: legs.fused(
            weights=w
        )
    for dense in CONVEX:
        ways[f"convex {dense}"] = lambda legs, d=dense: convex(legs, dense=d)
    return ways


def report(one: EvaluationSet, system: System, *, with_choices: bool) -> dict[str, object]:
    num_chunks = system.add(one.documents)
    whole = Legs([f"{each.title}\n{each.text}" for each in one.documents], None)
    run = {
        query: [one.documents[at].id for at in whole.lexical(text, k=K).chunk_ids]
        for query, text in one.queries.items()
    }
    whole.close()
    found = {query: system.find(text) for query, text in one.queries.items()}
    ways: dict[str, Callable[[Found], Ranking]] = {
        "lexical": lambda legs: legs.lexical,
        "dense": lambda legs: legs.dense,
        "hybrid": lambda legs: legs.fused(),
    }
    if with_choices:
        ways |= choices()
    return {
        "set": one.label,
        "documents": len(one.documents),
        "chunks": num_chunks,
        "queries": len(one.queries),
        "bm25": {"ndcg@10": one.bm25[0], "recall@10": one.bm25[1]},
        "whole documents": figures(one, run),
        **{name: measure(one, system, found, rank) for name, rank in ways.items()},
    }


def table(reports: Sequence[Mapping[str, object]], ways: Sequence[str]) -> str:
    """Return Markdown: a row a set, nDCG@10 / recall@10 of BM25 and each way."""
    names = ["bm25", *ways]
    lines = [
        "| set | chunks | queries | " + " | ".join(names) + " |",
        "|---|---:|---:|" + "---:|" * len(names),
    ]
    for row in reports:
        cells = [f"{row[name]['ndcg@10']:.3f} / {row[name]['recall@10']:.3f}" for name in names]  # type: ignore[index]
        lines.append(
            f"| {row['set']} | {row['chunks']} | {row['queries']} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="*", help="names; all if none is given")
    parser.add_argument("--choices", action="store_true")
    parser.add_argument("--max-tokens", type=int, default=ChunkOptions().max_tokens)
    asked = parser.parse_args()
    vectors = KeptVectors(BertEmbedder())
    options = ChunkOptions(max_tokens=asked.max_tokens)
    reports: list[dict[str, object]] = []
    for name, part in SETS:
        if not asked.sets or name in asked.sets:
            system = System(vectors, StructureChunker(vectors.embedder.tokenizer, options))
            reports.append(report(load_set(name, part=part), system, with_choices=asked.choices))
            system.close()
            sys.stderr.write(json.dumps(reports[-1]) + "\n")
    markdown = table(
        reports,
        ["whole documents", "lexical", "dense", "hybrid", *(choices() if asked.choices else ())],
    )
    (OUT / "retrieval_quality.md").write_text(markdown, encoding="utf-8")
    write_result("retrieval_quality", {"options": repr(options), "sets": reports})
    sys.stdout.write(markdown)


if __name__ == "__main__":
    main()
