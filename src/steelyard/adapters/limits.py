"""What a server can load, checked before it is asked: a refused load may take the server along."""

from dataclasses import dataclass

from steelyard.adapters.adapter import AdapterFacts

# vLLM's --max-lora-rank where none is given.
DEFAULT_MAX_RANK = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_rank` 0: none is known. `targets` (): whatever the adapter has."""

    server: str
    max_rank: int = 0
    targets: tuple[str, ...] = ()
    rank_flag: str = "--max-lora-rank"
    targets_flag: str = "--lora-target-modules"


def static_faults(facts: AdapterFacts, limits: Limits) -> list[str]:
    """Return why a server would refuse an adapter or run it wrongly, each with the repair."""
    faults = []
    if limits.max_rank and facts.rank > limits.max_rank:
        faults.append(
            f"its rank {facts.rank} is above the limit {limits.max_rank} of {limits.server}; "
            f"start the server with {limits.rank_flag} {facts.rank}, or train with "
            f"lora.rank {limits.max_rank}"
        )
    missing = sorted(set(facts.targets) - set(limits.targets)) if limits.targets else []
    if missing:
        faults.append(
            f"it adapts {', '.join(missing)}, for which {limits.server} keeps no room; start the "
            f"server with {limits.targets_flag} {' '.join(facts.targets)}"
        )
    if facts.modules_to_save:
        faults.append(
            f"it brings whole modules along ({', '.join(facts.modules_to_save)}), which "
            f"{limits.server} does not load; train with plain LoRA, or export it merged"
        )
    if facts.trains_tokens:
        faults.append(
            f"it trains single tokens' embeddings, which {limits.server} does not load; "
            "export it merged"
        )
    if facts.dora:
        faults.append(f"it is DoRA, which {limits.server} does not load; export it merged")
    if facts.bias != "none":
        faults.append(
            f"it trains biases ({facts.bias!r}), which {limits.server} does not load; "
            "train with plain LoRA"
        )
    return faults
