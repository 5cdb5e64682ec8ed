"""A language model in this process: streamed, stopped, bound to its base, clear in failure."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tiny_llm import make_tiny_llm

from steelyard.core.chat import Finish, Message, Passage, Token
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.protocols import Completer
from steelyard.core.tuning import Binding, TuneKind
from steelyard.generate import LlmOptions
from steelyard.generate.conversation import build_conversation
from steelyard.generate.local import LocalGenerator
from steelyard.infra.binding import base_model, write_binding
from steelyard.parts import make_generator
from steelyard.settings import Settings

torch = pytest.importorskip("torch", reason="the extra `tune` is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llm(
        tmp_path_factory.mktemp("local"), max_position_embeddings=2048, tie_word_embeddings=False
    )


@pytest.fixture(scope="module")
def adapter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter that acts, bound to the base."""
    made = tmp_path_factory.mktemp("runs") / "run-one" / "artefact"
    write_adapter(folder, made, acting=True)
    return made


def write_adapter(folder: Path, target: Path, *, acting: bool) -> None:
    import warnings

    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(folder)
    config = LoraConfig(
        r=4,
        target_modules="all-linear",
        init_lora_weights=not acting,
        task_type="CAUSAL_LM",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        get_peft_model(base, config).save_pretrained(target)
    binding = Binding(TuneKind.LLM, base_model(folder, name=folder.name), "lora", 512)
    write_binding(target, binding)


def options(folder: Path, **more: Any) -> LlmOptions:
    return LlmOptions(local=str(folder), **({"max_tokens": 6} | more))


async def pieces_of(generator: LocalGenerator, passages: tuple[Passage, ...]) -> list[Any]:
    async with contextlib.aclosing(generator.generate("Which scale?", passages)) as stream:
        return [piece async for piece in stream]


def test_tokens_are_streamed_and_counted(
    folder: Path, passages: tuple[Passage, ...], run: Callable[[Any], Any]
) -> None:
    async def job() -> list[Any]:
        generator = LocalGenerator(options(folder))
        try:
            return await pieces_of(generator, passages[:1])
        finally:
            await generator.aclose()

    *tokens, finish = run(job())
    assert tokens
    assert all(isinstance(one, Token) for one in tokens)
    assert isinstance(finish, Finish)
    assert 1 <= finish.completion_tokens <= 6
    assert finish.prompt_tokens > 100  # the rules, the source, the question


def test_a_server_loads_it_before_the_first_question(
    folder: Path, passages: tuple[Passage, ...], run: Callable[[Any], Any]
) -> None:
    generator = LocalGenerator(options(folder))
    assert generator._loaded is None
    generator.warm_up()
    loaded = generator._loaded
    assert loaded is not None

    async def job() -> None:
        await pieces_of(generator, passages[:1])
        assert generator._loaded is loaded
        await generator.aclose()

    run(job())


def test_it_reads_what_any_other_language_model_is_sent(
    folder: Path, passages: tuple[Passage, ...], run: Callable[[Any], Any]
) -> None:
    # FIELD 11: one renderer for all arms
    seen: list[list[Message]] = []
    generator = LocalGenerator(options(folder))
    write = generator._write

    def spying(messages: list[Message], on_text: Any) -> Finish:
        seen.append(messages)
        return write(messages, on_text)

    generator._write = spying  # type: ignore[method-assign,assignment]
    run(pieces_of(generator, passages[:1]))
    expected = build_conversation(
        "Which scale?",
        passages[:1],
        history=(),
        options=options(folder),
        tokenizer=None,
        closed_book=False,
    )
    assert seen == [expected]
    run(generator.aclose())


def test_an_asker_who_leaves_stops_the_model(
    folder: Path, passages: tuple[Passage, ...], run: Callable[[Any], Any]
) -> None:
    written: list[str] = []

    async def job() -> None:
        generator = LocalGenerator(options(folder, max_tokens=1500))
        write = generator._write

        def counting(messages: list[Message], on_text: Callable[[str], bool]) -> Finish:
            def counted(text: str) -> bool:
                written.append(text)
                return on_text(text)

            return write(messages, counted)

        generator._write = counting  # type: ignore[method-assign,assignment]
        async with contextlib.aclosing(generator.generate("Which?", ())) as stream:
            async for _ in stream:
                break
        generator._pool.shutdown(wait=True)

    run(job())
    assert len(written) < 700  # the window had room for 1,500


def test_whole_reply_is_the_streams(folder: Path, run: Callable[[Any], Any]) -> None:
    async def job() -> tuple[str, str]:
        generator = LocalGenerator(options(folder))
        assert isinstance(generator, Completer)
        messages = [Message("user", "Which scale?")]
        first = await generator.complete(messages)
        second = await generator.complete(messages)
        await generator.aclose()
        return first, second

    first, second = run(job())
    assert first
    assert first == second  # temperature 0


def test_an_adapter_changes_what_is_written_and_names_its_run(
    folder: Path, adapter: Path, run: Callable[[Any], Any]
) -> None:
    # FIELD 13
    from steelyard.infra.causal import load_causal

    messages = [Message("user", "Which scale?")]
    plain = load_causal(folder).next_logits(messages)
    tuned = load_causal(folder, adapter=adapter).next_logits(messages)
    assert float((plain - tuned).abs().max()) > 1e-3
    named = LocalGenerator(options(folder, adapter=str(adapter)))
    assert named.model == f"{folder.name}+run-one"


def test_an_adapter_that_does_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    # FIELD 13
    from steelyard.infra.causal import load_causal

    write_adapter(folder, tmp_path / "idle", acting=False)
    with pytest.raises(SetupError, match="changes nothing"):
        load_causal(folder, adapter=tmp_path / "idle")


def test_an_adapter_of_another_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    # FIELD 17
    from steelyard.infra.causal import load_causal

    other = make_tiny_llm(tmp_path / "other", num_hidden_layers=1)
    with pytest.raises(SetupError, match=r"was trained on .* other weights"):
        load_causal(other, adapter=adapter)


def test_a_conversation_beyond_the_window_says_what_to_lower(
    tmp_path: Path, passages: tuple[Passage, ...], run: Callable[[Any], Any]
) -> None:
    small = make_tiny_llm(tmp_path / "small", max_position_embeddings=64)

    async def job() -> None:
        generator = LocalGenerator(options(small))
        try:
            await pieces_of(generator, passages)
        finally:
            await generator.aclose()

    with pytest.raises(UpstreamError, match=r"reads 64 at most; lower llm\.context_tokens"):
        run(job())


def test_a_slow_answer_ends_with_the_time_it_was_given(
    folder: Path, run: Callable[[Any], Any]
) -> None:
    async def job() -> None:
        generator = LocalGenerator(options(folder, max_tokens=1900, total_timeout_s=0.05))
        try:
            await generator.complete([Message("user", "hi")])
        finally:
            await generator.aclose()

    with pytest.raises(UpstreamError, match=r"longer than 0\.05 s"):
        run(job())


@pytest.mark.parametrize("option", ["local", "adapter"])
def test_a_folder_that_is_none_names_the_option(folder: Path, tmp_path: Path, option: str) -> None:
    given = {"local": str(folder), option: str(tmp_path)}
    with pytest.raises(SetupError, match=rf"llm\.{option} .* --set llm\.{option}=DIR"):
        LocalGenerator(LlmOptions(**given))


def test_a_missing_extra_names_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"pip install 'steelyard\[tune\]'"):
        LocalGenerator(options(folder))


def test_settings_choose_it_and_an_adapter_alone_is_refused(folder: Path) -> None:
    from dataclasses import replace

    settings = replace(Settings(), llm=options(folder))
    tokenizer: Any = None
    assert isinstance(make_generator(settings, tokenizer=tokenizer), LocalGenerator)
    alone = replace(Settings(), llm=LlmOptions(adapter="somewhere"))
    with pytest.raises(SetupError, match=r"--set llm\.local=DIR"):
        make_generator(alone, tokenizer=tokenizer)


def test_two_questions_at_once_are_answered_one_after_the_other(
    folder: Path, run: Callable[[Any], Any]
) -> None:
    async def job() -> list[str]:
        generator = LocalGenerator(options(folder))
        asked = [generator.complete([Message("user", text)]) for text in ("Which?", "And who?")]
        try:
            return list(await asyncio.gather(*asked))
        finally:
            await generator.aclose()

    assert len(run(job())) == 2
