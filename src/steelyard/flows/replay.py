"""The query log → questions to ask again, as who asked them, and what was served as an arm.

What was served is a reference, not the truth: it says where another way to answer differs, and
the ratings say which of these differences to look at.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steelyard.core.chat import Answer, Usage
from steelyard.core.documents import PUBLIC_GROUP
from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import SERVED, Outcome, Question, QuestionSet, Ranked
from steelyard.core.ranking import Principal, Query
from steelyard.core.words import fold
from steelyard.datasets.identity import content_id
from steelyard.store import LoggedAnswer, Store
from steelyard.store.answers import MAX_ANSWERS

PER_USER = 10
_PUBLIC = frozenset({PUBLIC_GROUP})
_AGREEMENT = (
    "to agree less with what was served is called worse here, and is better where that was wrong: "
    "look at the questions, or at agree_up and agree_down"
)


@dataclass(frozen=True, slots=True)
class Replay:
    """Questions by the id of the answer that was served, how each is asked, and that answer.

    Questions of one user are one cluster; one that nobody in particular asked is alone.
    """

    questions: QuestionSet
    queries: Mapping[str, Query]
    served: "ServedArm"


@dataclass(frozen=True, slots=True)
class ServedArm:
    """The `Arm` of what the log has: it asks nobody, and fails where nobody was answered."""

    logged: Mapping[str, LoggedAnswer]

    @property
    def name(self) -> str:
        return SERVED

    @property
    def parts(self) -> Mapping[str, str]:
        models = Counter(one.model for one in self.logged.values() if one.model)
        return {"reader": ", ".join(model for model, _ in models.most_common(3)), "when": "then"}

    def item_key(self, question: Question) -> bytes:
        one = self.logged[question.id]
        return hashlib.sha256(json.dumps([SERVED, one.id, one.at, one.text]).encode()).digest()

    async def run(self, question: Question) -> Outcome:
        one = self.logged[question.id]
        waited_ms = float(one.timings_ms.get("total", 0.0))
        if not _was_answered(one):
            return Outcome(question.id, wall_ms=waited_ms, error=f"{one.error}: not answered then")
        cited = dict.fromkeys(citation.document_id for citation in one.citations)
        return Outcome(
            question_id=question.id,
            ranking=tuple(Ranked(name, 1 / place) for place, name in enumerate(cited, 1)),
            answer=Answer(
                id=one.id,
                text=one.text,
                answerable=one.answerable,
                citations=one.citations,
                unsupported=one.unsupported,
                sources=(),
                usage=Usage(one.timings_ms, model=one.model),
                cache=one.cache,
                bundle=one.bundle,
                snapshot=one.snapshot,
                degraded=one.degraded,
            ),
            timings_ms=one.timings_ms,
            wall_ms=waited_ms,
            degraded=one.degraded,
        )


def replay_of(
    store: Store,
    *,
    last: int,
    since_s: float | None = None,
    as_asked: bool = False,
    per_user: int = PER_USER,
) -> Replay:
    """Return the newest `last` different questions, at most `per_user` of one user; blocking.

    Each is asked with the groups, collections, filter, k and conversation that it had. Without
    `as_asked` only those come along that were asked with the group `public` alone, so that a
    report holds nothing that is not everybody's.

    Raises:
        InputError: the log has no such question.
    """
    since = 0.0 if since_s is None else time.time() - since_s
    limit = 0
    while True:  # most of a long log need not be read
        limit = min(4 * max(limit, last), MAX_ANSWERS)
        lines = store.recent_answers(limit=limit, since=since, failed=True)
        left_out: Counter[str] = Counter()
        chosen = _chosen(lines, left_out, last=last, as_asked=as_asked, per_user=per_user)
        if len(chosen) == last or len(lines) < limit or limit == MAX_ANSWERS:
            break
    notes = [f"{num:,} questions left out: {reason}" for reason, num in left_out.items()]
    if not chosen:
        told = f" ({'; '.join(notes)})" if notes else ""
        raise InputError(f"the query log has no question to ask again{told}")
    queries = {one.id: query_of(one) for one in chosen}
    questions = tuple(_question(one, _still_there(store, one, queries[one.id])) for one in chosen)
    notes.insert(0, _AGREEMENT)
    alone = sum(not one.user for one in chosen)
    if alone:
        notes.append(f"{alone:,} questions named no user and count as if each had its own")
    return Replay(
        questions=QuestionSet("replay", content_id(questions, ()), questions, notes=tuple(notes)),
        queries=queries,
        served=ServedArm({one.id: one for one in chosen}),
    )


def _chosen(
    lines: Iterable[LoggedAnswer],
    left_out: Counter[str],
    *,
    last: int,
    as_asked: bool,
    per_user: int,
) -> list[LoggedAnswer]:
    """Return what is asked again, newest first, and count what is not by its reason."""
    chosen: dict[str, LoggedAnswer] = {}
    of_user: Counter[str] = Counter()
    for one in lines:
        if len(chosen) == last:
            break
        key = _sameness(one)
        if reason := _unfit(one, as_asked=as_asked):
            left_out[reason] += 1
        elif key in chosen:
            left_out["asked again later"] += 1
        elif one.user and of_user[one.user] >= per_user:
            left_out[f"more than {per_user} of one user"] += 1
        else:
            chosen[key] = one
            of_user[one.user] += 1
    return list(chosen.values())


def _unfit(one: LoggedAnswer, *, as_asked: bool) -> str:
    """Return why a line cannot be asked again; "" if it can."""
    if one.groups is None:
        return "an older version logged them without saying as whom they were asked"
    if one.history is None:
        return "their conversation was too long to be kept"
    if not as_asked and one.groups != _PUBLIC:
        return "asked with more than the group 'public' (--as-asked takes them along)"
    return ""


def _sameness(one: LoggedAnswer) -> str:
    """Return what two lines share if they ask the same."""
    parts = (
        fold(" ".join(one.question.split())),
        sorted(one.groups or ()),
        [one.collection, *one.more_collections],
        one.filter,
        [[turn.role, turn.content] for turn in one.history or ()],
    )
    return json.dumps(parts, sort_keys=True, default=str)


def query_of(one: LoggedAnswer) -> Query:
    """Return a logged question as it was asked."""
    return Query(
        text=one.question,
        principal=Principal(one.principal_id, one.groups or frozenset()),
        k=one.k,
        collection=one.collection,
        filter=one.filter,
        more_collections=one.more_collections,
    )


def _still_there(store: Store, one: LoggedAnswer, query: Query) -> list[str]:
    """Return the documents that were cited, as far as its asker could find them now."""
    found = []
    for name in dict.fromkeys(citation.document_id for citation in one.citations):
        for each in query.each_collection():
            try:
                store.document(each.collection, name, principal=query.principal)
            except NotFound:
                continue
            found.append(name)
            break
    return found


def _question(one: LoggedAnswer, cited: Iterable[str]) -> Question:
    answered = _was_answered(one)
    return Question(
        id=one.id,
        text=one.question,
        answers=(one.text,) if answered and one.answerable else (),
        answerable=one.answerable if answered else None,
        relevant=dict.fromkeys(cited, 1),
        history=one.history or (),
        type=f"rated {one.rating}" if one.rating else "",
        cluster=one.user,
        origin=SERVED,
    )


def _was_answered(one: LoggedAnswer) -> bool:
    return not one.error or bool(one.text)
