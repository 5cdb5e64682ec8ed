"""A local model file: what is wrong is said at once, what is right answers."""

import asyncio
import importlib.util
from contextlib import aclosing
from pathlib import Path

import pytest

from steelyard.core.chat import Finish, Token
from steelyard.core.errors import SetupError
from steelyard.generate import LlmOptions
from steelyard.generate.gguf import GgufGenerator, checked_file

HAVE_LLM = importlib.util.find_spec("xllamacpp") is not None
needs_llm = pytest.mark.skipif(not HAVE_LLM, reason="the extra `llm` (xllamacpp) is not installed")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SetupError, match=r"none\.gguf' cannot be read: No such file"):
        checked_file(str(tmp_path / "none.gguf"))
    with pytest.raises(SetupError, match="cannot be read"):
        checked_file(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"<html>", b"GGU"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(SetupError, match="no GGUF file, or a damaged one"):
        GgufGenerator(LlmOptions(gguf=str(path)))


def test_a_missing_package_ends_with_what_to_run(tmp_path, monkeypatch):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SetupError) as caught:
        GgufGenerator(LlmOptions(gguf=str(path)))
    assert caught.value.message.endswith("pip install 'steelyard[llm]'")


def test_a_child_that_cannot_load_its_model_is_a_setup_error(tmp_path, run, monkeypatch, passages):
    # Without the package the child says so, with it llama.cpp finds the file damaged.
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(64))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())

    async def scenario():
        generator = GgufGenerator(LlmOptions(gguf=str(path)))
        with pytest.raises(SetupError, match=r"model\.gguf' cannot be loaded \(.+\); check"):
            await anext(generator.generate("?", passages))
        await generator.aclose()

    run(scenario())


@needs_llm
def test_a_tiny_model_answers_and_its_process_can_be_killed(tmp_path, run, passages):
    path = tmp_path / "tiny.gguf"
    _write_tiny_model(path)

    async def scenario():
        generator = GgufGenerator(LlmOptions(gguf=str(path), max_tokens=8))
        answers = [await _collect(generator, passages)]
        process = generator._process
        process.kill()
        await process.wait()
        answers.append(await _collect(generator, passages))
        second = generator._process
        await generator.aclose()
        await asyncio.sleep(0.05)  # the transports of the pipes close in the next rounds
        return answers, second.returncode

    answers, code = run(scenario())
    assert code == 0
    for pieces in answers:
        assert any(isinstance(piece, Token) for piece in pieces)
        assert isinstance(pieces[-1], Finish)
        assert pieces[-1].prompt_tokens > 100
        assert 0 < pieces[-1].completion_tokens <= 8


async def _collect(generator, passages):
    async with aclosing(generator.generate("How long?", passages)) as stream:
        return [piece async for piece in stream]


def _write_tiny_model(path: Path) -> None:
    """Write a llama of one layer with random weights: it answers nonsense, but it answers."""
    gguf = pytest.importorskip("gguf", reason="the package gguf, which writes the file, is absent")
    np = pytest.importorskip("numpy")
    width, hidden, words = 32, 64, 300
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 2)
    writer.add_vocab_size(words)
    letters = [bytes([97 + i % 26]) * (2 + i // 26) for i in range(words - 259)]
    bytes_ = [f"<0x{i:02X}>".encode() for i in range(256)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([b"<unk>", b"<s>", b"</s>", *bytes_, *letters])
    writer.add_token_scores([0.0] * words)
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * len(letters)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    rng = np.random.default_rng(0)
    square, up, down = (width, width), (hidden, width), (width, hidden)
    shapes = {"token_embd": (words, width), "output": (words, width), "output_norm": (width,)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        shapes[f"blk.0.{name}"] = square
    shapes |= {"blk.0.ffn_gate": up, "blk.0.ffn_up": up, "blk.0.ffn_down": down}
    shapes |= {"blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,)}
    for name, shape in shapes.items():
        weights = np.ones(shape) if name.endswith("norm") else rng.standard_normal(shape) * 0.1
        writer.add_tensor(f"{name}.weight", weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
