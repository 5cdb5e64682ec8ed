"""A peft adapter as a server will judge it: rank, targets, and what servers cannot run."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import SetupError

_NAME_CHARS = 40
_ID_CHARS = 12


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """`rank` is the highest of all modules; `targets` are the modules' last names, sorted, or a
    pattern as it stands."""

    folder: Path
    rank: int
    targets: tuple[str, ...]
    modules_to_save: tuple[str, ...] = ()
    dora: bool = False
    bias: str = "none"
    trains_tokens: bool = False


def read_adapter(folder: Path) -> AdapterFacts:
    """Read what an adapter's configuration says of it.

    Raises:
        SetupError: there is no peft LoRA adapter.
    """
    path = folder / "adapter_config.json"
    if not (folder / "adapter_model.safetensors").is_file():
        raise SetupError(
            f"{str(folder)!r} holds no adapter_model.safetensors, so there is nothing that a "
            "server could load beside its base; serve full weights as a model of their own"
        )
    try:
        config: dict[str, Any] = json.loads(path.read_bytes())
        ranks = [int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())]
        targets = config["target_modules"]
        return AdapterFacts(
            folder=folder,
            rank=max(ranks),
            targets=(targets,) if isinstance(targets, str) else tuple(sorted(targets)),
            modules_to_save=tuple(sorted(config.get("modules_to_save") or ())),
            dora=bool(config.get("use_dora")),
            bias=str(config.get("bias") or "none"),
            trains_tokens=bool(config.get("trainable_token_indices")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SetupError(
            f"{str(path)!r} lacks or garbles {error}; export or train the adapter again"
        ) from error


def deployed_name(name: str, version: str) -> str:
    """Return the name that a server knows a version by: for people, then its content's hash.

    Equal content has one name and other content another, so a server that keeps what it once
    loaded under a name (adapter, prefix cache) can never answer with an older version.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_NAME_CHARS].strip("-")
    digest = version.removeprefix("v")[:_ID_CHARS]
    return f"{slug}-{digest}" if slug else f"adapter-{digest}"
