"""Questions that a language model writes: what it is asked for, and what of it is believed."""

import json
import re
from dataclasses import dataclass
from typing import Any

from steelyard.core.chat import Message
from steelyard.core.documents import Document
from steelyard.core.evaluation import GoldSpan, Question
from steelyard.core.words import content_stems, fold
from steelyard.datasets.synthesise import ORIGIN, question_id

TYPE = "written"
PROMPT = """You write one test question for a search system over a team's documents.

Rules:
- A colleague who has never seen the passage could ask it: no "this passage", no "the text above".
- The passage answers it completely, and only one answer is right.
- "answer" is short, in the passage's own words.
- "quote" is copied from the passage letter by letter: the sentence or row that gives the answer.

Reply with JSON only: {"question": "...", "answer": "...", "quote": "..."}
If the passage states nothing worth asking, reply {"question": ""}."""
MIN_QUOTE, MAX_QUOTE = 8, 600
MAX_QUESTION, MAX_ANSWER = 250, 300
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_POINTING = re.compile(
    r"\b(?:this|the|that|above|given) (?:passage|text|document|section|excerpt|table|page)\b"
    r"|\baccording to (?:it|this)\b",
    re.IGNORECASE,
)


def prompt_for(document: Document, start: int, end: int) -> list[Message]:
    """Return the conversation that asks for a question on `document.text[start:end]`."""
    passage = f"Title: {document.title}\n\nPassage:\n{document.text[start:end]}"
    return [Message("system", PROMPT), Message("user", passage)]


@dataclass(frozen=True, slots=True)
class Written:
    """A question that may be believed, or None and why not."""

    question: Question | None
    refused: str = ""


def question_of_reply(reply: str, document: Document, start: int, end: int) -> Written:
    """Return the question of a reply on `document.text[start:end]`, if it can be believed.

    The quote must stand in the passage exactly, and the answer's words in the quote.
    """
    fields = _fields(reply)
    if fields is None:
        return Written(None, "no JSON")
    text, answer, quote = (str(fields.get(key) or "").strip() for key in _KEYS)
    if not text:
        return Written(None, "nothing to ask")
    if _POINTING.search(text) or len(text) > MAX_QUESTION or not text.endswith("?"):
        return Written(None, "no question that stands alone")
    at = document.text.find(quote, start, end) if MIN_QUOTE <= len(quote) <= MAX_QUOTE else -1
    if at < 0:
        return Written(None, "the quote is not in the passage")
    known = set(content_stems(quote))
    stems = content_stems(answer)
    if not answer or len(answer) > MAX_ANSWER or (stems and not set(stems) <= known):
        return Written(None, "the answer is not in the quote")
    if fold(answer) in fold(text):
        return Written(None, "the question gives its own answer")
    question = Question(
        id=question_id(text, document.id),
        text=text,
        answers=(answer,),
        answerable=True,
        relevant={document.id: 1},
        spans=(GoldSpan(document.id, quote, at, at + len(quote)),),
        type=TYPE,
        cluster=document.id,
        origin=ORIGIN,
    )
    return Written(question)


_KEYS = ("question", "answer", "quote")


def _fields(reply: str) -> dict[str, Any] | None:
    found = _OBJECT.search(reply)
    if found is None:
        return None
    try:
        value = json.loads(found.group(), strict=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
