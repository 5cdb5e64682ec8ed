"""What a bundle must pass before it serves: it computes, repeatably, and its adapter acts.

Golden outputs are a few scores: those that came with an adapter (`probes.json` beside its weights),
and those of the first time that a home loaded it. What is loaded later must still give them.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from steelyard.bundle import Bundle
from steelyard.core.errors import SetupError
from steelyard.core.protocols import Embedder, Reranker
from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert.lora import adapter_acts
from steelyard.infra.binding import base_model, check_base, read_binding
from steelyard.infra.files import write_atomic
from steelyard.infra.models import find_model
from steelyard.parts import llm_problem, make_embedder, make_reranker
from steelyard.rerank import is_endpoint
from steelyard.settings import Settings

PROBES_FILE = "probes.json"
PROBES_FOLDER = "probes"  # of a home
RED = "red_probe"  # the code of a refusal
BUDGET_S = 30.0

_FORMAT = 1
_SAME = 1e-6  # one pair a run is deterministic; float32 prints that much
# int8 rounds otherwise on another kind of processor: a share of the spread of the kept scores.
_GOLDEN_SHARE = 0.1


class Pair(NamedTuple):
    question: str
    passage: str


PAIRS = (
    Pair("How long are recordings kept?", "Recordings of the cameras are kept for 21 days."),
    Pair("How long are recordings kept?", "Trips are booked by the travel desk."),
    Pair("Who approves travel?", "Every trip is approved by the head of the team beforehand."),
    Pair("Who approves travel?", "Batteries are collected at the reception."),
    Pair("What does error E42 mean?", "E42: the water filter is clogged and has to be rinsed."),
    Pair("What does error E42 mean?", "Invoices are paid within thirty days of their receipt."),
)


def check_models(bundle: Bundle, beside: Bundle, home: Path) -> None:
    """Let what a bundle computes with here compute on probes; blocking, up to seconds.

    What it shares with `beside` was checked before. `home` keeps what it gave the first time.

    Raises:
        SetupError: it must not serve; says why.
    """
    reranker = bundle.reranker
    if reranker is None or reranker is beside.reranker or is_endpoint(bundle.settings.rerank.model):
        return
    scores = check_reranker(reranker, bundle.settings)
    name = hashlib.sha256(reranker.model.encode()).hexdigest()[:16]
    kept = home / PROBES_FOLDER / f"{name}.json"
    _check_golden(kept, scores)
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_golden(kept, scores)


async def check_endpoints(bundle: Bundle, beside: Bundle) -> None:
    """Ask whatever answers for a bundle elsewhere whether it does.

    Raises:
        SetupError: it does not, or nonsense.
        UpstreamError: it cannot be reached.
    """
    reranker = bundle.reranker
    if (
        reranker is not None
        and reranker is not beside.reranker
        and is_endpoint(bundle.settings.rerank.model)
    ):
        await _scores(reranker)
    if bundle.generator is not beside.generator:
        problem = await llm_problem(bundle.generator)
        if problem is not None:
            raise _red(problem)


def check_reranker(reranker: Reranker, settings: Settings) -> list[float]:
    """Return a reranker's scores of the probes; blocking.

    Raises:
        SetupError: it does not compute, repeat itself, or act as it should (code `red_probe`).
    """
    options = settings.rerank
    scores = asyncio.run(_scores(reranker))
    again = asyncio.run(_scores(reranker))
    if max(abs(a - b) for a, b in zip(scores, again, strict=True)) > _SAME:
        raise _red(f"reranker {reranker.model!r} gives other scores the second time")
    if max(scores) - min(scores) <= _SAME:
        raise _red(f"reranker {reranker.model!r} gives every passage the same score")
    if options.adapter is None:
        return scores
    adapter = Path(options.adapter).expanduser()
    _check_golden(adapter / PROBES_FILE, scores)
    _check_binding(adapter, options.model)
    bare = _bare(settings)
    if bare is None:  # the base has no head of its own to compare with
        return scores
    plain = asyncio.run(_scores_once(bare))
    if max(abs(a - b) for a, b in zip(scores, plain, strict=True)) <= _SAME:
        raise _red(f"adapter {str(adapter)!r} changes no score of {options.model!r}")
    return scores


def check_embedder(embedder: Embedder, settings: Settings) -> None:
    """Raise SetupError if an embedder's adapter is another base's, or changes nothing; blocking."""
    options = settings.embed
    if options.adapter is None:
        return
    adapter = Path(options.adapter).expanduser()
    _check_binding(adapter, options.model)
    bare = make_embedder(replace(settings, embed=replace(options, adapter=None)))
    try:
        texts = [pair.passage for pair in PAIRS]
        tuned, plain = embedder.embed_passages(texts), bare.embed_passages(texts)
    finally:
        if close := getattr(bare, "close", None):
            close()
    if not bool(np.all(np.isfinite(tuned))):
        raise _red(f"adapter {str(adapter)!r} gives vectors that are not finite")
    if float(np.abs(tuned - plain).max()) <= _SAME:
        raise _red(f"adapter {str(adapter)!r} changes no vector of {options.model!r}")


def _check_binding(adapter: Path, model: str) -> None:
    """Raise SetupError if an adapter was trained on another base, or changes nothing."""
    binding = read_binding(adapter)
    if binding is not None:
        base = find_model(model, allow_download=False)
        check_base(binding, base_model(base, name=model), artefact=str(adapter))
    if not adapter_acts(adapter):
        raise _red(f"adapter {str(adapter)!r} changes nothing: its matrices are zero")


def write_golden(path: Path, scores: Sequence[float]) -> None:
    """Keep a reranker's scores of the probes as what it must give whenever it is loaded."""
    rows = [[*pair, score] for pair, score in zip(PAIRS, scores, strict=True)]
    content = {"format": _FORMAT, "pairs": rows}
    write_atomic(path, json.dumps(content, indent=1).encode())


def _check_golden(path: Path, scores: Sequence[float]) -> None:
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_bytes())
        known = {Pair(question, passage): float(score) for question, passage, score in (
            content["pairs"] if content["format"] == _FORMAT else []
        )}  # fmt: skip
        kept = [known[pair] for pair in PAIRS]
    except (ValueError, KeyError, TypeError) as error:
        raise _red(f"{str(path)!r} lacks or garbles {error}") from error
    allowed = _GOLDEN_SHARE * (max(kept) - min(kept))
    for pair, was, now in zip(PAIRS, kept, scores, strict=True):
        if abs(now - was) > allowed:
            raise _red(
                f"{pair.question!r} is scored with {now:.4f}, where {was:.4f} was kept in "
                f"{str(path)!r}"
            )


async def _scores(reranker: Reranker) -> list[float]:
    """Return the score of every pair."""
    scores: list[float] = []
    for at, pair in enumerate(PAIRS):
        found = await reranker.scores(
            pair.question, [RerankPassage(at, pair.passage)], budget_s=BUDGET_S
        )
        if len(found) != 1 or not math.isfinite(found[0]):
            raise _red(f"reranker {reranker.model!r} gives no finite score for {pair.passage!r}")
        scores += found
    return scores


async def _scores_once(reranker: Reranker) -> list[float]:
    try:
        return await _scores(reranker)
    finally:
        if aclose := getattr(reranker, "aclose", None):
            await aclose()


def _bare(settings: Settings) -> Reranker | None:
    """Return the reranker without its adapter; None if there is none."""
    try:
        return make_reranker(replace(settings, rerank=replace(settings.rerank, adapter=None)))
    except SetupError:
        return None


def _red(reason: str) -> SetupError:
    return SetupError(
        f"{reason}; what served before goes on: train or register it again, or run "
        "`steelyard registry rollback`",
        code=RED,
    )
