"""Writes a graph in the wanted precision, tries it against float32, and falls back to that."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SetupError
from steelyard.infra.bert.check import (
    check_pairs,
    check_texts,
    correlation,
    embed_ids,
    mean_cosine,
    read_pairs,
    read_tokens,
    score_pairs,
)
from steelyard.infra.bert.config import Architecture, ModelCard
from steelyard.infra.bert.graph import num_attention_nodes, write_graph
from steelyard.infra.bert.head import (
    HEAD_TENSORS,
    SPAN_TENSORS,
    TOKEN_TENSORS,
    check_span_head,
    check_token_head,
    find_head,
)
from steelyard.infra.bert.lora import merge_adapter
from steelyard.infra.bert.score_graph import write_score_graph
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.infra.bert.token_graph import SPANS, TOKENS, write_token_graph
from steelyard.infra.bert.tokenizer import BertTokenizer, open_tokenizer
from steelyard.infra.bert.weights import Weights, load_weights

_MIN_COSINE = 0.99  # of int8 to float32, mean over the check texts; all-MiniLM-L6-v2 measures .993
_MIN_CORRELATION = 0.98  # of int8 scores to float32 ones over the check pairs
_MIN_SPAN_CORRELATION = 0.98  # the same of a reader's logits of all tokens
_MIN_TOKEN_CORRELATION = 0.98  # the same of what late interaction compares

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Trial:
    """What was written, how well it agrees with float32, and why it is not what was wanted."""

    precision: str
    agreement: float = 1.0
    fallback: str = ""


def write_embedder(
    folder: Path, path: Path, *, card: ModelCard, adapter: Path | None, precision: str
) -> Trial:
    """Write the embedder's graph of the model at `path` into `folder`."""
    architecture = card.architecture
    weights = load_weights(path, architecture=architecture)
    if adapter is not None:
        merge_adapter(weights, adapter)
    ids = check_texts(_fitting_tokenizer(path, architecture), max_tokens=card.max_tokens)

    def write_and_embed(precision: str) -> Numbers:
        write_graph(
            folder,
            weights=weights,
            architecture=architecture,
            pooling=card.pooling,
            precision=precision,
        )
        return embed_ids(_fused(folder, architecture), ids)

    return _tried(
        write_and_embed,
        precision,
        place=path,
        agreement=mean_cosine,
        least=_MIN_COSINE,
        words=("embeddings", "cosine"),
    )


def write_tokens(
    folder: Path, path: Path, *, card: ModelCard, adapter: Path | None, precision: str
) -> Trial:
    """Write the graph of the model at `path` and the head on every token that `adapter` brings."""
    architecture = card.architecture
    weights = load_weights(path, architecture=architecture)
    if adapter is not None:
        merge_adapter(weights, adapter, beside=TOKEN_TENSORS)
    check_token_head(weights, hidden=architecture.hidden, place=adapter or path)
    ids = check_texts(_fitting_tokenizer(path, architecture), max_tokens=card.max_tokens)

    def write_and_read(precision: str) -> Numbers:
        write_token_graph(
            folder, head=TOKENS, weights=weights, architecture=architecture, precision=precision
        )
        return read_tokens(_fused(folder, architecture), ids)

    return _tried(
        write_and_read,
        precision,
        place=path,
        agreement=correlation,
        least=_MIN_TOKEN_CORRELATION,
        words=("tokens' weights and vectors", "correlation"),
    )


def write_scorer(
    folder: Path, path: Path, *, card: ModelCard, adapter: Path | None, precision: str
) -> Trial:
    """Write the reranker's graph of the model at `path` into `folder`."""
    architecture = card.architecture
    weights: Weights = load_weights(path, architecture=architecture, beside=HEAD_TENSORS)
    if adapter is not None:
        merge_adapter(weights, adapter, beside=HEAD_TENSORS)
    head = find_head(weights, hidden=architecture.hidden, place=path)
    tokenizer = _fitting_tokenizer(path, architecture)
    pairs = check_pairs(tokenizer, max_tokens=architecture.max_tokens)

    def write_and_score(precision: str) -> Numbers:
        write_score_graph(
            folder, weights=weights, architecture=architecture, head=head, precision=precision
        )
        return score_pairs(_fused(folder, architecture), pairs)

    return _tried(
        write_and_score,
        precision,
        place=path,
        agreement=correlation,
        least=_MIN_CORRELATION,
        words=("scores", "correlation"),
    )


def write_reader(
    folder: Path, path: Path, *, card: ModelCard, adapter: Path | None, precision: str
) -> Trial:
    """Write the reader's graph of the model at `path` into `folder`."""
    architecture = card.architecture
    weights: Weights = load_weights(path, architecture=architecture, beside=SPAN_TENSORS)
    if adapter is not None:
        merge_adapter(weights, adapter, beside=SPAN_TENSORS)
    check_span_head(weights, hidden=architecture.hidden, place=path)
    tokenizer = _fitting_tokenizer(path, architecture)
    pairs = check_pairs(tokenizer, max_tokens=architecture.max_tokens)

    def write_and_read(precision: str) -> Numbers:
        write_token_graph(
            folder, head=SPANS, weights=weights, architecture=architecture, precision=precision
        )
        return read_pairs(_fused(folder, architecture), pairs)

    return _tried(
        write_and_read,
        precision,
        place=path,
        agreement=correlation,
        least=_MIN_SPAN_CORRELATION,
        words=("start and end logits", "correlation"),
    )


def _tried(
    write_and_run: Callable[[str], Numbers],
    precision: str,
    *,
    place: Path,
    agreement: Callable[[Numbers, Numbers], float],
    least: float,
    words: tuple[str, str],
) -> Trial:
    exact = write_and_run("fp32")
    if not np.isfinite(exact).all():
        raise SetupError(f"{str(place)!r} gives {words[0]} that are not finite; download it again")
    if precision == "fp32":
        return Trial(precision)
    found = agreement(exact, write_and_run(precision))
    if found >= least:
        return Trial(precision, found)
    write_and_run("fp32")
    reason = f"{words[1]} of {precision} to fp32 is {found:.4f}, under {least}"
    return Trial("fp32", fallback=reason)


def _fused(folder: Path, architecture: Architecture) -> Path:
    nodes = num_attention_nodes(folder / GRAPH_FILE)
    assert nodes == architecture.layers, f"{nodes} attention nodes, {architecture}"
    return folder / GRAPH_FILE


def _fitting_tokenizer(path: Path, architecture: Architecture) -> BertTokenizer:
    tokenizer = open_tokenizer(path)
    if tokenizer.get_vocab_size() > architecture.vocabulary:
        raise SetupError(
            f"the tokenizer of {str(path)!r} has {tokenizer.get_vocab_size()} tokens, its word "
            f"table {architecture.vocabulary} rows; download the model again"
        )
    return BertTokenizer(tokenizer)
