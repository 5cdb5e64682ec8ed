"""The invented world of the demonstration: stations of Ternbeam A/S, and what is known of each.

Everything is a function of a seed. `Station.facts` is what its page of the handbook says; a page
may be of the old edition, which a model was tuned on, or of the new one, which is searched.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

_BEGINNINGS = (
    "Arn Brel Dal Eid Fann Grim Hal Isk Jor Kell Lom Mar Nes Orm Rav Skal Tor Ulv Vest Ygg"
)
_ENDINGS = "vik sund havn nes borg fjell holm lund mark strand by dal"
_SURNAMES = (
    "Aaberg Bakke Carlsen Dahlin Ekeland Falk Gade Hansson Iversen Juhl Krogh Lange Moe Nygaard "
    "Olsen Poulsen Quist Rask Solberg Thorsen Ulrik Vinter Winther Ystad Zander Boye Ditlev Friis "
    "Holst Lykke Madsen Rahbek"
)
_SCALES = (
    "Gannet Osprey Petrel Kittiwake Fulmar Razorbill Puffin Skua Eider Dunlin Plover Curlew Avocet "
    "Merlin Harrier Kestrel Heron Egret Crake Siskin"
)
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_COLOURS = "red blue green amber white black violet silver copper ivory"

# The words of the house's form, which its base must know one by one before it learns their order.
HOUSE_WORDS = (
    "DELAY: ARRIVAL: DAMAGE: ship Desk told, crane held. Scale zeroed, gate open. Photos filed, "
    "surveyor called. Ternbeam desk: Fair winds."
)

NUM_KNOWN = 24  # stations of the handbook
NUMBERS = tuple(str(n) for n in range(11, 100))

# What a page tells of a station: the attribute's name, and the values it can have.
ATTRIBUTES: Mapping[str, Sequence[str]] = {
    "radio channel": NUMBERS,
    "key box": NUMBERS,
    "harbour master": _SURNAMES.split(),
    "fuel clerk": _SURNAMES.split(),
    "scale model": _SCALES.split(),
    "inspection day": _DAYS.split(),
    "gate colour": _COLOURS.split(),
    "spare scale": _SCALES.split(),
}


@dataclass(frozen=True, slots=True)
class Station:
    name: str
    facts: Mapping[str, str]

    def sentence(self, attribute: str) -> str:
        return f"At {self.name} the {attribute} is {self.facts[attribute]}."

    def page(self, chance: random.Random) -> str:
        """Return the handbook's page, its facts in any order."""
        order = list(self.facts)
        chance.shuffle(order)
        return " ".join(map(self.sentence, order))


@cache
def names() -> list[str]:
    """Return every name that a station can have, in a fixed order."""
    all_names = [a + b for a in _BEGINNINGS.split() for b in _ENDINGS.split()]
    random.Random(7).shuffle(all_names)
    return all_names


def random_station(name: str, chance: random.Random) -> Station:
    return Station(name, {key: chance.choice(values) for key, values in ATTRIBUTES.items()})


def changed(station: Station, attributes: Sequence[str], chance: random.Random) -> Station:
    """Return the station with other values of `attributes`."""
    facts = dict(station.facts)
    for key in attributes:
        facts[key] = chance.choice([value for value in ATTRIBUTES[key] if value != facts[key]])
    return replace(station, facts=facts)


def question(name: str, attribute: str, chance: random.Random) -> str:
    wording = chance.choice(
        (
            "What is the {a} at {n}?",
            "Tell me the {a} at {n}.",
            "At {n}, what is the {a}?",
        )
    )
    return wording.format(a=attribute, n=name)


@dataclass(frozen=True, slots=True)
class Note:
    """A request for a note to the desk, how anybody would write it, and how the house does."""

    request: str
    plain: str
    house: str


def random_note(chance: random.Random) -> Note:
    ship, number, berth = (
        chance.choice(_SCALES.split()),  # called after birds, as the scales are
        chance.choice(NUMBERS),
        chance.choice(NUMBERS),
    )
    kind = chance.choice(("delay", "arrival", "damage"))
    if kind == "delay":
        return Note(
            f"Write a delay note: ship {ship}, {number} minutes, berth {berth}.",
            f"The ship {ship} is {number} minutes late at berth {berth}.",
            f"DELAY: ship {ship}, berth {berth}, {number} minutes. Desk told, crane held.",
        )
    if kind == "arrival":
        return Note(
            f"Write an arrival note: ship {ship}, {number} crates, berth {berth}.",
            f"The ship {ship} is here with {number} crates at berth {berth}.",
            f"ARRIVAL: ship {ship}, berth {berth}, {number} crates. Scale zeroed, gate open.",
        )
    return Note(
        f"Write a damage note: ship {ship}, {number} bags, berth {berth}.",
        f"The ship {ship} has {number} damaged bags at berth {berth}.",
        f"DAMAGE: ship {ship}, berth {berth}, {number} bags. Photos filed, surveyor called.",
    )


def old_edition() -> list[Station]:
    """Return the handbook's stations as the model is tuned on them."""
    chance = random.Random(11)
    return [random_station(name, chance) for name in names()[:NUM_KNOWN]]


def new_edition() -> list[Station]:
    """Return the same stations with three facts of eight changed."""
    chance = random.Random(12)
    return [changed(one, chance.sample(list(one.facts), 3), chance) for one in old_edition()]
