"""An arm's parts in words, so that a reader sees which one differs."""

import hashlib
from dataclasses import MISSING, fields
from typing import Any

from steelyard.arms.specs import WHOLE, ArmSpec
from steelyard.bundle import Bundle
from steelyard.generate import PROMPT_ID


def parts_of(spec: ArmSpec, bundle: Bundle) -> dict[str, str]:
    """Return each part's name, in the order in which a question meets them."""
    settings = bundle.settings
    whole = settings.chunk.max_tokens >= WHOLE
    retrieval = {"legs": settings.retrieve.legs, **changed(settings.retrieve, but=("legs",))}
    parts = {
        "chunks": "whole documents" if whole else f"{settings.chunk.max_tokens} tokens",
        "embedder": _model(settings.embed.model, settings.embed),
        "retrieval": "gold" if spec.gold else _said(retrieval),
        "reranker": _model(settings.rerank.model, settings.rerank) if bundle.reranker else "none",
        "k": str(spec.k),
    }
    if spec.answers:
        parts |= {
            "context": _said(changed(settings.context)) or "default",
            "reader": _reader(bundle),
            "prompt": _prompt(settings.llm.instructions),
        }
    if settings.cache.mode != "off":
        parts["cache"] = _said(changed(settings.cache)) or "on"
    return parts


def changed(options: Any, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the options that are not at their defaults."""
    return {
        one.name: getattr(options, one.name)
        for one in fields(options)
        if one.name not in but
        and one.default is not MISSING
        and getattr(options, one.name) != one.default
    }


def _reader(bundle: Bundle) -> str:
    llm = bundle.settings.llm
    if not (llm.url or llm.gguf or llm.local):
        return bundle.generator.model
    ways = changed(llm, but=("url", "model", "gguf", "local", "adapter", "instructions"))
    here = bundle.generator.model if llm.local else ""
    return f"{llm.gguf or here or llm.model or llm.url}{_more(ways)}"


def _prompt(instructions: str) -> str:
    if not instructions.strip():
        return PROMPT_ID
    return f"{PROMPT_ID}+{hashlib.sha256(instructions.encode()).hexdigest()[:6]}"


def _model(name: str, options: Any) -> str:
    return f"{name}{_more(changed(options, but=('model', 'allow_download', 'passage_threads')))}"


def _more(options: dict[str, Any]) -> str:
    return f" ({_said(options)})" if options else ""


def _said(options: dict[str, Any]) -> str:
    return ", ".join(
        str(value) if name == "legs" else f"{name} {value}" for name, value in options.items()
    )
