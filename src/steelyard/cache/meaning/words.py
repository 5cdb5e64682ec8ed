"""Which words carry what: tables for the guards."""

import re
from functools import cache
from importlib import resources

from steelyard.cache.meaning.stems import stem


def _listed(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\S+", text))


# Say nothing that an answer depends on.
EMPTY = _listed(
    """a an the this that these those it its itself there here i we you my mine our ours your yours
    me us myself ourselves yourself own be is are am was were been being do does did doing done has
    have had having so then also please kindly actually exactly really basically simply easily
    quickly properly correctly successfully precisely specifically which who whom
    such any possibly etc ok okay thanks thank hello hi hey ever"""
)
# Only stand between the question word and what is asked for.
EMPTY_IN = {
    "where": _listed("find located stored kept saved situated"),
    "how-long": _listed("take takes last lasts"),
}
# An infinitive follows, not a direction.
BEFORE_INFINITIVE = _listed(
    """need needs have has had got want wants like try able allowed permitted going used ought
    supposed required possible necessary safe legal easy hard how ok what when where"""
)
CREATING = _listed("create creating add adding make making open opening register get setup")
# Particles and prepositions between which only the place of a phrase differs.
SOFT = {
    "of": "of", "in": "in", "on": "in", "at": "in", "inside": "in", "within": "within",
    "for": "for", "about": "about", "with": "with", "into": "to", "to": "to", "onto": "to",
}  # fmt: skip
# Turn a relation round or away: must be there in both, before the same words.
STRICT = _listed(
    """from by against between among through over under above below across along behind beyond off
    out up down toward towards upon as than per like unlike despite versus vs onto near around
    throughout outside"""
)
NEGATIONS = _listed(
    """not no never none nothing nobody neither nor without nolonger except unless hardly barely
    scarcely seldom rarely insteadof lack lacking minus non"""
)
TURNING = _listed("fail failing refuse stop avoid prevent deny cease decline exclude miss")
QUANTIFIERS = _listed(
    """all every each everyone everything some several many most few fewer less more least much
    any anyone anything both either only just solely exclusively merely half whole entire enough
    another other others same majority minority always sometimes often usually"""
)
QUANTIFIER_KEYS = {
    "every": "all", "each": "all", "just": "only", "solely": "only", "exclusively": "only",
    "merely": "only", "entire": "whole", "others": "other",
}  # fmt: skip
TIMES = _listed(
    """before after until till since during while when once now today yesterday tomorrow tonight
    ago already still yet again soon later earlier early late recently previously formerly last
    next previous prior past present future former current upcoming new old first final latest
    january february march april may june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday spring summer autumn winter
    morning afternoon evening night noon midnight weekend weekday daily weekly monthly yearly annual
    annually hourly quarterly century decade bc ad permanently temporarily forever"""
)
TIME_KEYS = {
    "jan": "january", "feb": "february", "mar": "march", "apr": "april", "jun": "june",
    "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october",
    "nov": "november", "dec": "december", "mon": "monday", "tue": "tuesday", "wed": "wednesday",
    "thu": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday", "till": "until",
    "whenever": "when", "annually": "yearly", "annual": "yearly", "prior": "previous",
}  # fmt: skip
MODALS = {
    "can": "can", "could": "can", "may": "can", "might": "can", "able": "can", "possible": "can",
    "allowed": "can", "permitted": "can", "must": "need", "should": "should", "ought": "should",
    "supposed": "should", "recommended": "should", "advisable": "should", "shall": "will",
    "will": "will", "would": "would",
}  # fmt: skip
THIRD = {
    "he": "he", "him": "he", "his": "he", "himself": "he", "she": "she", "her": "she",
    "hers": "she", "herself": "she", "they": "they", "them": "they", "their": "they",
    "theirs": "they", "themselves": "they",
}  # fmt: skip
FIRST = _listed("i me my mine myself we us our ours ourselves")
SECOND = _listed("you your yours yourself")
RELATIONS = _listed("and or but if because although though whether then where how why what")
COMPARATIVES = re.compile(r"(?:more|less|better|worse|best|worst|most|least|[a-z]{3,}(?:er|est))\Z")
# Names that are also common words: with and without a capital they are two things.
AMBIGUOUS = _listed(
    """us it who will may march august polish turkey china apple windows word excel access outlook
    teams who or in am aids job nice reading mobile java go rust swift spring flask slack zoom
    square stripe oracle amazon shell target visa chase bill mark rose grant frank jack drew sue
    chad jordan georgia earth mercury cat bush"""
)
FUNCTION_CAPITALS = _listed("us it who or in am will may no on at as is be me")
PREFIXES = ("non-", "non", "un", "in", "im", "ir", "il", "dis", "de", "mis", "anti-", "anti", "a")
HAVING = _listed("have has had having")
DOING = _listed("do does did done doing")
AUXILIARIES = _listed("do does did can could will would should must may might shall")
ACTING = _listed(
    """do does did can could may might must should shall will would has have had not need needs"""
)
PAST = _listed("did was were had")
PRESENT = _listed("do does is are am has have")


@cache
def senses() -> dict[str, str]:
    """Return stem → name of its group of synonyms."""
    found: dict[str, str] = {}
    for line in _table("synonyms.txt"):
        keys = [stem(word) for word in line]
        named = next((found[key] for key in keys if key in found), keys[0])
        for key in keys:
            found.setdefault(key, named)
    return found


@cache
def antonyms() -> frozenset[frozenset[str]]:
    pairs = (frozenset(map(stem, line)) for line in _table("antonyms.txt"))
    return frozenset(pair for pair in pairs if len(pair) == 2)


def opposite(a: str, b: str) -> bool:
    """Tell whether two stems are listed opposites, or one is the other with a negating prefix."""
    if frozenset((a, b)) in antonyms():
        return True
    short, long = sorted((a, b), key=len)
    return any(long == prefix + short for prefix in PREFIXES) or long in (
        short + "less",
        "un" + short,
    )


def _table(name: str) -> list[list[str]]:
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]
