"""Masks, truncation at turns, and an account of every token."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.training import Chat, Preference, Turn
from steelyard.infra.chat_template import Template
from steelyard.tune.chat.encode import NO_TARGET, TOO_LONG, encode, fit_chat, fit_preference

LONG = Chat(
    (
        Turn("user", "Which scale?"),
        Turn("assistant", "The crane."),
        Turn("user", "And who?"),
        Turn("assistant", "Nobody answers before the bell rings."),
    )
)


def decoded(template: Template, ids: object) -> str:
    text: str = template.tokenizer.decode(ids)
    return text


def test_only_what_the_assistant_writes_is_learnt(template: Template) -> None:
    encoded = encode(template, LONG.turns, ())
    assert decoded(template, encoded.ids[encoded.targets]) == (
        "The crane.<|im_end|>Nobody answers before the bell rings.<|im_end|>"
    )


def test_the_tokens_before_an_answer_are_those_that_are_served(template: Template) -> None:
    # FIELD 10: the prompt is tokenised alone when it is served.
    encoded = encode(template, LONG.turns, ())
    served = template.tokenizer(
        template.render(LONG.turns[:3], prompt=True), add_special_tokens=False
    )["input_ids"]
    assert encoded.ids[: len(served)].tolist() == served
    assert encoded.targets[len(served)]


def test_a_token_never_reaches_from_the_prompt_into_the_answer(template: Template) -> None:
    import copy

    tokenizer = copy.deepcopy(template.tokenizer)
    # The prompt ends in "The cr", and the answer goes on with "ane": one token would hold both.
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }} The cr{% else %}"
        "{{ m.content }}<|im_end|>{% endif %}{% endfor %}{% if add_generation_prompt %}{% endif %}"
    )
    merging = Template.__new__(Template)
    merging.tokenizer, merging._name, merging.text = tokenizer, "merging", ""
    encoded = encode(merging, (Turn("user", "Which"), Turn("assistant", "ane.")), ())
    prompt = tokenizer("Which The cr", add_special_tokens=False)["input_ids"]
    assert encoded.ids[: len(prompt)].tolist() == prompt
    assert decoded(template, encoded.ids[encoded.targets]) == "ane.<|im_end|>"


def test_a_row_without_a_target_is_refused_rather_than_learnt_as_nothing(
    template: Template,
) -> None:
    # FIELD 4
    for turns in (
        (Turn("user", "Which scale?"),),
        (Turn("user", "Which scale?"), Turn("assistant", "The crane.", weight=0)),
    ):
        fitted = fit_chat(template, Chat(turns), max_tokens=512)
        assert fitted.example is None
        assert fitted.reason == NO_TARGET
        assert fitted.account.rows_dropped == 1
        assert fitted.account.kept == 0


def test_a_long_chat_loses_its_latest_turns_whole_and_says_how_many_tokens(
    template: Template,
) -> None:
    # FIELD 3, FIELD 5
    whole = encode(template, LONG.turns, ())
    short = encode(template, LONG.turns[:2], ())
    fitted = fit_chat(template, LONG, max_tokens=len(whole) - 1)
    assert fitted.example is not None
    assert np.array_equal(fitted.example.ids, short.ids)
    account = fitted.account
    assert (account.kept, account.truncated) == (len(short), len(whole) - len(short))
    assert account.targets_lost == whole.num_targets - short.num_targets
    assert (account.rows_kept, account.rows_truncated) == (1, 1)


def test_a_chat_whose_first_answer_does_not_fit_is_dropped(template: Template) -> None:
    fitted = fit_chat(template, LONG, max_tokens=10)
    assert fitted.example is None
    assert fitted.reason == TOO_LONG
    assert fitted.account.targets_lost == encode(template, LONG.turns, ()).num_targets


def test_half_a_pair_is_not_learnt_from(template: Template) -> None:
    pair = Preference(
        (Turn("user", "Which scale?"),),
        (Turn("assistant", "The crane."),),
        (Turn("assistant", "Nobody answers before the bell rings."),),
    )
    whole = fit_preference(template, pair, max_tokens=512)
    assert whole.example is not None
    assert whole.account.dropped == 0
    cut = fit_preference(template, pair, max_tokens=len(whole.example) - 1)
    assert cut.example is None
    assert cut.account.dropped == whole.account.kept
    assert cut.account.targets_lost == whole.account.targets_kept


WORD = st.sampled_from(["scale", "crane", "bell", "gate", "Nobody", "47", "ærø", "😀"])
WORDS = st.lists(WORD, max_size=12)
ROLES = st.sampled_from(["user", "assistant", "assistant", "system", "tool"])
TURN = st.builds(Turn, ROLES, WORDS.map(" ".join), st.sampled_from([0, 1]))


@settings(max_examples=40)
@given(turns=st.lists(TURN, min_size=1, max_size=6), max_tokens=st.integers(8, 80))
def test_kept_truncated_and_dropped_are_all_tokens(
    template: Template, turns: list[Turn], max_tokens: int
) -> None:
    chat = Chat(tuple(turns))
    whole = encode(template, chat.turns, ())
    fitted = fit_chat(template, chat, max_tokens=max_tokens)
    account = fitted.account
    assert account.total == len(whole)
    assert account.targets_kept + account.targets_lost == whole.num_targets
    assert account.rows_kept + account.rows_dropped == 1
    assert account.kept <= max_tokens
    assert (fitted.example is None) == (account.kept == 0)


@pytest.mark.parametrize("text", ["", "\ud800", "a\x00b", "<|im_end|>"])
def test_odd_texts_are_encoded_or_counted_and_never_crash(template: Template, text: str) -> None:
    turns = (Turn("user", text), Turn("assistant", text or "x"))
    fitted = fit_chat(template, Chat(turns), max_tokens=512)
    assert fitted.account.total > 0
