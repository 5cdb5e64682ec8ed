"""An adapter → checked → loaded beside its base under its own name → proved → served.

Nothing is trusted that a server says of itself: its next tokens are held against the trainer's,
of the base before the load, and of the adapter after it. What fails is unloaded again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from steelyard.adapters import (
    AdapterFacts,
    AdapterServer,
    Probe,
    compare,
    static_faults,
)
from steelyard.adapters.probes import SAME, TOLERANCE, NextTokens, is_telling
from steelyard.core.errors import SetupError, UpstreamError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """`model` is what requests name. Distances are medians over probes, in natural log units: to
    the trainer's outputs with the adapter, to those of the base, and what the load moved."""

    server: str
    model: str
    name: str
    num_probes: int
    to_tuned: float
    to_base: float
    moved: float
    was_there: bool


async def deploy(
    facts: AdapterFacts,
    probes: Sequence[Probe],
    server: AdapterServer,
    *,
    name: str,
    path: str = "",
    on_step: Say = lambda _: None,
) -> Deployed:
    """Load an adapter and prove that it acts; `path` is the folder as the server sees it.

    Raises:
        SetupError: the server cannot run it, or does not run what was trained; it is unloaded.
        UpstreamError: the server fails, or refuses the load.
    """
    kind = server.limits.server
    if faults := static_faults(facts, server.limits):
        raise SetupError(
            f"adapter {str(facts.folder)!r} cannot be served by {kind}: {'; '.join(faults)}",
            code="adapter_unfit",
        )
    telling = [probe for probe in probes if is_telling(probe)]
    if not telling:
        raise SetupError(
            f"adapter {name!r} moves none of {len(probes)} probes by more than "
            f"{2 * TOLERANCE:g}, so whether a server runs it could not be seen; train it longer, "
            "or give --prompt with questions that it was trained for",
            code="adapter_silent",
        )
    on_step(f"asking the base of {kind} {len(telling)} probes")
    base = await server.base()
    before = [await server.next_tokens(base, probe.prompt) for probe in telling]
    _check_base(before, telling, server=f"{kind} ({base})")
    was_there = name in await server.loaded()
    if not was_there:
        on_step(f"loading {name}")
        await server.load(name, path or str(facts.folder))
    try:
        return await _proved(telling, before, server, name=name, base=base, was_there=was_there)
    except BaseException:
        if not was_there:
            with suppress(UpstreamError):
                await server.unload(name)
        raise


def _check_base(told: Sequence[NextTokens], probes: Sequence[Probe], *, server: str) -> None:
    away = compare(told, [probe.base for probe in probes])
    if away > TOLERANCE:
        raise SetupError(
            f"{server} does not run the base that the adapter was trained on: its next tokens are "
            f"{away:.2g} away from that base's, {TOLERANCE:g} at most are allowed; start it "
            "with the same weights and tokenizer",
            code="wrong_base",
        )


async def _proved(
    probes: Sequence[Probe],
    before: Sequence[NextTokens],
    server: AdapterServer,
    *,
    name: str,
    base: str,
    was_there: bool,
) -> Deployed:
    kind = server.limits.server
    if name not in await server.loaded():
        raise SetupError(
            f"{kind} confirmed the load of {name!r} and does not list it; look into its log",
            code="adapter_not_listed",
        )
    model = server.model_of(base, name)
    after = [await server.next_tokens(model, probe.prompt) for probe in probes]
    moved = max(_difference(one, other) for one, other in zip(after, before, strict=True))
    if moved <= SAME:
        raise SetupError(
            f"{kind} answers for {name!r} as for its base: the adapter was loaded and does "
            "nothing; its version of the server does not run these modules of this model",
            code="adapter_no_op",
        )
    to_tuned = compare(after, [probe.tuned for probe in probes])
    to_base = compare(after, [probe.base for probe in probes])
    if to_tuned > TOLERANCE:
        raise SetupError(
            f"{kind} answers for {name!r} otherwise than its trainer does: next tokens are "
            f"{to_tuned:.2g} away, {TOLERANCE:g} at most are allowed; it may have kept another "
            "adapter under this name: unload it there, or restart the server",
            code="adapter_differs",
        )
    return Deployed(kind, model, name, len(probes), to_tuned, to_base, moved, was_there)


def _difference(one: NextTokens, other: NextTokens) -> float:
    shared = one.keys() & other.keys()
    if shared != one.keys() or shared != other.keys():
        return float("inf")
    return max(abs(one[token] - other[token]) for token in shared)
