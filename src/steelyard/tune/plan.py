"""What a run will take, told before any weights are loaded: tokens, steps, memory, money."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steelyard.core.prices import Price, Prices
from steelyard.core.tuning import TokenAccount, TuneKind
from steelyard.tune.gpus import GPUS
from steelyard.tune.recipe import Recipe
from steelyard.tune.schedule import every, num_steps
from steelyard.tune.task import Sets, Task

# Floats that a layer keeps for each token and hidden unit until the way back: the inputs of its
# linear layers and norms, both sides of the activation (4 hidden each), query, key and value.
_KEPT_FLOATS = 34
# With dropout, attention keeps its weights too: three times a float for each pair of tokens and
# head, of which there is one for some 32 hidden units.
_KEPT_BY_PAIRS = 3 / 32
_PROCESS_BYTES = 600 * 2**20  # torch and transformers, before any weight
_OPTIMIZER_BYTES = 12  # gradient and Adam's two moments, four bytes each
_GPU_USE = 0.25  # of a GPU's peak that a run reaches: a plain assumption, said with the figure
_SIZE = re.compile(r"/up-to-(\d+(?:\.\d+)?)b$")


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars, from `low` to `high`, of one way to train; `note` says what they rest on."""

    offer: str
    low_usd: float
    high_usd: float
    hours: float
    note: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it begins. Tokens are those of one epoch; `seconds` 0.0: not probed."""

    kind: TuneKind
    base: str
    accounts: Mapping[str, TokenAccount]
    num_examples: int
    num_steps: int
    num_evaluations: int
    batch_tokens: int
    epoch_tokens: int
    run_tokens: int
    num_parameters: int
    num_trainable: int
    memory_bytes: int
    available_bytes: int
    costs: tuple[Cost, ...]
    notes: tuple[str, ...]
    seconds: float = 0.0
    step_seconds: float = 0.0


def make_plan(task: Task, recipe: Recipe, sets: Sets, *, prices: Prices) -> Plan:
    """Return what a run of prepared rows will take; loads no weights."""
    shape, train, lengths = task.shape(), recipe.train, sets.train.lengths
    steps = num_steps(train, num_examples=len(lengths))
    epoch_tokens = sum(lengths)
    run_tokens = round(epoch_tokens * steps * train.batch_size / max(1, len(lengths)))
    piece = sorted(lengths, reverse=True)[: train.batch_size // train.accumulate]
    # What stands in a batch is as long as its longest, so far as padding goes.
    batch_tokens = len(piece) * piece[0] if piece else 0
    bytes_each = 2 if train.precision == "bf16" else 4
    memory = (
        _PROCESS_BYTES
        + 4 * shape.num_parameters
        + _OPTIMIZER_BYTES * shape.num_trainable
        + round(_kept_floats(recipe) * bytes_each * batch_tokens * shape.hidden * shape.layers)
    )
    evaluations = (steps // every(train.eval_every, steps) + 2) if sets.eval or sets.guard else 0
    given = {"train": sets.train, "eval": sets.eval, "guard": sets.guard}
    available = _available_bytes()
    notes = [note for one in given.values() if one for note in one.notes]
    if memory > available:
        notes.append(
            f"the run may need {memory / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB are "
            f"free: raise train.accumulate above {train.accumulate}, or lower max_tokens"
        )
    return Plan(
        kind=recipe.kind,
        base=task.base().name,
        accounts={role: one.account for role, one in given.items() if one},
        num_examples=len(lengths),
        num_steps=steps,
        num_evaluations=evaluations,
        batch_tokens=batch_tokens,
        epoch_tokens=epoch_tokens,
        run_tokens=run_tokens,
        num_parameters=shape.num_parameters,
        num_trainable=shape.num_trainable,
        memory_bytes=memory,
        available_bytes=available,
        costs=costs(recipe, shape.num_parameters, run_tokens, prices=prices),
        notes=tuple(notes),
    )


def costs(recipe: Recipe, parameters: int, tokens: int, *, prices: Prices) -> tuple[Cost, ...]:
    """Return what the run would cost on rented GPUs, and a language model's at managed offers.

    A trained token takes some 6 floating-point operations a parameter (Kaplan et al., 2020);
    adapters save the gradients of frozen weights, 2 of the 6. What has no price is left out.
    """
    operations = (6 if recipe.method == "full" else 4) * parameters * tokens
    found: list[Cost] = []
    priced = set(prices.items("gpu/"))
    for gpu in GPUS:
        if gpu.item not in priced:
            continue
        price = prices.price(gpu.item)
        hours = operations / (gpu.peak_tflops * 1e12 * _GPU_USE) / 3600
        note = f"at {_GPU_USE:.0%} of its peak; {_attested(price, prices)}"
        found.append(Cost(gpu.name, hours * price.low_usd, hours * price.high_usd, hours, note))
    if recipe.kind is TuneKind.LLM:
        for price in managed_offers(parameters / 1e9, prices):
            low, high = (usd * tokens / 1e6 for usd in (price.low_usd, price.high_usd))
            note = f"LoRA, {price.usd:g} a million tokens; {_attested(price, prices)}"
            found.append(Cost(price.seller, low, high, 0.0, note))
    return tuple(found)


def managed_offers(billions: float, prices: Prices) -> tuple[Price, ...]:
    """Return each seller's price for a model of so many billions of parameters: that of the
    smallest size that holds it, by items such as `tuning/SELLER/up-to-16b`."""
    sized = [
        (float(found[1]), prices.price(item))
        for item in prices.items("tuning/")
        if (found := _SIZE.search(item))
    ]
    cheapest: dict[str, Price] = {}
    for most, price in sorted(sized, key=lambda one: (one[0], one[1].item)):
        if billions <= most:
            cheapest.setdefault(price.item.rpartition("/")[0], price)
    return tuple(cheapest.values())


def _attested(price: Price, prices: Prices) -> str:
    """Return where a price is from, and what to know of it."""
    return "; ".join((f"{price.source}, seen {price.seen}", *prices.warnings(price)))


def _kept_floats(recipe: Recipe) -> float:
    """Return the floats that are kept for each token, layer and hidden unit."""
    by_pairs = 0.0 if recipe.kind is TuneKind.LLM else _KEPT_BY_PAIRS * recipe.max_tokens
    return _KEPT_FLOATS + by_pairs


def plan_fields(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON fields."""
    return asdict(plan)


def _available_bytes() -> int:
    """Return the memory that may still be taken on this machine."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
