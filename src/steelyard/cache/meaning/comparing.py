"""Why one answer does not serve two questions; nothing found means that it does."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steelyard.cache.meaning import words
from steelyard.cache.meaning.frames import compatible
from steelyard.cache.meaning.reading import Item, Phrase, Reading

# Left over on both sides, the first of these kinds names the reason.
_ORDER = (
    "number", "unit", "negation", "quantifier", "modality", "person", "time", "symbol", "relation",
    "comparative", "entity", "word",
)  # fmt: skip
_FLATTENED = frozenset({"of", "in", "for", "on", "about", "with"})
_Keyed = tuple[str, tuple[str, ...]]  # a preposition, and the keys behind it
_ByHead = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both questions as sequences of comparable keys."""

    a: Reading
    b: Reading
    key: Callable[[Item], str]


def difference(a: Reading, b: Reading) -> str:
    """Return the kind of the first difference that matters; empty: none was found."""
    if a.denied != b.denied:
        return "negation"
    pair = _Pair(a, b, _keys(a, b))
    left, right = _left_over(pair)
    if left or right:
        return _reason(left, right)
    if not compatible(a.kind, b.kind):
        return "question_word"
    if not _same_persons(a, b):
        return "person"
    if not _same_tense(a, b):
        return "time"
    if _voices_differ(pair) or not _same_order(pair):
        return "swap"
    return ""


def _keys(a: Reading, b: Reading) -> Callable[[Item], str]:
    """Return how to compare items: by synonym, unless both questions use the very word."""
    shared = {item.key for item in a.items} & {item.key for item in b.items}
    senses = words.senses()

    def key(item: Item) -> str:
        if item.form in words.AMBIGUOUS and item.kind in ("word", "entity"):
            return f"{item.key}/{'name' if item.named else 'word'}"
        if item.kind == "word" and item.key not in shared:
            return senses.get(item.key, item.key)
        return item.key if item.kind in ("word", "entity") else f"{item.kind}:{item.key}"

    return key


def _left_over(pair: _Pair) -> tuple[list[Item], list[Item]]:
    left = Counter(pair.key(item) for item in pair.a.items)
    right = Counter(pair.key(item) for item in pair.b.items)
    only_left, only_right = left - right, right - left
    return (
        [item for item in pair.a.items if only_left[pair.key(item)]],
        [item for item in pair.b.items if only_right[pair.key(item)]],
    )


def _reason(left: Sequence[Item], right: Sequence[Item]) -> str:
    for one in left:
        for other in right:
            if words.opposite(one.key, other.key):
                negated = words.opposite(one.key, other.key) and _prefixed(one.key, other.key)
                return "negation" if negated else _kind_of_opposites(one, other)
    kinds = {item.kind for item in (*left, *right)}
    if any(item.key in words.TURNING for item in (*left, *right)):
        kinds.add("negation")
    if any(words.COMPARATIVES.match(item.form) for item in (*left, *right)):
        kinds.add("comparative")
    return next(kind for kind in _ORDER if kind in kinds)


def _prefixed(a: str, b: str) -> bool:
    return frozenset((a, b)) not in words.antonyms()


def _kind_of_opposites(one: Item, other: Item) -> str:
    for kind in ("time", "quantifier"):
        if kind in (one.kind, other.kind):
            return kind
    return "antonym"


def _same_persons(a: Reading, b: Reading) -> bool:
    first, second = set(a.persons), set(b.persons)
    if first and second and first != second:
        return False
    return len(first) < 2 or _runs(a.persons) == _runs(b.persons)


def _runs(persons: Sequence[str]) -> list[str]:
    return [one for place, one in enumerate(persons) if place == 0 or persons[place - 1] != one]


def _same_tense(a: Reading, b: Reading) -> bool:
    """Tell whether no one asks of the past what the other asks of now."""
    if a.past == b.past:
        return True
    now = b if a.past else a
    return not now.present and any(item.form.endswith("ed") for item in now.items)


def _voices_differ(pair: _Pair) -> bool:
    """Tell whether somebody acts in one question and is acted upon in the other."""
    if pair.a.passive == pair.b.passive:
        return _participles_differ(pair)
    passive, active = (pair.a, pair.b) if pair.a.passive else (pair.b, pair.a)
    return (
        passive.by_self
        or "first" in passive.persons
        or not (active.by_self or "first" in active.persons)
    )


def _participles_differ(pair: _Pair) -> bool:
    ends: Mapping[str, str] = {pair.key(item): item.form[-3:] for item in pair.a.items}
    for item in pair.b.items:
        forms = {ends.get(pair.key(item), ""), item.form[-3:]}
        if "ing" in forms and any(form.endswith(("ed", "en")) for form in forms):
            return True
    return False


def _same_order(pair: _Pair) -> bool:
    """Tell whether the items stand in the same relations, as far as order shows them."""
    a, b = _sorted_pairs(pair, pair.a), _sorted_pairs(pair, pair.b)
    forms_a, forms_b = _forms(a, pair.a), _forms(b, pair.b)
    if any(form in forms_b for form in forms_a):
        return True
    flat_a, flat_b = _flat(a), _flat(b)
    if flat_a == flat_b:
        return True
    return _may_turn(pair) and _turned(flat_a, flat_b)


def _forms(phrases: Sequence[_Keyed], reading: Reading) -> list[_ByHead]:
    """Return the ways to say the same: as it is, and with the first "X of Y" as "Y X"."""
    forms = [_by_head(phrases)]
    if not phrases or phrases[0][0]:
        return forms
    first = phrases[0][1]
    places = {len(first) - 1}
    if reading.nominal:
        places.add(0)
    elif reading.by_self and len(first) > 1:
        places.add(1)
    # Only the next phrase surely belongs to the first; a later one may belong to that one.
    if len(phrases) > 1 and phrases[1][0] in _FLATTENED:
        keys = phrases[1][1]
        forms.extend(
            _by_head([("", (*first[:place], *keys, *first[place:])), *phrases[2:]])
            for place in sorted(places)
        )
    return forms


def _may_turn(pair: _Pair) -> bool:
    """Tell whether a verb may have moved behind its object: only if no one else acts."""
    a, b = pair.a, pair.b
    nominal = {a.kind, b.kind} <= {"how", "none"}
    acts = (a.by_self or a.passive) and (b.by_self or b.passive)
    return acts and (nominal or a.passive != b.passive)


def _turned(a: Sequence[str], b: Sequence[str]) -> bool:
    return list(a[1:]) + list(a[:1]) == list(b) or list(b[1:]) + list(b[:1]) == list(a)


def _sorted_pairs(pair: _Pair, reading: Reading) -> list[_Keyed]:
    """Return the phrases as keys, with "B and A" written "A and B" where it means the same."""
    return [
        (
            phrase.head,
            _conjunction_sorted(phrase, pair.key, acted=reading.by_self and reading.kind == "how"),
        )
        for phrase in reading.phrases
    ]


def _conjunction_sorted(
    phrase: Phrase, key: Callable[[Item], str], *, acted: bool
) -> tuple[str, ...]:
    keys = [key(item) for item in phrase.items]
    for place, item in enumerate(phrase.items):
        if item.key in ("and", "or", "versus", "vs") and 0 < place == len(keys) - 2:
            lead = 1 if acted or phrase.items[0].kind == "relation" else 0
            lead = 1 if phrase.items[0].key == "compar" else lead
            if place - 1 <= lead:
                keys[place - 1], keys[place + 1] = sorted((keys[place - 1], keys[place + 1]))
    return tuple(keys)


def _by_head(phrases: Sequence[_Keyed]) -> _ByHead:
    found: _ByHead = {}
    for head, keys in phrases:
        found.setdefault(head, []).append(keys)
    return found


def _flat(phrases: Sequence[_Keyed]) -> list[str]:
    """Return one sequence in which "X of Y" reads as "Y X"."""
    flat: list[str] = []
    last = 0  # where the head noun of the phrase before stands
    for head, keys in phrases:
        if head in _FLATTENED and flat:
            flat[last:last] = keys
            last += len(keys) - 1
        else:
            flat.extend((head, *keys) if head and head not in _FLATTENED else keys)
            last = max(len(flat) - 1, 0)
    return flat
