"""What a language model is sent for a question, whichever way it is reached."""

from collections.abc import Sequence

from steelyard.core.chat import Message, Passage
from steelyard.core.passages import fit_passages
from steelyard.core.protocols import Tokenizer
from steelyard.generate.options import LlmOptions
from steelyard.generate.prompt import (
    SOURCE_TOKENS,
    build_closed_book,
    build_messages,
    fit_history,
)


def build_conversation(
    question: str,
    passages: Sequence[Passage],
    *,
    history: Sequence[Message],
    options: LlmOptions,
    tokenizer: Tokenizer | None,
    closed_book: bool,
) -> list[Message]:
    """Return the conversation, within the budgets for sources and for earlier turns.

    `closed_book`: nothing was searched, so no sources are to be spoken of.
    """
    turns = fit_history(history, max_tokens=options.history_tokens)
    extra = options.instructions
    if closed_book:
        return build_closed_book(question, history=turns, instructions=extra)
    kept = fit_passages(
        passages,
        max_tokens=options.context_tokens,
        tokenizer=tokenizer,
        extra_tokens=SOURCE_TOKENS,
    )
    return build_messages(question, kept, history=turns, instructions=extra)
