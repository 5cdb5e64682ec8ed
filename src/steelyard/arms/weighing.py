"""A version's arm against what is served, over a question set, through the code that serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from steelyard.arms.laboratory import Laboratory
from steelyard.arms.specs import ANSWER_K, SEARCH_K, ArmSpec
from steelyard.core.evaluation import QuestionSet, Report
from steelyard.core.registry import NO_CHAMPIONS, Evaluation, Version
from steelyard.evals.measures import parse_measures
from steelyard.evals.records import Records
from steelyard.flows.evaluate import EvaluateOptions, Progress, evaluate
from steelyard.flows.promote import CANDIDATE, SERVED, Rules, evaluation_of, judged
from steelyard.flows.registry import Registry
from steelyard.infra.concurrent import Workers
from steelyard.registry import options_id


@dataclass(frozen=True, slots=True)
class Scales:
    """What a version is weighed with. `flags` are options for both sides, as of a language model
    that neither changes."""

    questions: QuestionSet
    rules: Rules
    records: Records
    flags: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 2
    deadline_s: float = 10.0
    timeout_s: float = 180.0
    on_fill: Callable[[int, int], None] = lambda done, total: None
    on_progress: Callable[[Progress], None] = lambda progress: None


@dataclass(frozen=True, slots=True)
class Weighed:
    report: Report
    evaluation: Evaluation


def sides(registry: Registry, version: Version, rules: Rules) -> tuple[ArmSpec, ArmSpec]:
    """Return what is served, and what would be if the version were promoted."""
    k = ANSWER_K if rules.answers else SEARCH_K
    both = (
        (SERVED, registry.champions().options),
        (CANDIDATE, registry.champions_with(version).options),
    )
    served, candidate = (ArmSpec(name, dict(told), rules.answers, k) for name, told in both)
    return served, candidate


async def weigh(registry: Registry, version: Version, scales: Scales) -> Weighed:
    """Return how a version does beside what is served; what was asked before is not asked again.

    Raises:
        InputError, SetupError: a side cannot be opened; says what to change.
    """
    rules = scales.rules
    specs = sides(registry, version, rules)
    against = options_id(specs[0].options)
    laboratory = Laboratory(
        registry.home,
        flags=scales.flags,
        champions=NO_CHAMPIONS,  # each side says itself what it serves
        deadline_s=scales.deadline_s,
        timeout_s=scales.timeout_s,
        on_fill=scales.on_fill,
    )
    options = EvaluateOptions(
        baseline=SERVED, min_effects=rules.min_delta, concurrency=scales.concurrency
    )
    workers = Workers(query_threads=2, ingest_threads=1)
    try:
        async with laboratory.opened(scales.questions, specs) as opened:
            report = await evaluate(
                opened.questions,
                opened.arms,
                parse_measures(rules.measures),
                records=scales.records,
                workers=workers.query,
                options=replace(
                    options,
                    notes=opened.notes,
                    late_notes=opened.changes,
                    documents=opened.documents,
                ),
                on_progress=scales.on_progress,
            )
    finally:
        workers.close()
    return Weighed(report, evaluation_of(report, judged(report, rules), against=against))
