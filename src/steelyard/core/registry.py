"""The registry's words: versions of what is served, the names that point at them, their history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from steelyard.core.tuning import Binding

OPTIONS_KIND = "options"  # a version of settings alone, without a trained artefact
ARTEFACT_MARK = "{artefact}"  # in an option's value: the folder of the version's artefact


class Alias(StrEnum):
    """What points at a version, one of each a kind. `challenger` is what was weighed last and is
    not (yet) champion; `previous` was champion before, and is where a rollback goes."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"


class Action(StrEnum):
    """What the history tells of. Only the last two change what is served."""

    REGISTER = "register"
    WEIGH = "weigh"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


SERVING = (Action.PROMOTE, Action.ROLLBACK)


@dataclass(frozen=True, slots=True)
class Version:
    """Something that can be served: an artefact and the options that serve it; never changed.

    `id` hashes kind, options and artefact, so that equal content is one version; `name` is for
    people. `artefact` is the hash of its manifest, "" for options alone, and `binding` what the
    artefact says of itself. A value `{artefact}` among the options stands for its folder.
    """

    id: str
    name: str
    kind: str
    options: Mapping[str, Any]
    artefact: str = ""
    binding: Binding | None = None
    licence: str = ""
    created_at: float = 0.0


# Value, low and high end of its 95 % interval; None: the questions are too few to say.
Bounds = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Score:
    """A measure of a candidate and of what was served over n questions; `delta` is candidate −
    served."""

    candidate: Bounds
    served: Bounds
    delta: Bounds
    n: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a version did, served by the code that serves, beside what was served then.

    `run` is the run of `steelyard eval` that has every answer; `against` hashes the options that
    were served, so that it is known whether the same are served still. `reasons` are the gate's
    rules, each with its evidence.
    """

    run: str
    set_name: str
    set_id: str
    num_questions: int
    against: str
    passed: bool
    scores: Mapping[str, Score]
    reasons: tuple[str, ...] = ()
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history; `seq` grows and is never used twice.

    `version` is what the event is about: of a promotion or rollback the champion from now on
    ("": none), and `before` the one until then. `forced`: no green gate stood behind it.
    """

    seq: int
    at: float
    who: str
    action: Action
    kind: str
    version: str
    before: str = ""
    why: str = ""
    forced: bool = False
    evaluation: Evaluation | None = None


Aliases = Mapping[str, Mapping[Alias, str]]  # kind → alias → the version's id


@dataclass(frozen=True, slots=True)
class Champions:
    """What the registry has the home serve: at most one version a kind, in the order of kinds.

    `seq` is the number of the change that made it so. `options` are theirs together, with the
    artefacts' folders filled in; `versions_of[key]` is the version that an option is from.
    """

    seq: int = 0
    versions: tuple[Version, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    versions_of: Mapping[str, str] = field(default_factory=dict)


NO_CHAMPIONS = Champions()


def replayed(events: Iterable[Event]) -> dict[str, dict[Alias, str]]:
    """Return the aliases that a whole history leads to."""
    aliases: dict[str, dict[Alias, str]] = {}
    for event in events:
        after = after_event(aliases.get(event.kind, {}), event.action, event.version)
        aliases[event.kind] = after
    return {kind: held for kind, held in sorted(aliases.items()) if held}


def after_event(held: Mapping[Alias, str], action: Action, version: str) -> dict[Alias, str]:
    """Return the aliases of one kind after an event; an alias that points nowhere is left out."""
    after = dict(held)
    champion = held.get(Alias.CHAMPION, "")
    if action is Action.WEIGH and version != champion:
        after[Alias.CHALLENGER] = version
    if action in SERVING:
        after |= {Alias.CHAMPION: version, Alias.PREVIOUS: champion}
        if after.get(Alias.CHALLENGER) == version:
            del after[Alias.CHALLENGER]
    return {alias: identity for alias, identity in after.items() if identity}
