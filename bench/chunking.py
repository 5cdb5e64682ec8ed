"""Which chunks let the right text be found? Budgets, overlap, heading path, and other splitters.

    python bench/chunking.py            # bench/out/chunking.{json,md}

On `chunk_excerpts` the gold is exact characters: what share of them is in the first chunks that
fit a reader's budget of BUDGET tokens (recall), what share of those chunks is gold (precision),
and intersection over union. On `docs_qa`, and on `docs_fastapi`, which has headings, the gold
is a document: nDCG@10, a document ranking where its best chunk ranks.

Recursive splitting is LangChain's: at blank lines, else line breaks, else spaces, else anywhere;
neighbours are merged up to the size.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from legs import OUT, KeptVectors, Legs
from machine import write_result
from sets import EvaluationSet, load_set, ndcg

from steelyard.chunk import ChunkOptions, StructureChunker
from steelyard.core.documents import Chunk, Parsed
from steelyard.core.protocols import Tokenizer
from steelyard.core.ranking import Ranking
from steelyard.embed.bert import BertEmbedder
from steelyard.parse import FileParser
from steelyard.retrieve import fuse_rrf

BUDGET = 1024  # tokens of text that a reader is given
DEPTH = 100
K = 10
LONGEST = "finance"  # half of all excerpt tokens, and an hour of embedding on a busy machine
LEGS = ("dense", "lexical", "hybrid")
SEPARATORS = ("\n\n", "\n", " ", "")


@dataclass(frozen=True, slots=True)
class Way:
    """A way to cut, and what is embedded in front of a chunk: path (and title), title, nothing."""

    name: str
    cut: Callable[[Parsed], list[Chunk]]
    context: str = "path"

    def embedded(self, chunk: Chunk, title: str) -> str:
        if self.context == "nothing":
            return chunk.text
        return (chunk if self.context == "path" else replace(chunk, heading=())).embedded_text(
            title
        )


def structure(
    tokenizer: Tokenizer,
    max_tokens: int = 128,
    *,
    min_tokens: int | None = None,
    overlap: float = 0,
    context: str = "path",
) -> Way:
    options = ChunkOptions(
        max_tokens=max_tokens,
        min_tokens=max_tokens // 4 if min_tokens is None else min_tokens,
        overlap_tokens=round(max_tokens * overlap),
    )
    name = f"structure {max_tokens}"
    name += f", overlap {overlap:.0%}" if overlap else ""
    name += f", min {min_tokens}" if min_tokens is not None else ""
    name += "" if context == "path" else f", {context} in front"
    return Way(name, StructureChunker(tokenizer, options).chunk, context)


def ways(tokenizer: Tokenizer) -> list[Way]:
    def recursively(size: int) -> Way:
        return Way(
            f"recursive {size} tokens",
            lambda parsed: recursive(parsed, tokenizer, max_tokens=size),
        )

    def window(parsed: Parsed) -> list[Chunk]:
        return windows(parsed, num_chars=800)

    return [
        *(structure(tokenizer, size) for size in (64, 96, 128, 192, 256, 384)),
        *(structure(tokenizer, overlap=share) for share in (0.1, 0.2)),
        structure(tokenizer, context="nothing"),
        Way("windows of 800 characters", window),
        Way("windows of 800 characters, nothing in front", window, context="nothing"),
        *(recursively(size) for size in (128, 192)),
    ]


def native_ways(tokenizer: Tokenizer) -> list[Way]:
    """Return the ways that differ only where there are headings."""
    return [
        *(structure(tokenizer, context=context) for context in ("path", "title", "nothing")),
        *(structure(tokenizer, min_tokens=size) for size in (0, 16, 64)),
        *(structure(tokenizer, size) for size in (96, 192)),
    ]


def windows(parsed: Parsed, *, num_chars: int) -> list[Chunk]:
    spans = [(at, at + num_chars) for at in range(0, len(parsed.text), num_chars)]
    return _as_chunks(parsed.text, spans)


def recursive(parsed: Parsed, tokenizer: Tokenizer, *, max_tokens: int) -> list[Chunk]:
    return _as_chunks(
        parsed.text, list(_recursive(parsed.text, 0, SEPARATORS, tokenizer, max_tokens))
    )


def _recursive(
    text: str, offset: int, separators: Sequence[str], tokenizer: Tokenizer, most: int
) -> Iterator[tuple[int, int]]:
    at = next(i for i, mark in enumerate(separators) if mark in text)
    mark = separators[at]
    pieces = text.split(mark) if mark else list(text)
    sizes = tokenizer.count(pieces)
    start = position = offset
    held = 0
    for piece, size in zip(pieces, sizes, strict=True):
        if held and held + size > most:
            yield start, position
            start, held = position, 0
        if size > most and at + 1 < len(separators):
            yield from _recursive(piece, position, separators[at + 1 :], tokenizer, most)
            position += len(piece) + len(mark)
            start = position
            continue
        position += len(piece) + len(mark)
        held += size
    if held:
        yield start, position


def _as_chunks(text: str, spans: Sequence[tuple[int, int]]) -> list[Chunk]:
    chunks = [
        Chunk(0, start, min(end, len(text)), text[start:end])
        for start, end in spans
        if text[start:end].strip()
    ]
    return [replace(chunk, ordinal=n) for n, chunk in enumerate(chunks)]


@dataclass(frozen=True, slots=True)
class Placed:
    """A chunk in its document, with the tokens that a reader pays for it."""

    document_id: str
    start: int
    end: int
    num_tokens: int


class Cut:
    """A set cut in one way, both legs over it."""

    def __init__(self, one: EvaluationSet, way: Way, vectors: KeptVectors) -> None:
        parser = FileParser()
        texts: list[str] = []
        self.chunks: list[Placed] = []
        for document in one.documents:
            parsed = parser.parse(document.text.encode(), filename=document.filename)
            if one.name == "chunk_excerpts" and parsed.text != document.text:
                parsed = Parsed(document.text, (), "", "text/plain")  # offsets are the gold
            chunks = way.cut(replace(parsed, title=document.title))
            sizes = vectors.embedder.tokenizer.count([chunk.text for chunk in chunks])
            for chunk, size in zip(chunks, sizes, strict=True):
                texts.append(way.embedded(chunk, document.title))
                self.chunks.append(Placed(document.id, chunk.start, chunk.end, size))
        parser.close()
        self._legs = Legs(texts, vectors)

    @property
    def mean_tokens(self) -> float:
        return sum(chunk.num_tokens for chunk in self.chunks) / len(self.chunks)

    def close(self) -> None:
        self._legs.close()

    def find(self, text: str) -> dict[str, list[Placed]]:
        dense = self._legs.dense(text, k=DEPTH)
        lexical = self._legs.lexical(text, k=DEPTH)
        rankings: dict[str, Ranking] = {
            "dense": dense,
            "lexical": lexical,
            "hybrid": fuse_rrf([dense, lexical]),
        }
        return {
            leg: [self.chunks[chunk_id] for chunk_id in ranking.chunk_ids]
            for leg, ranking in rankings.items()
        }


def excerpts(one: EvaluationSet, cut: Cut) -> dict[str, dict[str, float]]:
    """Return the mean recall, precision and IoU in gold characters, of each leg."""
    totals = {leg: [0.0, 0.0, 0.0] for leg in LEGS}
    for query, text in one.queries.items():
        row = one.rows[query]
        gold = {at for start, end in row["spans"] for at in range(start, end)}
        for leg, found in cut.find(text).items():
            in_gold, read = _read(found, row["doc_id"], gold)
            union = read + len(gold) - in_gold
            for at, value in enumerate((in_gold / len(gold), in_gold / read, in_gold / union)):
                totals[leg][at] += value
    names = ("recall", "precision", "iou")
    return {
        leg: {
            name: round(total / len(one.queries), 4)
            for name, total in zip(names, totals[leg], strict=True)
        }
        for leg in LEGS
    }


def _read(found: Sequence[Placed], document_id: str, gold: set[int]) -> tuple[int, int]:
    """Return the gold characters and all characters in the first chunks that fit BUDGET."""
    tokens = 0
    seen: dict[str, set[int]] = {}
    for chunk in found:
        tokens += chunk.num_tokens
        if tokens > BUDGET:
            break
        seen.setdefault(chunk.document_id, set()).update(range(chunk.start, chunk.end))
    return len(seen.get(document_id, set()) & gold), sum(map(len, seen.values())) or 1


def without(one: EvaluationSet, document_id: str) -> EvaluationSet:
    """Return the set less one document and the questions about it."""
    rows = {query: row for query, row in one.rows.items() if row["doc_id"] != document_id}
    return replace(
        one,
        documents=[document for document in one.documents if document.id != document_id],
        queries={query: one.queries[query] for query in rows},
        rows=rows,
    )


def by_document(one: EvaluationSet, cut: Cut) -> dict[str, float]:
    runs: dict[str, dict[str, list[str]]] = {leg: {} for leg in LEGS}
    for query, text in one.queries.items():
        for leg, found in cut.find(text).items():
            runs[leg][query] = list(dict.fromkeys(chunk.document_id for chunk in found))[:K]
    return {leg: round(ndcg(runs[leg], one.qrels), 4) for leg in LEGS}


def native_table(rows: Sequence[dict[str, object]]) -> str:
    lines = [
        "| way | chunks | docs_fastapi nDCG@10: dense | lexical | hybrid |",
        "|---|" + "---:|" * 4,
    ]
    for row in rows:
        cells = [str(row["chunks"]), *(f"{row['docs_fastapi'][leg]:.3f}" for leg in LEGS)]  # type: ignore[index]
        lines.append(f"| {row['way']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def table(rows: Sequence[dict[str, object]]) -> str:
    """Return Markdown: a row a way."""
    lines = [
        "| way | tokens a chunk | excerpts recall: dense | lexical | hybrid | hybrid precision "
        "| hybrid IoU | docs_qa nDCG@10: dense | lexical | hybrid |",
        "|---|" + "---:|" * 9,
    ]
    for row in rows:
        excerpt, qa = row["chunk_excerpts"], row["docs_qa"]
        cells = [f"{row['tokens']:.0f}"]
        cells += [f"{excerpt[leg]['recall']:.3f}" for leg in LEGS]  # type: ignore[index]
        cells += [f"{excerpt['hybrid'][name]:.3f}" for name in ("precision", "iou")]  # type: ignore[index]
        cells += [f"{qa[leg]:.3f}" for leg in LEGS]  # type: ignore[index]
        lines.append(f"| {row['way']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="ways whose name contains this")
    parser.add_argument("--full", action="store_true", help="the longest excerpt document too")
    asked = parser.parse_args()
    vectors = KeptVectors(BertEmbedder())
    tokenizer = vectors.embedder.tokenizer
    excerpt, qa, native = (load_set(name) for name in ("chunk_excerpts", "docs_qa", "docs_fastapi"))
    if not asked.full:
        excerpt = without(excerpt, LONGEST)
    rows: list[dict[str, object]] = []
    for way in ways(tokenizer):
        if asked.only in way.name:
            cut, qa_cut = Cut(excerpt, way, vectors), Cut(qa, way, vectors)
            rows.append(
                {
                    "way": way.name,
                    "tokens": round(cut.mean_tokens, 1),
                    "chunks": {"chunk_excerpts": len(cut.chunks), "docs_qa": len(qa_cut.chunks)},
                    "chunk_excerpts": excerpts(excerpt, cut),
                    "docs_qa": by_document(qa, qa_cut),
                }
            )
            cut.close()
            qa_cut.close()
            sys.stderr.write(table(rows).splitlines()[-1] + "\n")
    native_rows: list[dict[str, object]] = []
    for way in native_ways(tokenizer):
        if asked.only in way.name:
            cut = Cut(native, way, vectors)
            figures = by_document(native, cut)
            native_rows.append({"way": way.name, "chunks": len(cut.chunks), native.name: figures})
            cut.close()
            sys.stderr.write(native_table(native_rows).splitlines()[-1] + "\n")
    markdown = table(rows) + "\n" + native_table(native_rows)
    (OUT / "chunking.md").write_text(markdown, encoding="utf-8")
    write_result("chunking", {"budget_tokens": BUDGET, "ways": rows, "native": native_rows})


if __name__ == "__main__":
    main()
