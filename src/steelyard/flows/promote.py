"""A trained folder → registered → weighed against what is served → a gate → served, or refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Comparison, Interval, QuestionSet, Report
from steelyard.core.registry import OPTIONS_KIND, Action, Bounds, Evaluation, Event, Score, Version
from steelyard.core.tuning import TuneKind
from steelyard.evals.measures import parse_measures
from steelyard.evals.statistics import GateResult, Margin, gate
from steelyard.flows.registry import Draft, Registry
from steelyard.registry import options_id

SERVED, CANDIDATE = "served", "candidate"  # the two arms
SEARCH_KINDS = (TuneKind.EMBEDDER, TuneKind.RERANKER)
SEARCH_GROUPS = ("retrieve.", "rerank.", "embed.")
# Few, because Holm's correction takes its share for each measure of quality.
SEARCH_MEASURES = "nDCG@10,R@10,p50_ms,p95_ms,failed"
ANSWER_MEASURES = "F1,contains,abstention,cite_precision,p50_ttft_ms,p95_ms,failed"
REINDEX = (
    "it sets how passages are embedded: it serves once an index of its own stands beside the old "
    "one, which a running server makes by itself, and `steelyard embedder switch` without one"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a version must show to be served: gains by measure, and losses to be ruled out.

    `answers`: whole answers are asked for, not only searches.
    """

    answers: bool
    measures: str
    min_delta: Mapping[str, float] = field(default_factory=dict)
    margins: tuple[Margin, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants a version served, and why; `force`: whatever the gate says, which is recorded."""

    who: str
    why: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class Promoted:
    """What became of it. `event` None: the gate was red, nothing changed, and the version is the
    challenger. `notes` are what could not be checked."""

    version: Version
    evaluation: Evaluation | None
    event: Event | None
    notes: tuple[str, ...] = ()


Weigh = Callable[[Version], Evaluation]


def register_and_promote(
    registry: Registry, draft: Draft, order: Order, *, weigh: Weigh | None
) -> Promoted:
    """Register a trained artefact, weigh it, and serve it if the gate is green.

    Raises:
        InputError, SetupError: it cannot be registered, weighed or served; says what to change.
    """
    version = registry.register(draft, who=order.who, why=order.why).version
    return promote(registry, version, order, weigh=weigh)


def promote(
    registry: Registry, version: Version, order: Order, *, weigh: Weigh | None = None
) -> Promoted:
    """Serve a version if a green gate stands behind it: of `weigh`, which asks its questions now,
    else the last one over what is served now. `previous` is where a rollback goes.

    Raises:
        InputError: it was never weighed over what is served (code `not_weighed`), it cannot be
            promoted, or it is forced without a reason.
        SetupError: its artefact is damaged, or its base is another.
    """
    notes = _check_order(registry, version, order)
    seq = registry.store.registry_seq()
    if weigh is not None:
        evaluation: Evaluation | None = weigh(version)
        assert evaluation is not None
        registry.store.keep_evaluation(version.id, evaluation, who=order.who)
    else:
        evaluation = last_evaluation(registry, version)
        if evaluation is None and not order.force:
            raise InputError(
                f"{version.id} ({version.name}) was not weighed over what is served now: give "
                "questions by --data SET, or --force --why REASON",
                code="not_weighed",
            )
    passed = evaluation is not None and evaluation.passed
    if not passed and not order.force:
        return Promoted(version, evaluation, None, notes)
    event = registry.store.promote_version(
        version.id,
        who=order.who,
        why=order.why,
        forced=not passed,
        expected=seq,
        evaluation=evaluation,
    )
    return Promoted(version, evaluation, event, notes)


def last_evaluation(registry: Registry, version: Version) -> Evaluation | None:
    """Return how a version did last, if it was over what is served now."""
    against = options_id(registry.champions().options)
    for event in reversed(registry.store.registry_history(version.id)):
        told = event.evaluation
        if event.action is Action.WEIGH and told is not None and told.against == against:
            return told
    return None


def usual_rules(version: Version, questions: QuestionSet) -> Rules:
    """Return what is asked of a version by default: a gain that is shown in the measure that its
    kind is for, and no loss of what guards it.

    A failure counts as 0 in every measure of quality, so that it needs no guard of its own. A
    version that changes how passages are found is weighed by searches, any other by answers.
    """
    if searches(version):
        return Rules(False, SEARCH_MEASURES, {"nDCG@10": 0.0}, (Margin.parse("R@10:-0.05"),))
    unanswerable = any(question.answerable is False for question in questions.questions)
    guards = (Margin.parse("abstention:-0.05"),) if unanswerable else ()
    return Rules(True, ANSWER_MEASURES, {"F1": 0.0}, guards)


def searches(version: Version) -> bool:
    """Tell whether a version changes only how passages are found."""
    if version.kind != OPTIONS_KIND:
        return version.kind in SEARCH_KINDS
    return all(key.startswith(SEARCH_GROUPS) for key in version.options)


def judged(report: Report, rules: Rules) -> GateResult:
    """Return what the gate says of a report's candidate."""
    return gate(
        report.comparisons,
        {arm.name: arm.figures for arm in report.arms},
        candidate=CANDIDATE,
        better={one.name: one.better for one in parse_measures(",".join(report.measures))},
        min_delta=rules.min_delta,
        margins=rules.margins,
    )


def evaluation_of(report: Report, result: GateResult, *, against: str) -> Evaluation:
    """Return what is kept of a run beside the version that it was about."""
    figures = {arm.name: arm.figures for arm in report.arms}
    return Evaluation(
        run=report.id,
        set_name=report.set_name,
        set_id=report.set_id,
        num_questions=len(report.question_ids),
        against=against,
        passed=result.passed,
        scores={
            one.measure: _score(one, figures)
            for one in report.comparisons
            if one.measure in figures[CANDIDATE] and one.measure in figures[SERVED]
        },
        reasons=tuple(
            f"{'pass' if reason.passed else 'fail'}: {reason.rule}: {reason.sentence}"
            for reason in result.reasons
        ),
    )


def with_measures(rules: Rules, measures: str) -> Rules:
    """Return the rules over other measures; those that the rules need are added."""
    named = [one.name for one in parse_measures(measures)] if measures else []
    needed = [*rules.min_delta, *(margin.measure for margin in rules.margins)]
    known = named or [one.name for one in parse_measures(rules.measures)]
    return replace(rules, measures=",".join(dict.fromkeys([*known, *needed])))


def _score(one: Comparison, figures: Mapping[str, Mapping[str, Interval]]) -> Score:
    return Score(
        candidate=_bounds(figures[CANDIDATE][one.measure]),
        served=_bounds(figures[SERVED][one.measure]),
        delta=_bounds(one.delta),
        n=one.delta.n,
        verdict=one.verdict.value,
    )


def _bounds(interval: Interval) -> Bounds:
    value, low, high = (
        one if isfinite(one) else None for one in (interval.value, interval.low, interval.high)
    )
    return value, low, high


def _check_order(registry: Registry, version: Version, order: Order) -> tuple[str, ...]:
    if order.force and not order.why.strip():
        raise InputError("a forced promotion needs a reason: --force --why REASON")
    if not version.options:
        raise InputError(
            f"{version.id} ({version.name}) has no options, so that nothing would change; register "
            "its folder again with --set KEY=VALUE"
        )
    notes = registry.check(version)
    if any(key.startswith("embed.") for key in version.options):
        notes += (REINDEX,)
    return notes


def refusal(promoted: Promoted) -> str:
    """Return, in one line, why a gate refused."""
    told: Sequence[str] = promoted.evaluation.reasons if promoted.evaluation else ()
    failed = [reason.removeprefix("fail: ") for reason in told if reason.startswith("fail")]
    version = promoted.version
    return f"the gate refused {version.id} ({version.name}): {'; '.join(failed)}"
