"""Chats are rendered as they are served, and templates that cannot be trained on are refused."""

from pathlib import Path
from typing import Any

import pytest
from tests.tiny_llm import CHATML, make_tiny_llm

from steelyard.core.errors import InputError, SetupError
from steelyard.core.training import ToolCall, Turn
from steelyard.infra.chat_template import Template, open_template

TURNS = (
    Turn("system", "Be brief."),
    Turn("user", "Which scale?"),
    Turn("assistant", "The crane."),
    Turn("user", "And who?"),
    Turn("assistant", "Nobody."),
)


def with_template(template: Template, text: str | None) -> Template:
    import copy

    tokenizer = copy.deepcopy(template.tokenizer)
    tokenizer.chat_template = text
    return Template(tokenizer, name="other")


def test_pieces_joined_are_the_conversation_as_it_is_rendered(template: Template) -> None:
    pieces = template.pieces(TURNS)
    assert "".join(piece.text for piece in pieces) == template.render(TURNS, prompt=False)
    assert [p.text for p in pieces if p.target] == ["The crane.<|im_end|>", "Nobody.<|im_end|>"]


def test_what_stands_before_a_target_is_the_prompt_that_is_served(template: Template) -> None:
    before = ""
    for piece in template.pieces(TURNS[:3]):
        if piece.target:
            break
        before += piece.text
    assert before == template.render(TURNS[:2], prompt=True)


def test_a_turn_of_weight_0_is_context_and_no_target(template: Template) -> None:
    turns = (*TURNS[:2], Turn("assistant", "The crane.", weight=0), *TURNS[3:])
    assert [p.text for p in template.pieces(turns) if p.target] == ["Nobody.<|im_end|>"]


def test_calls_of_tools_are_rendered_with_their_arguments_as_objects(template: Template) -> None:
    call = ToolCall("c1", "weigh", '{"crate": 47}')
    turns = (Turn("user", "Which scale?"), Turn("assistant", "", tool_calls=(call,)))
    (target,) = [piece.text for piece in template.pieces(turns) if piece.target]
    assert 'call weigh {"crate": 47}' in target


def test_a_template_without_a_generation_prompt_is_refused_with_the_repair(
    template: Template,
) -> None:
    silent = CHATML.split("{% if add_generation_prompt %}")[0]
    with pytest.raises(SetupError, match=r"no generation prompt.*add_generation_prompt"):
        with_template(template, silent)


def test_a_base_without_a_template_is_refused_with_the_repair(template: Template) -> None:
    with pytest.raises(SetupError, match=r"no chat template.*chat_template\.jinja"):
        with_template(template, None)


def test_a_template_that_rewrites_earlier_turns_is_refused_for_chats_of_several(
    template: Template,
) -> None:
    forgets = CHATML.replace("{{ message.content }}", "{{ message.content if loop.last else '-' }}")
    forgetting = with_template(template, forgets)
    with pytest.raises(InputError, match="otherwise when it is not the last one"):
        forgetting.pieces(TURNS)


def test_what_a_template_refuses_is_told_with_its_own_words(template: Template) -> None:
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    strict = with_template(template, refusal + CHATML)
    with pytest.raises(InputError, match=r"roles system, user.*no system"):
        strict.render(TURNS[:2], prompt=True)


def test_the_template_is_hashed_as_the_binding_hashes_it(tiny: Path, template: Template) -> None:
    # FIELD 9
    from steelyard.infra.binding import base_model

    assert base_model(tiny, name="tiny").template_sha256 == template.sha256


def test_a_folder_without_a_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        open_template(tmp_path, name="nothing")


def test_another_shape_of_the_tiny_model_can_be_made(tmp_path: Path) -> None:
    made: Any = make_tiny_llm(tmp_path, max_position_embeddings=64)
    assert (made / "model.safetensors").is_file()
