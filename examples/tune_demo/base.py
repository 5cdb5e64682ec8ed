"""The demonstration's base: a tokenizer and a small language model, made from nothing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steelyard.tune.needs import need_libraries

WIDTH, HEADS = 128, 4
LAYERS = ("conv", "full_attention", "conv", "full_attention")
WINDOW = 1024
VOCABULARY = 1200
_USER, _ASSISTANT, _END = "<|user|>", "<|assistant|>", "<|end|>"

# The rules of the system's turn are left out: a model of this size has no use for them.
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}"
    "{% elif m.role == 'assistant' %}<|assistant|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_base(folder: Path, texts: Iterable[str], *, seed: int = 1) -> Path:
    """Write an untrained model with a tokenizer of `texts`; the same texts give the same files.

    Layers are short convolutions and attention by turns (LFM2), which learn to look things up
    from far fewer examples than attention alone. Attention begins where training would take it:
    queries like keys, outputs that undo values, so that it copies what it looks at.

    Source: Trockman & Kolter, Mimetic Initialization of Self-Attention Layers, ICML 2023.
    """
    need_libraries()
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    tokenizer = _tokenizer(texts)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model = Lfm2ForCausalLM(
        Lfm2Config(
            hidden_size=WIDTH,
            intermediate_size=WIDTH * 8 // 3 // 16 * 16,
            block_auto_adjust_ff_dim=False,
            num_hidden_layers=len(LAYERS),
            layer_types=list(LAYERS),
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            conv_L_cache=3,
            vocab_size=len(tokenizer),
            max_position_embeddings=WINDOW,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    for layer in model.model.layers:
        if hasattr(layer, "self_attn"):
            _begin_as_copying(layer.self_attn)
    model.save_pretrained(folder)
    return folder


def _begin_as_copying(attention: Any) -> None:
    import torch

    with torch.no_grad():
        alike = torch.nn.init.orthogonal_(torch.empty(WIDTH, WIDTH)) * 0.7
        attention.k_proj.weight.copy_(alike)
        attention.q_proj.weight.copy_(alike + 0.02 * torch.randn(WIDTH, WIDTH))
        values = torch.nn.init.orthogonal_(torch.empty(WIDTH, WIDTH)) * 0.7
        attention.v_proj.weight.copy_(values)
        attention.out_proj.weight.copy_(values.T)


def _tokenizer(texts: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[_USER, _ASSISTANT, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_END)
    fast.chat_template = TEMPLATE
    return fast
