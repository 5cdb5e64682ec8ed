"""A question read: what kind of answer it wants, and the items that it is about, in phrases."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from steelyard.cache.meaning import words
from steelyard.cache.meaning.frames import Framed, framed
from steelyard.cache.meaning.phrases import rewritten
from steelyard.cache.meaning.stems import stem
from steelyard.cache.meaning.tokens import Token, tokenise


@dataclass(frozen=True, slots=True)
class Item:
    """A token that matters. `key` is compared; `form` is the word as written, lower case."""

    kind: str
    key: str
    form: str
    named: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Items behind a preposition; the first phrase of a question has none."""

    head: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """`denied`: the main clause is negated. `persons`: who is spoken of, first and second.

    `nominal`: what is asked for is a thing with attributes, nobody does anything.
    """

    kind: str
    by_self: bool
    phrases: tuple[Phrase, ...]
    denied: bool
    persons: tuple[str, ...]
    past: bool
    present: bool
    passive: bool
    nominal: bool

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for phrase in self.phrases for item in phrase.items)


@lru_cache(maxsize=1024)
def read(question: str) -> Reading:
    """Read a question; any text is one."""
    tokens = tokenise(question)
    plain = rewritten([token for token in tokens if not _is_quote(token)])
    frame = framed(plain)
    denied, rest = _without_main_denial(frame.rest)
    texts = [token.text for token in plain if not token.named]
    spoken = [token.text for token in rest]
    return Reading(
        kind=frame.kind,
        by_self=frame.by_self,
        phrases=_phrases(list(_items(rest, frame.kind))),
        denied=denied,
        persons=tuple(_persons(spoken, frame)),
        past=any(text in words.PAST for text in texts),
        present=any(text in words.PRESENT for text in texts),
        passive=_is_passive(spoken if frame.by_self else [token.text for token in plain]),
        nominal=frame.kind in ("what", "none") and not any(t in words.ACTING for t in spoken),
    )


def _is_quote(token: Token) -> bool:
    return token.kind == "mark" and token.text not in ",:;-.?!()"


def _without_main_denial(tokens: Sequence[Token]) -> tuple[bool, list[Token]]:
    """Take off the "not" of the main clause, whose place differs between ways to ask.

    It stays where it limits something else: behind a conjunction, a relative or a preposition,
    or before an infinitive.
    """
    for place, token in enumerate(tokens):
        if token.kind != "word":
            continue
        if place > 1 and (token.text in words.RELATIONS or token.text in words.SOFT):
            break
        if place > 1 and token.text in words.STRICT | {"who", "which", "that"}:
            break
        if token.text == "not":
            after = tokens[place + 1].text if place + 1 < len(tokens) else ""
            if after in ("to", "only", "just", "all", "every", "even", "always"):
                break
            return True, [*tokens[:place], *tokens[place + 1 :]]
    return False, list(tokens)


def _persons(spoken: Sequence[str], frame: Framed) -> Iterator[str]:
    """Yield who is spoken of; "how do you find your key" speaks of the asker, as "my" does."""
    own: frozenset[str] = frozenset()
    if frame.kind == "how" and frame.by_self:
        own = words.FIRST if frame.subject in ("i", "we") else words.SECOND
        if not frame.subject:
            own = words.FIRST | words.SECOND
    anybody = frame.kind == "where" and not words.FIRST & set(spoken)
    for place, text in enumerate(spoken):
        if text in own or (anybody and place < 2 and text == "you"):
            continue
        if text in words.FIRST:
            yield "first"
        elif text in words.SECOND:
            yield "second"


def _is_passive(texts: Sequence[str]) -> bool:
    """Tell whether a form of "be" or "get" comes with a participle in -ed."""
    auxiliary = False
    for text in texts:
        if text in ("located", "situated"):
            continue
        if text in ("am", "is", "are", "was", "were", "be", "been", "being", "get", "got", "gets"):
            auxiliary = True
        elif auxiliary and (
            text.endswith(("ed", "en")) or (stem(text) != text and _participle(text))
        ):
            return True
    return False


def _participle(text: str) -> bool:
    return not text.endswith(("s", "ing", "ly", "tion", "ment", "e"))


def _items(tokens: Sequence[Token], kind: str) -> Iterator[Item]:
    for place, token in enumerate(tokens):
        text = token.text
        before = tokens[place - 1].text if place else ""
        if token.kind == "mark" or text in words.EMPTY_IN.get(kind, ()):
            continue
        if text == "it" and before in words.AUXILIARIES:
            yield Item("person", "it", text)
            continue
        if text == "to" and before in words.BEFORE_INFINITIVE and token.kind == "word":
            continue
        if text == "new" and words.CREATING & {
            one.text for one in tokens[max(place - 2, 0) : place]
        }:
            continue
        if token.kind in ("number", "unit", "name", "symbol"):
            shown = {"name": "entity"}.get(token.kind, token.kind)
            yield Item(shown, text.lower() if token.kind != "name" else text, text, token.named)
        elif token.named and text in words.FUNCTION_CAPITALS:
            yield Item("entity", "usa" if text == "us" else text.upper(), text, True)
        else:
            following = tokens[place + 1] if place + 1 < len(tokens) else None
            item = _word_item(token, kind, place, following)
            if item is not None:
                yield item


def _word_item(token: Token, kind: str, place: int, following: Token | None) -> Item | None:
    text, named = token.text, token.named
    if text in words.THIRD:
        return Item("person", words.THIRD[text], text)
    if text in ("need", "have", "has", "had", "got", "needs") and _is(following, "to"):
        return Item("modality", "need", text)
    if text in words.MODALS:
        asker = following is not None and following.text in words.FIRST | words.SECOND
        if kind in ("where", "who") and asker and text not in ("must", "may"):
            return None
        return Item("modality", words.MODALS[text], text)
    if text in words.NEGATIONS:
        return Item("negation", text, text)
    if text in words.EMPTY and not (place and _is_main_verb(text, following)):
        return None
    if text in words.QUANTIFIERS:
        return Item("quantifier", words.QUANTIFIER_KEYS.get(text, text), text)
    text = words.TIME_KEYS.get(text, text)
    if text in words.TIMES or text.removesuffix("s") in words.TIMES:
        text = text if text in words.TIMES else text.removesuffix("s")
        return Item("time", text, text, named)
    if text in words.SOFT or text in words.STRICT:
        return Item("preposition", words.SOFT.get(text, text), text)
    if text in words.RELATIONS or text == "insteadof":
        return Item("relation", "if" if text == "whether" else text, text)
    return Item("entity" if named else "word", stem(text), text, named)


def _is_main_verb(text: str, following: Token | None) -> bool:
    """Tell whether "have" or "do", not at the front, is what somebody does."""
    if text in words.HAVING:
        return following is None or not (
            following.text in ("been", "not") or following.text.endswith(("ed", "en"))
        )
    if text not in words.DOING:
        return False
    return (
        following is None
        or following.kind == "mark"
        or (following.text in words.SOFT or following.text in words.RELATIONS)
    )


def _is(token: Token | None, text: str) -> bool:
    return token is not None and token.text == text


def _phrases(items: Sequence[Item]) -> tuple[Phrase, ...]:
    """Cut at prepositions; "for 5 days" and "by May" keep theirs as an item too."""
    phrases: list[Phrase] = []
    head, held = "", list[Item]()
    for place, item in enumerate(items):
        if item.kind != "preposition":
            held.append(item)
            continue
        phrases.append(Phrase(head, tuple(held)))
        head, held = item.key, []
        measured = place + 1 < len(items) and items[place + 1].kind in ("number", "time")
        if item.form in words.STRICT or (measured and item.key in ("for", "within", "to")):
            held.append(Item("relation", item.key, item.form))
    phrases.append(Phrase(head, tuple(held)))
    return tuple(phrase for phrase in phrases if phrase.items)
