"""Facts of sentences that give a length of time, a price, a weight, a value."""

import re
from collections.abc import Callable, Iterator

from steelyard.core.words import content_stems
from steelyard.datasets.facts import Fact, Line, asked_about, is_value
from steelyard.datasets.sentences import NOT_TERMS, Prose, at

_POINTING = frozenset({"it", "its", "this", "that", "which", "other", "first", "such", "same"})
_NUMBER = (
    r"(?:(?:about|at least|at most|up to|no more than|only|around) )?"
    r"(?:\d+(?:[.,]\d+)*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|thirty)"
    r"(?: ?(?:to|or|-|–) ?(?:\d+(?:[.,]\d+)*|two|three|four|five|six|seven|eight|nine|ten))?"
)
_TIME = (
    rf"{_NUMBER} (?:milliseconds?|seconds?|minutes?|(?:working )?hours?|"
    r"(?:working |calendar )?days?|(?:full )?weeks?|months?|years?)"
)
_MONEY = (
    rf"(?:[A-Z]{{3}} ?{_NUMBER}|[€$£] ?{_NUMBER}|"
    rf"{_NUMBER} (?:euros?|dollars?|pounds?|EUR|USD|GBP))"
)
_MASS = rf"{_NUMBER} ?(?:kg|g|t|tonnes|grams|kilograms|pounds)"
# A second quantity is the answer in another case: "40 days here and two years there".
_ANY = re.compile(rf"\b(?:{_TIME}|{_MONEY}|{_MASS})\b")
_SUBJECT = r"(?P<s>(?:The |An? |Every |Each |Our )?[A-Za-z][\w'’/-]*(?: [\w'’/-]+){0,6}?)"
_DONE = (
    r"(?P<v>(?:\w+ly )?(?:\w+ed|kept|held|sent|paid|made|given|taken|written|swept|done|run|"
    r"lost|cut|set|built|sold|read))"
)
_END = r"(?=[.,;:!]|$| (?:after|before|from|and|if|when|unless|for|in|on|at|to|by|with|per|as) )"


def _be(found: re.Match[str], subject: str) -> str:
    return f"{found['b'].lower()} {subject} {found['v']}"


def _do(found: re.Match[str]) -> str:
    return "does" if found["b"].endswith("s") else "do"


def _modal(found: re.Match[str], subject: str) -> str:
    return f"{found['b'].lower()} {subject} be {found['v']}"


# A sentence's form, and the question that its quantity answers.
_QUANTITIES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...] = (
    (
        re.compile(rf"^{_SUBJECT} (?P<b>takes?) (?P<a>{_TIME}){_END}"),
        lambda m, s: f"How long {_do(m)} {s} take?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>lasts?) (?:for )?(?P<a>{_TIME}){_END}"),
        lambda m, s: f"How long {_do(m)} {s} last?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>costs?) (?P<a>{_MONEY}){_END}"),
        lambda m, s: f"How much {_do(m)} {s} cost?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>weighs?) (?P<a>{_MASS}){_END}"),
        lambda m, s: f"How much {_do(m)} {s} weigh?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>is|are) {_DONE} for (?P<a>{_TIME}){_END}"),
        lambda m, s: f"For how long {_be(m, s)}?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>is|are) {_DONE} after (?P<a>{_TIME}){_END}"),
        lambda m, s: f"After how long {_be(m, s)}?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>is|are) {_DONE} within (?P<a>{_TIME}){_END}"),
        lambda m, s: f"Within what time {_be(m, s)}?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>is|are) {_DONE} (?P<a>every {_TIME}){_END}"),
        lambda m, s: f"How often {_be(m, s)}?",
    ),
    (
        re.compile(
            rf"^{_SUBJECT} (?P<b>must|should|may|can) be {_DONE} within (?P<a>{_TIME}){_END}"
        ),
        lambda m, s: f"Within what time {_modal(m, s)}?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>must|should) be {_DONE} (?P<a>every {_TIME}){_END}"),
        lambda m, s: f"How often {_modal(m, s)}?",
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<b>is|are) valid for (?P<a>{_TIME}){_END}"),
        lambda m, s: f"For how long {m['b']} {s} valid?",
    ),
)
_VALUE_IS = re.compile(
    r"^The (?P<s>[a-zA-Z][\w'’/-]*(?: [\w'’/-]+){0,7}?) (?P<b>is|are) "
    r"(?P<a>[^,;:.()]{1,60}(?:\.\d+[^,;:.()]{0,40})?)[.;]?$"
)


def facts(prose: Prose) -> Iterator[Fact]:
    """Yield questions of sentences that give a length of time, a price, a weight, a value."""
    for line in prose.lines:
        for pattern, ask in _QUANTITIES:
            found = pattern.match(line.text)
            sole = found is not None and not _ANY.search(line.text, found.end("a"))
            if found and sole and _is_subject(found["s"]) and not _is_thing(found):
                subject = prose.inside(found["s"])
                asked = ask(found, subject)
                yield Fact("quantity", asked, (found["a"],), *at(line), subject, asked)
                break
        else:
            yield from _value(prose, line)


def _is_thing(found: re.Match[str]) -> bool:
    """Tell whether "A Gannet 40 takes 5 hours" leaves out what is done in them."""
    return found["b"].startswith("take") and re.search(r"\b[A-Z0-9]", found["s"][2:]) is not None


def _value(prose: Prose, line: Line) -> Iterator[Fact]:
    """Yield "What is the default port?" for "The default port is 8080."."""
    found = _VALUE_IS.match(line.text)
    if not found or not is_value(found["a"]):
        return
    telling = re.search(r"\d|[A-Z]{2}", found["a"]) is not None
    subject = f"The {found['s']}"
    if telling and _is_subject(subject) and asked_about(found["s"], "it").startswith("What"):
        asked = f"What {found['b']} the {found['s']}?"
        yield Fact("quantity", asked, (found["a"],), *at(line), found["s"], "value")


def _is_subject(text: str) -> bool:
    """Tell whether a subject is understood without its page: "the course" is not."""
    words = text.lower().split()
    if words[0] in NOT_TERMS or _POINTING & set(words):
        return False
    named = re.search(r"(?<!^)[A-Z0-9]", text.removeprefix("The ").removeprefix("Our ")) is not None
    return words[0] not in ("the", "our") or named or len(content_stems(text)) >= 3
