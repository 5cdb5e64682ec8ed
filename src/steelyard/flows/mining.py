"""Questions and what answers them → what a search finds too and does not: hard negatives."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from steelyard.core.documents import StoredChunk
from steelyard.core.errors import InputError, NotFound, UpstreamError
from steelyard.core.ranking import FoundChunk, RerankPassage
from steelyard.core.training import Kind, Retrieval, TrainingRow
from steelyard.datasets.training import IndexedRow, sha256_of
from steelyard.datasets.training.guard import Candidate, Guard, RowGuard
from steelyard.flows.training_desk import PATIENCE_S, Desk, MadeRows, carried, embedded
from steelyard.infra.concurrent import compute

# A hit as near as .95 of the positive's cosine is often right: de Souza P. Moreira et al.,
# "NV-Retriever", 2024. A reranker tells right from wrong better, so it has to be surer.
COSINE_MARGIN = 0.95
RERANKED_MARGIN = 0.5
MOST_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class MineWish:
    """The first `depth` hits are looked at, and `negatives` of them taken a row. `margin` is the
    share of the lowest positive's score from which a hit may be right; None: as usual.
    `guarded` false takes whatever is no positive: to measure what the guard is worth."""

    depth: int = 50
    negatives: int = 4
    margin: float | None = None
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class _Scored:
    """Hits by rank with their scores, and the lowest of the positives'."""

    hits: tuple[tuple[FoundChunk, float], ...]
    positive: float


async def mine_negatives(
    desk: Desk,
    rows: Sequence[TrainingRow],
    index: Sequence[IndexedRow],
    wish: MineWish,
    *,
    answers: Mapping[str, Iterable[str]] | None = None,
    on_row: Callable[[int], None] = lambda done: None,
) -> MadeRows:
    """Return the rows with negatives added, best hits first; the same every time.

    Positives that are ids of documents become their best chunk. `index` are the rows' hashes and
    splits; `answers` accepted answers by question.

    Raises:
        InputError: rows of another kind, a number that makes no sense, or no document.
    """
    if not rows or rows[0].kind is not Kind.RETRIEVAL:
        kind = rows[0].kind if rows else "none"
        raise InputError(f"negatives belong to rows of kind retrieval; these are of kind {kind}")
    if not 1 <= wish.negatives <= wish.depth <= 200:
        raise InputError(
            f"{wish.negatives} negatives of {wish.depth} hits: give at least 1, at most as many "
            "as hits, and at most 200 hits"
        )
    if not (await compute(desk.pool, desk.store.counts)).chunks:
        raise InputError("there is no document to find anything in: ingest some, or give --over")
    splits = {one.sha256: one.split for one in index}
    hashes = [sha256_of(row) for row in rows]
    told = [splits.get(one, "") for one in hashes]
    resolved = [await compute(desk.pool, _resolved, desk, row) for row in rows]
    guard = Guard(resolved, answers=answers, splits=told)
    margin = wish.margin
    if margin is None:
        margin = COSINE_MARGIN if desk.reranker is None else RERANKED_MARGIN
    counted: Counter[str] = Counter()
    made: list[TrainingRow] = []
    vectors: dict[str, list[float]] = {}
    for row, split in zip(resolved, told, strict=True):
        scored = await _scored(desk, row, wish.depth, vectors)
        bound = min(margin * scored.positive, scored.positive)
        beside = guard.of(row, bound=bound, split=split) if wish.guarded else None
        made.append(_with_negatives(row, scored.hits, beside, wish.negatives, counted))
        on_row(len(made))
    lacking = sum(not row.example.negatives for row in made if isinstance(row.example, Retrieval))
    return MadeRows(
        rows=tuple(made),
        num_read=len(rows),
        left_out={f"hits: {why}": number for why, number in counted.most_common() if why},
        splits=carried(list(zip(hashes, made, strict=True)), index),
        facts={"negatives": counted[""], "rows_without_negatives": lacking},
    )


def _with_negatives(
    row: TrainingRow,
    hits: Sequence[tuple[FoundChunk, float]],
    guard: RowGuard | None,
    negatives: int,
    counted: Counter[str],
) -> TrainingRow:
    """Return a row with at most so many negatives more; what was guarded is counted, and what
    was taken under ""."""
    example = row.example
    assert isinstance(example, Retrieval)
    taken = dict.fromkeys(example.negatives)
    for hit, score in hits:
        if len(taken) - len(example.negatives) >= negatives:
            break
        text = embedded(hit.chunk)
        candidate = Candidate(hit.chunk.text, hit.chunk.document_id, score)
        if guard is not None and (why := guard.why(candidate)) is not None:
            counted[why] += 1
        elif text not in taken and text not in example.positives:
            taken[text] = None
            counted[""] += 1
    return replace(row, example=replace(example, negatives=tuple(taken)))


def _resolved(desk: Desk, row: TrainingRow) -> TrainingRow:
    """Return the row with texts for ids of documents, and those documents in its provenance."""
    example = row.example
    assert isinstance(example, Retrieval)
    documents = list(row.provenance.documents)
    texts: list[str] = []
    for positive in example.positives:
        chunks = _chunks(desk, positive) if len(positive) <= MOST_ID_CHARS else []
        if not chunks:
            texts.append(positive)
            continue
        documents.append(positive)
        texts.append(embedded(_best(desk, example.query, chunks)))
    if texts == list(example.positives):
        return row
    where = replace(row.provenance, documents=tuple(dict.fromkeys(documents)))
    return replace(
        row, example=replace(example, positives=tuple(dict.fromkeys(texts))), provenance=where
    )


def _chunks(desk: Desk, identity: str) -> list[StoredChunk]:
    try:
        return desk.store.chunks_of(desk.collection, identity, principal=desk.principal)
    except NotFound:
        return []


def _best(desk: Desk, question: str, chunks: Sequence[StoredChunk]) -> StoredChunk:
    if len(chunks) == 1:
        return chunks[0]
    query = desk.embedder.embed_query(question)
    near = desk.embedder.embed_passages([embedded(chunk) for chunk in chunks]) @ query
    return chunks[int(near.argmax())]


async def _scored(
    desk: Desk, row: TrainingRow, depth: int, vectors: dict[str, list[float]]
) -> _Scored:
    example = row.example
    assert isinstance(example, Retrieval)
    found = (await desk.found(desk.query(example.query, k=depth)))[:depth]
    if desk.reranker is not None:
        return await _reranked(desk, example, found)
    return await compute(desk.pool, _near, desk, example, found, vectors)


def _near(
    desk: Desk,
    example: Retrieval,
    found: Sequence[FoundChunk],
    vectors: dict[str, list[float]],
) -> _Scored:
    """Score by cosine; a hit that is not among the nearest is below all of those."""
    vector = desk.embedder.embed_query(example.query)
    query = desk.query(example.query, k=1)
    k = max(200, len(found))
    ranking = desk.index.view().dense(vector, k=k, allowed=desk.store.allowed(query))
    cosines = {hit.chunk_id: hit.score for hit in ranking.hits}
    new = [text for text in example.positives if text not in vectors]
    if new:
        vectors.update(zip(new, desk.embedder.embed_passages(new).tolist(), strict=True))
    positives = [float(vector @ vectors[text]) for text in example.positives]
    hits = tuple((hit, cosines.get(hit.chunk.chunk_id, -1.0)) for hit in found)
    return _Scored(hits, min(positives))


async def _reranked(desk: Desk, example: Retrieval, found: Sequence[FoundChunk]) -> _Scored:
    """Score by the reranker, as probabilities; logits are made such."""
    assert desk.reranker is not None
    passages = [
        *(RerankPassage(-n, text) for n, text in enumerate(example.positives, start=1)),
        *(RerankPassage(hit.chunk.chunk_id, embedded(hit.chunk)) for hit in found),
    ]
    scores = await desk.reranker.scores(example.query, passages, budget_s=PATIENCE_S)
    if len(scores) < len(passages):
        raise UpstreamError(
            f"the reranker scored {len(scores)} of {len(passages)} passages in {PATIENCE_S:g} s: "
            "ask for fewer hits by --depth"
        )
    if not all(0 <= score <= 1 for score in scores):
        scores = [1 / (1 + math.exp(-max(-30.0, min(30.0, score)))) for score in scores]
    num = len(example.positives)
    return _Scored(tuple(zip(found, scores[num:], strict=True)), min(scores[:num]))
