"""Questions made from sentences: a name, date, number or group of words is taken out and asked for.

They teach a reader where to look, not how people ask. Some are turned so that no text answers
them: another name or year, an opposite, or the passage of another document.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reader_crop import crop, most_shared, row

from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems

Row = dict[str, Any]
Document = Mapping[str, Any]

_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _words(
    """a an the of in on at to for from by with and or but as is are was were be been being has
    have had do does did that which who whom whose this these those it its he she they them his
    her their not no than then so such into over under after before between during through about
    against among also both either each other some any all most more less very can could will
    would shall should may might must there here when where while if because until since own same
    only just"""
)
_FACTS = (
    (
        "when",
        re.compile(
            rf"\b(?:(?:{_MONTH}) \d{{1,2}}, \d{{4}}|\d{{1,2}} (?:{_MONTH}) \d{{4}}"
            rf"|(?:{_MONTH}) \d{{4}}|(?:1[0-9]|20)\d\d"
            r"|\d{1,2}(?:st|nd|rd|th) (?:century|centuries))\b"
        ),
    ),
    (
        "many",
        re.compile(
            r"(?<![\w.,])(?:[$€£]\s?)?\d[\d,]*(?:\.\d+)?"
            r"(?:\s?%|\s(?:percent|million|billion|thousand|hundred))?(?![\w])"
            r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
            r"|fifty|hundred|thousand)\b(?= [a-z]{3,})"
        ),
    ),
    (
        "name",
        re.compile(
            r"\b(?:[A-Z][\w'’.-]*[a-z]\w*|[A-Z]{2,})"
            r"(?: (?:of|the|de|von|and|for) (?=[A-Z])| (?=[A-Z]))*"
            r"(?:(?:[A-Z][\w'’-]*)(?: (?:of|the|de|von) (?=[A-Z])| (?=[A-Z]))?)*"
        ),
    ),
)
_BEFORE_NOUNS = _words("a an the of for by with and to in called as from")
_PERSON_DID = re.compile(
    r"^(?:was|is|were|became|wrote|said|argued|founded|won|led|died|born|directed|played|published"
    r"|created|invented|proposed|believed|served|joined|married|moved|had|served|discovered"
    r"|developed)\b"
)
_AUXILIARIES: tuple[str, ...] = (
    "was",
    "is",
    "were",
    "are",
    "had",
    "has",
    "have",
    "did",
    "can",
    "could",
    "will",
)
_AUXILIARIES += ("would",)
_LINKS = ("the", "a", "an", "in", "at", "by", "from", "of", "to", "on", "with", "for")
_PAIRS = """
first/last before/after most/least largest/smallest more/less north/south east/west
increase/decrease highest/lowest best/worst win/lose oldest/youngest earliest/latest began/ended
start/end high/low male/female positive/negative above/below under/over with/without can/cannot
did/did_not
"""
_OPPOSITES = tuple(tuple(pair.replace("_", " ").split("/")) for pair in _PAIRS.split())
_YEAR_OR_NAME = re.compile(r"\b(?:1[0-9]|20)\d\d\b|(?<=[a-z] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")
NAME = re.compile(r"(?<=[a-z] )[A-Z][a-z]{2,}(?: [A-Z][a-z]+)*")


@dataclass(frozen=True, slots=True)
class Gap:
    """`text` stands at `start` of a sentence; `kind` is when, many, name or noun."""

    text: str
    start: int
    kind: str


def cloze_rows(
    rng: random.Random, documents: Sequence[Document], num: int, *, origin: str
) -> list[Row]:
    """Return `num` rows, about seven of ten answerable."""
    long = [one for one in documents if len(one["text"]) > 120]
    index: dict[str, list[int]] = defaultdict(list)
    for n, one in enumerate(long):
        for word in set(content_stems(one["text"][:600])):
            index[word].append(n)
    others = _others(long)
    rows: list[Row] = []
    while len(rows) < num:
        document = rng.choice(long)
        made = _asked(rng, document["text"][:2500])
        if made is None:
            continue
        question, gap, place = made
        text = document["text"][:2500]
        window = crop(rng, text, place)
        chance = rng.random()
        turned: str | None = None
        if chance < 0.72:
            answers = [(gap.text, place[0] + gap.start)]
            rows.append(row(question, text, window, answers, document["title"], origin))
            continue
        if chance < 0.82:
            turned = swapped(rng, question, text, others)
        elif chance < 0.88:
            turned = opposed(rng, question)
        if turned:
            rows.append(row(turned, text, window, [], document["title"], origin))
        if chance >= 0.88:
            rows += _asked_elsewhere(rng, question, gap, document, long, index, origin)
    return rows


def _others(documents: Sequence[Document]) -> dict[str, list[str]]:
    others: dict[str, list[str]] = {"name": [], "year": []}
    for one in documents:
        others["name"] += NAME.findall(one["text"])[:6]
        others["year"] += re.findall(r"\b1[0-9]\d\d\b|\b20[01]\d\b", one["text"])[:4]
    return others


def _asked(rng: random.Random, text: str) -> tuple[str, Gap, tuple[int, int]] | None:
    """Return a question, what it asks for, and the sentence that answers it; None: no luck."""
    sentences = [
        (start, end)
        for start, end in split_sentences(text)
        if 50 < end - start < 320 and "\n" not in text[start:end]
    ]
    if not sentences:
        return None
    start, end = rng.choice(sentences)
    gaps = gaps_of(text[start:end])
    if not gaps:
        return None
    kinds = sorted({gap.kind for gap in gaps})
    kind = rng.choice(kinds + ["noun"] * ("noun" in kinds))
    gap = rng.choice([one for one in gaps if one.kind == kind])
    question = question_of(rng, text[start:end], gap)
    return None if question is None else (question, gap, (start, end))


def _asked_elsewhere(
    rng: random.Random,
    question: str,
    gap: Gap,
    document: Document,
    documents: Sequence[Document],
    index: Mapping[str, Sequence[int]],
    origin: str,
) -> list[Row]:
    """Return the question with the passage of another document that has many of its words."""
    hits: Counter[int] = Counter()
    for word in content_stems(question):
        if len(index[word]) < 400:
            hits.update(index[word])
    for n, _ in hits.most_common(6):
        other = documents[n]
        if other is document or gap.text.lower() in other["text"].lower():
            continue
        window = crop(rng, other["text"], most_shared(question, other["text"]))
        return [row(question, other["text"], window, [], other["title"], origin)]
    return []


def gaps_of(sentence: str) -> list[Gap]:
    """Return what may be asked for: dates, numbers, names, and groups of words."""
    gaps: list[Gap] = []
    for kind, pattern in _FACTS:
        for match in pattern.finditer(sentence):
            text = match.group().strip(" .,;:'’-")
            start = match.start() + match.group().find(text)
            opens = kind == "name" and start == 0 and len(text.split()) == 1
            if not text or opens or text.lower() in _STOP:
                continue
            inside = any(one.start <= start < one.start + len(one.text) for one in gaps)
            if not (kind == "name" and inside):
                gaps.append(Gap(text, start, kind))
    taken = [(one.start, one.start + len(one.text)) for one in gaps]
    return gaps + _nouns(sentence, taken)


def _nouns(sentence: str, taken: Sequence[tuple[int, int]]) -> list[Gap]:
    """Return runs of one to three lower-case content words behind a link or an article."""
    words = [(match.group(), match.start()) for match in re.finditer(r"[A-Za-z][\w'-]*", sentence)]
    found: list[Gap] = []
    at = 0
    while at < len(words):
        until = at
        while (
            until < len(words)
            and words[until][0].islower()
            and words[until][0] not in _STOP
            and until - at < 3
            and (
                until == at or words[until][1] == words[until - 1][1] + len(words[until - 1][0]) + 1
            )
        ):
            until += 1
        before = words[at - 1][0].lower() if at else ""
        says = until - at >= 1 and (until - at >= 2 or len(words[at][0]) > 5)
        if says and before in _BEFORE_NOUNS:
            start, end = words[at][1], words[until - 1][1] + len(words[until - 1][0])
            if not any(start < other_end and other < end for other, other_end in taken):
                found.append(Gap(sentence[start:end], start, "noun"))
        at = max(until, at + 1)
    return found


def question_of(rng: random.Random, sentence: str, gap: Gap) -> str | None:
    """Return a rough question for a gap; None where too few words are left to ask with."""
    before, after = sentence[: gap.start], sentence[gap.start + len(gap.text) :]
    left, right = _clause(before, after)
    opening = _opening(rng, gap, before, after)
    if left and left[-1].lower() in _LINKS:
        left = left[:-1]
    style = rng.random()
    if len(left) <= 1:
        words = right + left
    elif style < 0.6:
        helper = [rng.choice(["did", "was", "is", "does", "were", "do"])]
        has_one = any(word.lower() in _AUXILIARIES for word in left)
        words = helper * (not has_one) + left + (right if rng.random() < 0.6 else right[:3])
    elif style < 0.8:
        words = right + left
    else:
        words = left + right
    share = rng.choice([0, 0.1, 0.2, 0.35])
    kept = [word for word in words if not (rng.random() < share)]
    kept = [word.strip('"()[]“”') for word in kept if word.strip('"()[]“”.,;:')]
    if sum(word.lower() not in _STOP for word in kept) < 2:
        return None
    if rng.random() < 0.1 and kept:
        n = rng.randrange(len(kept))
        kept[n] = re.sub(r"(?:ed|s|ing)$", "", kept[n]) or kept[n]
    return re.sub(r"\s+", " ", f"{opening} {' '.join(kept)}").rstrip(" ,;:.") + "?"


def _clause(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the words near the gap, back and forth to the clause's ends."""
    lefts = re.split(r"[;:()]|,(?= (?:and|but|which|who|while|where|although)\b)|, ", before)
    rights = re.split(r"[;:()]|, ", after)
    left, right = lefts[-1], rights[0]
    if len((left + right).split()) < 4 and len(lefts) > 1:
        left = lefts[-2] + " " + left
    if len((left + right).split()) < 4 and len(rights) > 1:
        right = right + " " + rights[1]
    return left.split()[-12:], right.split()[:12]


def _opening(rng: random.Random, gap: Gap, before: str, after: str) -> str:
    """Return the words that ask for a gap of this kind."""
    left = before.rstrip().lower()
    if gap.kind == "when":
        if re.fullmatch(r"\d{4}", gap.text) and rng.random() < 0.5:
            return rng.choice(["In what year", "What year", "In which year"])
        return "When"
    if gap.kind == "many":
        if gap.text.startswith(("$", "€", "£")):
            return "How much"
        if gap.text.endswith(("%", "percent")):
            return rng.choice(["What percentage", "How much", "What percent"])
        return rng.choice(["How many", "How many", "What number of"])
    if gap.kind == "name":
        if re.search(r"\b(?:in|at|near|from|to)$", left):
            places = ["Where", "In what place", "In which country", "What", "What city", "Which"]
            return rng.choice(places)
        if re.search(r"\bby$", left) or _PERSON_DID.match(after.strip()):
            return rng.choice(["Who", "Who", "Whose", "What", "Which person", "What group"])
        if re.search(r"\bthe$", left):
            return rng.choice(["What", "Which"])
        return rng.choice(["Who", "What", "Which", "What is the name of the"])
    reason = "Why" if re.search(r"\b(?:because|to|for)$", left) else "What"
    return rng.choice(["What", "What", "What kind of", "What type of", "Which", "How", reason])


def swapped(
    rng: random.Random, question: str, context: str, others: Mapping[str, Sequence[str]]
) -> str | None:
    """Return the question about another name or year; None if it has none."""
    found = list(_YEAR_OR_NAME.finditer(question))
    if not found:
        return None
    match = rng.choice(found)
    kind = "year" if match.group()[0].isdigit() else "name"
    other = rng.choice(others[kind])
    if other.lower() in context.lower() or other == match.group():
        other = rng.choice(others[kind])
    if other == match.group():
        return None
    return question[: match.start()] + other + question[match.end() :]


def opposed(rng: random.Random, question: str) -> str | None:
    """Return the question turned into its opposite; None if no word of it has one."""
    words = question.split()
    for n in rng.sample(range(len(words)), len(words)):
        for one, other in _OPPOSITES:
            for here, there in ((one, other), (other, one)):
                if words[n].lower() == here:
                    return " ".join([*words[:n], there, *words[n + 1 :]])
    match = re.search(r"\b(is|was|were|are|did|does|do|can|could|has|had|would)\b", question)
    if match and match.start() > 0 and rng.random() < 0.5:
        negation = rng.choice(["n't", " not", " never"])
        return question[: match.end()] + negation + question[match.end() :]
    return None
