"""A corpus of any size whose neighbourhoods are real: passages, vectors, questions, the truth.

The first rows are real: passages of the judged sets as the house parses and cuts them, with the
default embedder's vectors. Every further row is *made* from a real one, its base: the vector is
the base plus a random mixture of the differences to MIXED of its NEAREST nearest real passages,
so noise has the directions in which real passages differ there; its text takes sentences of the
base and of the same neighbours. Row i depends on i alone, so N chunks are the first N rows.
Questions are real ones of the same sets, embedded, and never made.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from legs import OUT, KeptVectors
from numpy.typing import NDArray
from sets import EvaluationSet, load_set

from steelyard.chunk import StructureChunker
from steelyard.core.documents import Chunk, Document
from steelyard.core.ranking import Matrix
from steelyard.embed.bert import BertEmbedder
from steelyard.parse import FileParser
from steelyard.store import Replacement, Store

FOLDER = OUT / "growth"
SETS = {  # and the part of the questions
    "squad2": "",
    "docs_qa": "",
    "docs_fastapi": "",
    "nfcorpus": "test",
    "multihop": "",
    "medquad_faq": "",
}
CHUNKS_A_SET = 2048
QUESTIONS_A_SET = 120
SEED = 20261121
NEAREST = 32
MIXED = 8
SPREAD = 0.3  # of the weights; see `structure` for how well it imitates
BLOCK = 10_000  # rows made together
CHUNKS_A_DOCUMENT = 10
TEAMS = 8
STAFF_EVERY = 10  # one document in so many is for staff alone
FINGERPRINT = "growth/1"
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Base:
    """The real rows in a fixed random order, and the questions. B rows, D dimensions."""

    titles: list[str]
    headings: list[list[str]]
    texts: list[str]
    questions: list[str]
    vectors_BD: Matrix
    questions_QD: Matrix
    nearest: NDArray[np.int64]  # (B, NEAREST), without the row itself

    @property
    def sentences(self) -> list[list[str]]:
        return [[part for part in _SENTENCE.split(text) if part.strip()] for text in self.texts]


@dataclass(frozen=True, slots=True)
class Block:
    titles: list[str]
    headings: list[list[str]]
    texts: list[str]
    vectors: NDArray[np.float16]


def base() -> Base:
    """Read the real rows, embedded if they are not yet."""
    path = FOLDER / "base.npz"
    if not path.exists():
        _write_base(path)
    words = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    arrays = np.load(path)
    return Base(**words, **{name: arrays[name] for name in arrays.files})


def block(real: Base, sentences: list[list[str]], number: int) -> Block:
    """Return the rows from number * BLOCK on."""
    first = number * BLOCK
    rng = np.random.default_rng([SEED, number])
    rows = np.arange(first, first + BLOCK)
    bases = rows % len(real.texts)
    picked = rng.random((BLOCK, NEAREST)).argsort(axis=1)[:, :MIXED]
    near = real.nearest[bases[:, None], picked]
    weights = (SPREAD * rng.standard_normal((BLOCK, MIXED))).astype(np.float32)
    weights[rows < len(real.texts)] = 0  # these are the real ones
    centres = real.vectors_BD[bases]
    differences = real.vectors_BD[near] - centres[:, None, :]
    vectors = centres + np.einsum("rm,rmd->rd", weights, differences)
    texts = [
        real.texts[at] if row < len(real.texts) else _recombined(sentences, at, others, rng)
        for row, at, others in zip(rows.tolist(), bases.tolist(), near.tolist(), strict=True)
    ]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Block(
        titles=[real.titles[at] for at in bases.tolist()],
        headings=[real.headings[at] for at in bases.tolist()],
        texts=texts,
        vectors=unit.astype(np.float16),
    )


def fill(home: Path, *, num_rows: int) -> None:
    """Write the first rows into a store, ten a document; go on where a former call ended."""
    real = base()
    sentences = real.sentences
    home.mkdir(parents=True, exist_ok=True)
    with Store.open(home / "truth.sqlite") as store:
        store.claim_embedder(FINGERPRINT, real.vectors_BD.shape[1])
        for number in range(store.counts().chunks // BLOCK, -(-num_rows // BLOCK)):
            rows = block(real, sentences, number)
            size = min(BLOCK, num_rows - number * BLOCK)
            store.replace_many(list(_documents(rows, number * BLOCK // CHUNKS_A_DOCUMENT, size)))


def document(rows: Block, first: int, size: int, *, number: int) -> Replacement:
    """Return rows `first` to `first + size` of a block as one document."""
    span = slice(first, first + size)
    texts, headings = rows.texts[span], rows.headings[span]
    chunks, at = [], 0
    for ordinal, (text, path) in enumerate(zip(texts, headings, strict=True)):
        tokens = len(text) // 5
        chunks.append(Chunk(ordinal, at, at + len(text), text, tuple(path), num_tokens=tokens))
        at += len(text) + 2
    made = Document(
        id=f"made-{number}",
        uri=f"made/{number}",
        title=f"{rows.titles[first]} {number}",
        text="\n\n".join(texts),
        metadata={"team": f"team {number % TEAMS}", "year": 2000 + number % 25},
        groups=("staff",) if number % STAFF_EVERY == 0 else ("public",),
    )
    return Replacement(made, chunks, rows.vectors[span], recipe="growth")


def _documents(rows: Block, number: int, num_rows: int) -> Iterator[Replacement]:
    for start in range(0, num_rows, CHUNKS_A_DOCUMENT):
        size = min(CHUNKS_A_DOCUMENT, num_rows - start)
        yield document(rows, start, size, number=number + start // CHUNKS_A_DOCUMENT)


def _recombined(
    sentences: list[list[str]], at: int, others: list[int], rng: np.random.Generator
) -> str:
    """Return as many sentences as the base has, half its own, half its neighbours'."""
    own = sentences[at]
    length = max(2, len(own))
    foreign = [sentence for other in others for sentence in sentences[other]]
    parts = [own[n] for n in rng.integers(0, len(own), max(1, length // 2)).tolist()]
    parts += [foreign[n] for n in rng.integers(0, len(foreign), length - length // 2).tolist()]
    return " ".join(parts)


def _write_base(path: Path) -> None:
    vectors = KeptVectors(BertEmbedder())
    rng = np.random.default_rng(SEED)
    found: list[tuple[str, Chunk]] = []
    questions: list[str] = []
    for name, part in SETS.items():
        judged = load_set(name, part=part)
        chunks = _chunks(judged, vectors)
        found += [chunks[at] for at in sorted(rng.permutation(len(chunks))[:CHUNKS_A_SET].tolist())]
        asked = list(judged.queries.values())
        questions += [asked[at] for at in rng.permutation(len(asked))[:QUESTIONS_A_SET]]
    found = [found[at] for at in rng.permutation(len(found)).tolist()]
    rows_BD = vectors.passages([chunk.embedded_text(title) for title, chunk in found])
    path.parent.mkdir(parents=True, exist_ok=True)
    words = {
        "titles": [title for title, _ in found],
        "headings": [chunk.heading for _, chunk in found],
        "texts": [chunk.text for _, chunk in found],
        "questions": questions,
    }
    path.with_suffix(".json").write_text(json.dumps(words), encoding="utf-8")
    np.savez(
        path,
        vectors_BD=rows_BD,
        questions_QD=np.stack([vectors.query(text) for text in questions]),
        nearest=_nearest(rows_BD),
    )


def _chunks(judged: EvaluationSet, vectors: KeptVectors) -> list[tuple[str, Chunk]]:
    """Cut a set's documents as an ingest would; a chunk goes with its document's title."""
    parser, chunker = FileParser(), StructureChunker(vectors.embedder.tokenizer)
    found = []
    for document in judged.documents:
        parsed = parser.parse(document.text.encode(), filename=document.filename)
        parsed = replace(parsed, title=document.title)
        found += [(document.title, chunk) for chunk in chunker.chunk(parsed) if chunk.text.strip()]
    parser.close()
    return found


def _nearest(rows_BD: Matrix) -> NDArray[np.int64]:
    """Return the NEAREST other rows of each, nearest first."""
    found = []
    for start in range(0, len(rows_BD), 1000):
        scores = rows_BD[start : start + 1000] @ rows_BD.T
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -2
        top = np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
        found.append(np.take_along_axis(top, order, axis=1))
    return np.concatenate(found).astype(np.int64)
