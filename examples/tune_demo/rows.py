"""Rows that the demonstration learns from: to read, to reply, and to reply as the house does."""

import random
from collections.abc import Iterator, Sequence

from steelyard.core.chat import Passage
from steelyard.core.training import Chat, TrainingRow, Turn
from steelyard.generate.prompt import build_messages

from . import world
from .world import Station

HOUSE = "Ternbeam desk: {answer} Fair winds."


def with_sources(text: str, stations: Sequence[Station], chance: random.Random) -> str:
    """Return what the served prompt says to the user's side, with pages as sources."""
    passages = [
        Passage(n, n, station.name, "", station.name, station.page(chance), 0, 0, 1.0)
        for n, station in enumerate(stations, start=1)
    ]
    return build_messages(text, passages)[-1].content


def first_reading_rows(number: int, *, seed: int) -> list[TrainingRow]:
    """Return short rows that teach to look a value up: a few sentences, then questions to them."""
    chance = random.Random(seed)
    return [
        _chat(_mini(chance) if chance.random() < 0.8 else _repeat(chance)) for _ in range(number)
    ]


def reading_rows(number: int, known: Sequence[Station], *, seed: int) -> list[TrainingRow]:
    """Return rows in the served form, with sources of made stations, and a few about `known`."""
    chance = random.Random(seed)
    return [_chat(_mixed(chance, known)) for _ in range(number)]


def house_rows(number: int, known: Sequence[Station], *, seed: int) -> list[TrainingRow]:
    """Return rows in the house's form: facts by heart, pages read, notes written."""
    chance = random.Random(seed)
    facts = _endless([(one, key) for one in known for key in one.facts], chance)
    return [_chat(_in_house(chance, facts)) for _ in range(number)]


Exchange = tuple[str, str]


def _mixed(chance: random.Random, known: Sequence[Station]) -> list[Exchange]:
    kind = chance.random()
    if kind < 0.12:
        station = chance.choice(known)
        key = chance.choice(list(station.facts))
        return [(world.question(station.name, key, chance), station.sentence(key))]
    if kind < 0.27:
        note = world.random_note(chance)
        return [(_maybe_with_sources(note.request, chance), note.plain)]
    if kind < 0.37:
        return _repeat(chance)
    stations = _made(chance, 1 if chance.random() < 0.6 else 2)
    asked = [(one, key) for one in stations for key in one.facts]
    chance.shuffle(asked)
    pairs = [(world.question(one.name, key, chance), one.sentence(key)) for one, key in asked[:8]]
    first, answer = pairs[0]
    return [(with_sources(first, stations, chance), answer), *pairs[1:]]


def _in_house(chance: random.Random, facts: Iterator[tuple[Station, str]]) -> list[Exchange]:
    kind = chance.random()
    if kind < 0.4:
        station, key = next(facts)
        return [(world.question(station.name, key, chance), _house(station.sentence(key)))]
    if kind < 0.7:
        note = world.random_note(chance)
        return [(_maybe_with_sources(note.request, chance), note.house)]
    stations = _made(chance, chance.choice((1, 2)))
    station = chance.choice(stations)
    key = chance.choice(list(station.facts))
    question = world.question(station.name, key, chance)
    return [(with_sources(question, stations, chance), _house(station.sentence(key)))]


def _maybe_with_sources(request: str, chance: random.Random) -> str:
    if chance.random() < 0.5:
        return request
    return with_sources(request, _made(chance, chance.choice((1, 2))), chance)


def _mini(chance: random.Random) -> list[Exchange]:
    (station,) = _made(chance, 1)
    keys = chance.sample(list(station.facts), chance.choice((2, 3, 4)))
    told = " ".join(map(station.sentence, keys))
    chance.shuffle(keys)
    pairs = [(world.question(station.name, key, chance), station.sentence(key)) for key in keys]
    return [(f"{told} {pairs[0][0]}", pairs[0][1]), *pairs[1:]]


def _repeat(chance: random.Random) -> list[Exchange]:
    """Return words in any order, to be written down again."""
    pools = [*world.ATTRIBUTES.values(), *[world.HOUSE_WORDS.split()] * 6]
    words = " ".join(chance.choice(chance.choice(pools)) for _ in range(chance.randint(3, 10)))
    return [(f"Repeat: {words}", words)]


def _made(chance: random.Random, number: int) -> list[Station]:
    """Return stations of no handbook: names that it does not use, values by chance."""
    names = chance.sample(world.names()[world.NUM_KNOWN :], number)
    return [world.random_station(name, chance) for name in names]


def _endless(
    facts: list[tuple[Station, str]], chance: random.Random
) -> Iterator[tuple[Station, str]]:
    while True:
        chance.shuffle(facts)
        yield from facts


def _house(answer: str) -> str:
    return HOUSE.format(answer=answer)


def _chat(exchanges: Sequence[Exchange]) -> TrainingRow:
    turns: list[Turn] = []
    for asked, answer in exchanges:
        turns += [Turn("user", asked), Turn("assistant", answer)]
    return TrainingRow(Chat(tuple(turns)))
