"""A causal language model in this process: loaded with its adapter, proved, and made to write."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers.decoders import DecodeStream

from steelyard.core.chat import Message
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.training import Turn
from steelyard.infra.binding import base_model, check_base, read_binding
from steelyard.infra.chat_template import Template, open_template

if TYPE_CHECKING:
    import torch

# A file of the artefact that makes it speak by its own template rather than by its base's.
_OWN_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Written:
    prompt_tokens: int
    completion_tokens: int


class CausalModel:
    """Writes replies one at a time; not to be called from two threads at once."""

    def __init__(self, model: Any, template: Template) -> None:
        self._model = model
        self.template = template
        self._window = int(getattr(model.config, "max_position_embeddings", 0) or 0)

    def write(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        on_text: Callable[[str], bool],
    ) -> Written:
        """Write a reply to a conversation; `on_text` takes each bit and tells whether to go on.

        The conversation is rendered as training renders it. Temperature 0 takes the likeliest
        token each time.

        Raises:
            UpstreamError: the conversation leaves no room in the model's window.
            InputError: the template refuses the conversation.
        """
        import torch
        from transformers import StoppingCriteriaList

        turns = [Turn(one.role, one.content) for one in messages]
        text = self.template.render(turns, prompt=True)
        ids = self.template.tokenizer(text, add_special_tokens=False)["input_ids"]
        if self._window and len(ids) >= self._window:
            raise UpstreamError(
                f"the conversation has {len(ids):,} tokens and the model reads {self._window:,} at "
                "most; lower llm.context_tokens and llm.history_tokens"
            )
        room = min(max_tokens, self._window - len(ids)) if self._window else max_tokens
        streamer = _Streamer(self.template.tokenizer, on_text)
        sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {}
        inputs = torch.tensor([ids], device=self._model.device)
        with torch.inference_mode():
            out = self._model.generate(
                input_ids=inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=room,
                streamer=streamer,
                stopping_criteria=StoppingCriteriaList([_Stop(streamer)]),
                pad_token_id=self._pad_id(),
                **({"do_sample": False} | sampling),
            )
        return Written(len(ids), int(out.shape[1]) - len(ids))

    def next_logits(self, messages: Sequence[Message]) -> "torch.Tensor":
        """Return (V,) logits of a reply's first token: what probes compare."""
        import torch

        turns = [Turn(one.role, one.content) for one in messages]
        text = self.template.render(turns, prompt=True)
        ids = self.template.tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            logits: torch.Tensor = self._model(
                input_ids=ids["input_ids"].to(self._model.device)
            ).logits
        return logits[0, -1].float().cpu()

    def likeliest_after(self, prompt: str, *, count: int) -> dict[str, float]:
        """Return the texts of the likeliest tokens after a rendered prompt, and their natural log
        probabilities, likeliest first."""
        import torch

        ids = self.template.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(input_ids=ids["input_ids"].to(self._model.device)).logits
        top = logits[0, -1].float().log_softmax(-1).topk(count)
        texts = [self.template.tokenizer.decode([token]) for token in top.indices.tolist()]
        return dict(zip(texts, top.values.tolist(), strict=True))

    def _pad_id(self) -> int:
        found = self.template.tokenizer.pad_token_id
        return int(found if found is not None else self.template.eos_id or 0)


class _Streamer:
    """Hands text on as soon as it is whole, and remembers whether anybody wants more."""

    def __init__(self, tokenizer: Any, on_text: Callable[[str], bool]) -> None:
        self._tokenizer = tokenizer.backend_tokenizer
        self._decode = DecodeStream(skip_special_tokens=True)
        self._on_text = on_text
        self._in_prompt = True
        self._go_on = True

    def put(self, value: Any) -> None:
        """Take what generation hands over: the prompt first, then a token at a time."""
        if self._in_prompt:
            self._in_prompt = False
            return
        for token in value.reshape(-1).tolist():
            text = self._decode.step(self._tokenizer, token)
            self._go_on = self._on_text(text or "")

    def end(self) -> None:
        return

    @property
    def is_wanted(self) -> bool:
        return self._go_on


class _Stop:
    """Ends generation when nobody wants more of it, as transformers' stopping criteria do."""

    def __init__(self, streamer: _Streamer) -> None:
        self._streamer = streamer

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        import torch

        stop = not self._streamer.is_wanted
        return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)

    def __deepcopy__(self, memo: Any) -> "_Stop":
        return self  # generation copies its criteria, and this one must hear the streamer


def load_causal(path: Path, *, adapter: Path | None = None) -> CausalModel:
    """Return a model directory as a model that writes, with an adapter put on it.

    An adapter that says what it was trained on is put on nothing else, and one that changes
    nothing is refused. Its own template and tokenizer are used where it brings them.

    Raises:
        SetupError: it cannot be loaded; the adapter does not fit, or does nothing.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if adapter is not None:
        binding = read_binding(adapter)
        if binding is not None:
            check_base(binding, base_model(path, name=path.name), artefact=str(adapter))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, dtype="auto"
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SetupError(
            f"the model {str(path)!r} cannot be loaded: {_line(error)}; check that the folder is "
            "whole and the memory enough"
        ) from error
    if adapter is not None:
        model = _with_adapter(model, adapter)
    speaks = adapter if adapter is not None and (adapter / _OWN_TOKENIZER).is_file() else path
    model.eval().to(device)
    return CausalModel(model, open_template(speaks, name=speaks.name))


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of peft's ways with transformers
            made = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise SetupError(
            f"the adapter {str(adapter)!r} does not fit the model: {_line(error)}; use the model "
            "that it was trained on"
        ) from error
    if not any(
        float(tensor.abs().max()) > 0
        for name, tensor in made.named_parameters()
        if "lora_B" in name
    ):
        raise SetupError(
            f"the adapter {str(adapter)!r} changes nothing: all of its B matrices are 0, or none "
            "was loaded; train it again"
        )
    return made if _is_quantised(model) else made.merge_and_unload()


def _is_quantised(model: Any) -> bool:
    """Tell whether weights are packed in few bits; merging into those would change them."""
    return getattr(model, "hf_quantizer", None) is not None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def write_merged(path: Path, adapter: Path, target: Path) -> None:
    """Write base + adapter as bfloat16 weights with tokenizer and template, merged in float32.

    Raises:
        SetupError: they do not fit.
    """
    import torch
    from transformers import AutoModelForCausalLM

    binding = read_binding(adapter)
    if binding is not None:
        check_base(binding, base_model(path, name=path.name), artefact=adapter.name)
    model = AutoModelForCausalLM.from_pretrained(
        path, local_files_only=True, trust_remote_code=False, dtype=torch.float32
    )
    merged = _with_adapter(model, adapter)
    merged.to(torch.bfloat16).save_pretrained(target)
    speaks = adapter if (adapter / _OWN_TOKENIZER).is_file() else path
    open_template(speaks, name=speaks.name).tokenizer.save_pretrained(target)
