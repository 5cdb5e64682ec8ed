"""Which concrete part a setting stands for."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.protocols import (
    Embedder,
    Generator,
    ReadingReranker,
    Reranker,
    Tokenizer,
)
from steelyard.embed import HashingEmbedder
from steelyard.generate import (
    PROMPT_ID,
    GgufGenerator,
    OpenAIGenerator,
    Reading,
    discover_local,
)
from steelyard.generate.chosen import DEFAULT
from steelyard.registry import check_adapter
from steelyard.rerank import EndpointReranker, choose, is_endpoint
from steelyard.retrieve.reranking import Kept
from steelyard.settings import Settings
from steelyard.store import Store

HASHING = "hashing"  # embed.model: the embedder without weights, for tests and tiny machines
_HASHING_OF = re.compile(rf"{HASHING}-(\d{{1,4}})")  # the same of so many dimensions


@dataclass(frozen=True, slots=True)
class Status:
    version: str
    snapshot: int
    num_documents: int
    num_chunks: int
    states: Mapping[str, int]
    collections: Sequence[str]
    embedder: str
    generator: str
    watching: Sequence[str]
    examples: Sequence[str]


def make_embedder(settings: Settings) -> Embedder:
    if settings.embed.model == HASHING:
        return HashingEmbedder()
    if match := _HASHING_OF.fullmatch(settings.embed.model):
        return HashingEmbedder(int(match[1]))
    embed = settings.embed
    check_adapter(embed.adapter, model=embed.model, allow_download=embed.allow_download)
    from steelyard.embed.bert import BertEmbedder  # loads the runtime

    return BertEmbedder(settings.embed)


def make_generator(settings: Settings, *, tokenizer: Tokenizer) -> Generator | None:
    """Return the configured language model; None: answers are quoted from the documents."""
    closed_book = settings.retrieve.legs == "none"
    if settings.llm.gguf:
        return GgufGenerator(settings.llm, tokenizer=tokenizer, closed_book=closed_book)
    if settings.llm.local:
        from steelyard.generate.local import LocalGenerator  # asks for torch

        return LocalGenerator(settings.llm, tokenizer=tokenizer, closed_book=closed_book)
    if settings.llm.adapter:
        raise SetupError(
            f"llm.adapter {settings.llm.adapter!r} has nothing to be put on; name the model that "
            "it was trained on: --set llm.local=DIR"
        )
    if settings.llm.url:
        return OpenAIGenerator(settings.llm, tokenizer=tokenizer, closed_book=closed_book)
    return None


def make_reranker(settings: Settings) -> Reranker | None:
    """Return the configured reranker; None: the fused order stands."""
    options = settings.rerank
    if not options.model:
        return None
    if is_endpoint(options.model):
        return EndpointReranker(options)
    allow_download = settings.embed.allow_download
    chosen = choose(options, allow_download=allow_download)
    check_adapter(options.adapter, model=options.model, allow_download=allow_download)
    if chosen.late is not None:
        from steelyard.rerank.late import LateInteraction  # loads the runtime

        return LateInteraction(options, allow_download=allow_download)
    from steelyard.rerank.cross_encoder import CrossEncoder  # loads the runtime

    return CrossEncoder(options, allow_download=allow_download)


def make_reader(settings: Settings) -> Reading | None:
    """Return the configured span reader; None: the embedder alone chooses what is quoted."""
    options = settings.reader
    if not options.model or (options.model == DEFAULT and settings.embed.model == HASHING):
        return None  # where vectors are made without weights, nothing else shall need some
    from steelyard.generate.reader import SpanReader  # loads the runtime

    return SpanReader(options, allow_download=settings.embed.allow_download)


def kept_of(reranker: Reranker, store: Store) -> Callable[[Sequence[int]], Kept]:
    """Return how to find what is kept for the reranker's own tokenizer, and of what it read."""
    tokenizer = getattr(reranker, "tokenizer_identity", None)
    reads_as = reranker.reads_as if isinstance(reranker, ReadingReranker) else None

    def find(chunk_ids: Sequence[int]) -> Kept:
        return Kept(
            store.token_ids(chunk_ids, tokenizer=tokenizer) if tokenizer else {},
            store.readings(chunk_ids, reranker=reads_as) if reads_as else {},
        )

    return find


def first_stage_of(reranker: Reranker, settings: Settings) -> float:
    """Return how much what the search found counts beside the reranker's scores."""
    own = getattr(reranker, "first_stage", 0.0)  # an endpoint says nothing of it
    told = settings.rerank.first_stage
    return float(own if told is None else told)


def bundle_name(settings: Settings, recipe: str, model: str) -> str:
    """Name everything that shapes an answer, except the documents."""
    llm = settings.llm
    here = f"{llm.local} {llm.adapter}".strip()
    writer = llm.gguf or here or f"{llm.url} {llm.model}".strip() or model
    writing = (llm.instructions, llm.max_tokens, llm.temperature, llm.context_tokens)
    shaping = (settings.retrieve, settings.rerank, settings.context, writing)
    parts = (recipe, PROMPT_ID, writer, *map(repr, shaping))
    return "b" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


async def llm_problem(generator: Generator) -> str | None:
    """Return why a language model cannot be used now; None if it can."""
    if not isinstance(generator, OpenAIGenerator):
        return None
    try:
        await generator.check()
    except UpstreamError as error:
        return f"{error}; until it answers, answers are quoted from the documents"
    return None


async def offers(settings: Settings) -> list[str]:
    """Return hints about language models that run on this machine and are not used."""
    if settings.llm.url or settings.llm.gguf or settings.llm.local:
        return []
    found = await discover_local(skip_ports=(settings.serve.port,))
    return [
        f"found {one.name} at {one.url}: answer with it by "
        f"--llm-url {one.url} --llm-model {one.models[0]}"
        for one in found
        if one.models
    ]
