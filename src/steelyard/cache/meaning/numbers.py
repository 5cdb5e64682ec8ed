"""Numbers as values, written in figures or words, and the units that follow them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

MONEY = {"$": "dollar", "€": "euro", "£": "gbp", "¥": "yen"}


def _numbered(words: str, *, first: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(words.split(), start=first)}


_ONES = _numbered(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen""",
    first=0,
)
_TENS = {
    word: 10 * tens
    for word, tens in _numbered(
        "twenty thirty forty fifty sixty seventy eighty ninety", first=2
    ).items()
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
_ORDINALS = _numbered(
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth""", first=1
)
_TIMES = {"once": "1x", "twice": "2x", "thrice": "3x", "double": "2x", "triple": "3x"}

# Written forms of one unit, a unit a line; the first is its name. Short forms count only
# behind a number, and with this case.
_UNITS = """
percent % pct
milligram milligrams mg MG
microgram micrograms mcg µg μg ug
gram grams gramme grammes g gm
kilogram kilograms kilo kilos kg KG Kg kgs
tonne tonnes
pound pounds lb lbs
ounce ounces oz
kilometer kilometers kilometre kilometres km KM kms
meter meters metre metres m
centimeter centimeters centimetre centimetres cm
millimeter millimeters millimetre millimetres mm
mile miles mi
yard yards yd
foot feet ft
inch inches
liter liters litre litres l L
milliliter milliliters millilitre millilitres ml mL
gallon gallons gal
cup cups
tablespoon tablespoons tbsp
teaspoon teaspoons tsp
millisecond milliseconds ms
second seconds sec secs s
minute minutes min mins
hour hours hr hrs h
day days d
week weeks wk wks
month months mo
year years yr yrs
am a.m. AM a.m
pm p.m. PM p.m
celsius centigrade C °C
fahrenheit F °F
degree degrees ° deg
kilobyte kilobytes KB kb kB
megabyte megabytes MB mb
gigabyte gigabytes GB gb
terabyte terabytes TB tb
kilobit Kb
megabit megabits Mb Mbit
gigabit gigabits Gb Gbit
mbps Mbps MBPS
volt volts V
watt watts W
kilowatt kilowatts kW
amp amps A
hertz Hz hz
megahertz MHz
gigahertz GHz ghz
dollar dollars
euro euros eur EUR
usd USD
gbp GBP
calorie calories
kilocalorie kcal kilocalories
k K
bn
"""
_NAME_OF_UNIT = {form: line.split()[0] for line in _UNITS.split("\n") for form in line.split()}
_SHORT = re.compile(r"[A-Za-zµμ.°%]{1,4}\Z")


def unit_of(text: str) -> str | None:
    """Return the unit that `text`, behind a number, stands for; None: none that we know."""
    return _NAME_OF_UNIT.get(text) or (_NAME_OF_UNIT.get(text.lower()) if len(text) > 4 else None)


def with_values(tokens: Sequence[Any], make: Callable[..., Any]) -> list[Any]:
    """Return the tokens with number words as values and the words behind numbers as units."""
    found: list[Any] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.kind == "word":
            behind = bool(found) and found[-1].kind == "number"
            unit, used = _unit_at(
                [one.written or one.text for one in tokens[place : place + 2]], behind=behind
            )
            if used:
                found.append(make(unit, "unit"))
                place += used
                continue
            value, used = _value_at([one.text for one in tokens[place : place + 8]])
            if used:
                found.append(make(value, "number"))
                place += used
                continue
        found.append(token)
        place += 1
    return found


def _unit_at(words: Sequence[str], *, behind: bool) -> tuple[str, int]:
    """Return the unit that the words at the front name behind a number, and how many they are."""
    if tuple(words) == ("per", "cent"):
        return "percent", 2
    if not behind:
        return "", 0
    unit = "percent" if words[0] == "percentage" else unit_of(words[0])
    return (unit, 1) if unit else ("", 0)


def _value_at(words: Sequence[str]) -> tuple[str, int]:
    """Return the value of the number words at the front, and how many they are; 0: none."""
    first = words[0]
    if first in _ORDINALS:
        return f"#{_ORDINALS[first]}", 1
    if first in _TIMES:
        return _TIMES[first], 1
    total, current, used, last = 0, 0, 0, ""
    for word in words:
        parts = word.split("-")
        if all(part in _ONES or part in _TENS for part in parts):
            if last in ("ones", "pair"):
                break  # "one two": two numbers
            current += sum(_ONES.get(part, _TENS.get(part, 0)) for part in parts)
            last = "tens" if parts[-1] in _TENS else "ones"
        elif word in _SCALES and (used or word in ("hundred", "thousand", "million", "dozen")):
            scale = _SCALES[word]
            if scale >= 1000:
                total, current = total + max(current, 1) * scale, 0
            else:
                current = max(current, 1) * scale
            last = "scale"
        elif word == "and" and last == "scale":
            following = words[used + 1] if used + 1 < len(words) else ""
            if following.split("-")[0] not in _ONES and following.split("-")[0] not in _TENS:
                break
        else:
            break
        used += 1
    return (str(total + current), used) if used else ("", 0)
