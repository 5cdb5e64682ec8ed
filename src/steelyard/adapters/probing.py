"""Makes probes: what the trainer's own code says of a base, and of an adapter on it."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steelyard.adapters.probes import Probe
from steelyard.adapters.servers import TOP
from steelyard.core.errors import SetupError
from steelyard.core.training import Turn

QUESTIONS = (
    "What are your opening hours?",
    "How do I reset my password?",
    "Who approves a refund?",
    "Summarise the policy on travel in one sentence.",
    "What does error E42 mean?",
    "Write a short greeting to a new customer.",
    "Which documents do I need?",
    "Is this covered by the warranty?",
)


def causal(*names: str) -> tuple[Any, ...]:
    """Return what runs language models here.

    Raises:
        SetupError: the extra is missing.
    """
    try:
        module = importlib.import_module("steelyard.infra.causal")
    except ImportError as error:
        raise SetupError(
            "an adapter's base must be run here once, to prove it; run: "
            "pip install 'steelyard[tune]'"
        ) from error
    return tuple(getattr(module, name) for name in names)


def make_probes(
    base: Path, adapter: Path, questions: Sequence[str] = QUESTIONS
) -> tuple[Probe, ...]:
    """Return a probe a question, rendered by the template that the adapter was trained with.

    Blocking; loads the base twice, one after the other.

    Raises:
        SetupError: the extra is missing, or base and adapter do not fit.
    """
    (load_causal,) = causal("load_causal")
    model = load_causal(base, adapter=adapter)
    prompts = [model.template.render([Turn("user", one)], prompt=True) for one in questions]
    tuned = [model.likeliest_after(prompt, count=TOP) for prompt in prompts]
    del model
    model = load_causal(base)
    plain = [model.likeliest_after(prompt, count=TOP) for prompt in prompts]
    return tuple(map(Probe, prompts, plain, tuned))
