"""Causal language models for training: opened without torch, loaded with it, saved as artefacts."""

import shutil
import warnings
from collections.abc import Mapping
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from steelyard.core.errors import InputError, SetupError
from steelyard.core.tuning import BaseModel
from steelyard.infra.binding import base_model
from steelyard.infra.chat_template import TEMPLATE_FILE, Template, open_template
from steelyard.tune.chat.packing import can_pack
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Shape

if TYPE_CHECKING:
    import torch

_ALL_LINEAR = "all-linear"
# What goes with a model, beside its weights: whoever serves it reads it from there.
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
)


class CausalBase:
    """A directory of a causal language model, and how a recipe trains it."""

    def __init__(self, recipe: Recipe) -> None:
        """Open the configuration and the tokenizer; nothing heavy.

        Raises:
            SetupError: the base is no model directory, has no template, or one without a
                generation prompt.
            InputError: the recipe wants more tokens or layers than the base can give.
        """
        self.recipe = recipe
        self.path = Path(recipe.base).expanduser()
        self.config = _config(self.path, recipe.base)
        self.template: Template = open_template(self.path, name=recipe.base)
        limit = getattr(self.config, "max_position_embeddings", None)
        if limit and recipe.max_tokens > limit:
            raise InputError(
                f"max_tokens {recipe.max_tokens} is more than base {recipe.base!r} can take; "
                f"give at most {limit}"
            )
        if recipe.layers:
            raise InputError("layers: a language model is trained whole; remove the key")

    @cached_property
    def identity(self) -> BaseModel:
        path = self.path.parent if self.path.name == "artefact" else self.path  # of another run
        return base_model(self.path, name=path.name)

    @property
    def pad_id(self) -> int:
        """Return the id that fills rows up; it earns no loss and is attended to by nothing."""
        found = self.template.tokenizer.pad_token_id
        return int(found if found is not None else self.template.eos_id or 0)

    def unpackable(self) -> str:
        """Return why rows must not be packed; "" if they may."""
        return can_pack(self.config, max_tokens=self.recipe.max_tokens)

    def shape(self) -> Shape:
        """Return the size, by the heads of the weights files."""
        sizes: dict[str, tuple[int, ...]] = {}
        for file in sorted(self.path.glob("*.safetensors")):
            with safe_open(file, framework="np") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    sizes[name] = tuple(tensors.get_slice(name).get_shape())
        total = sum(map(prod, sizes.values()))
        adapted = [shape for name, shape in sizes.items() if self._is_adapted(name, shape)]
        adapter = sum(self.recipe.lora.rank * sum(shape) for shape in adapted)
        return Shape(
            total,
            total if self.recipe.method == "full" else adapter,
            int(self.config.hidden_size),
            int(self.config.num_hidden_layers),
        )

    def load(self) -> "torch.nn.Module":
        """Load the base, in 4 bits for QLoRA, and make trainable what the method trains.

        Raises:
            SetupError: the weights cannot be loaded, or QLoRA's library is missing.
            InputError: `lora.targets` do not fit the base.
        """
        from transformers import AutoModelForCausalLM

        given: dict[str, Any] = {"dtype": "float32", "attn_implementation": "sdpa"}
        if self.recipe.method == "qlora":
            given |= {"quantization_config": _nf4(), "dtype": _half()}
        try:
            model = AutoModelForCausalLM.from_pretrained(
                self.path, local_files_only=True, trust_remote_code=False, **given
            )
        except (OSError, ValueError, KeyError) as error:
            raise SetupError(
                f"base {self.recipe.base!r} cannot be loaded: "
                f"{' '.join(str(error).split())[:300]}; check that the directory is whole"
            ) from error
        model.config.use_cache = False
        made: torch.nn.Module = model if self.recipe.method == "full" else self._adapted(model)
        return made

    def save(self, model: Any, folder: Path) -> None:
        """Write what was trained, with the tokenizer and the template that it was trained by."""
        if self.recipe.method == "full":
            model.save_pretrained(folder)
            shutil.copyfile(self.path / "config.json", folder / "config.json")
        else:
            from steelyard.tune.encoder import save_adapter

            save_adapter(model, folder, base=self.identity.name)
        for name in _TOKENIZER_FILES:
            if (self.path / name).is_file():
                shutil.copyfile(self.path / name, folder / name)
        (folder / TEMPLATE_FILE).write_text(self.template.text, encoding="utf-8")

    def _adapted(self, model: Any) -> Any:
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

        lora = self.recipe.lora
        targets: str | list[str] = list(lora.targets) or _ALL_LINEAR
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=targets,
            task_type="CAUSAL_LM",
        )
        if self.recipe.method == "qlora":
            model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of peft's ways with transformers
                return get_peft_model(model, config)
        except ValueError as error:
            raise InputError(
                f"lora.targets {targets} do not fit base {self.recipe.base!r}: {error}"
            ) from error

    def _is_adapted(self, name: str, shape: tuple[int, ...]) -> bool:
        module = name.removesuffix(".weight")
        if len(shape) != 2 or module == name or "embed" in name or module.endswith("lm_head"):
            return False
        targets = self.recipe.lora.targets
        return not targets or any(module == one or module.endswith(f".{one}") for one in targets)


def _config(path: Path, base: str) -> Any:
    if not (path / "config.json").is_file():
        raise SetupError(
            f"base {base!r} is no directory of a causal language model (config.json is missing); "
            "download one, and give its folder as `base`"
        )
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise SetupError(
            f"{str(path / 'config.json')!r} cannot be used: {' '.join(str(error).split())[:200]}; "
            "use a model that transformers knows without foreign code"
        ) from error
    return config.get_text_config()


def _nf4() -> Any:
    import importlib.util

    if importlib.util.find_spec("bitsandbytes") is None:
        raise SetupError(
            "method 'qlora' needs bitsandbytes; run: pip install 'steelyard[tune,qlora]'"
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_half(),
    )


def _half() -> Any:
    """Return the type that 4-bit weights are computed in: bf16 where a GPU can, else fp32."""
    import torch

    can = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if can else torch.float32


def first_text(values: Mapping[str, int]) -> str:
    """Return counted reasons in words, the commonest first."""
    ranked = sorted(values.items(), key=lambda one: (-one[1], one[0]))
    return "; ".join(f"{count:,} rows dropped: {reason}" for reason, count in ranked)
