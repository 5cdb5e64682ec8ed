"""`steelyard eval replay`: questions of the query log asked again, in other ways."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from steelyard.arms import ArmSpec, Laboratory, read_arms
from steelyard.cli import show
from steelyard.cli.eval_live import evaluation
from steelyard.cli.eval_options import (
    MIN_EFFECT,
    ArmsFile,
    DeadlineMs,
    HtmlFile,
    JsonFile,
    JudgeModel,
    JudgeUrl,
    MarkdownFile,
    MinEffect,
    OneArm,
    TimeoutS,
    Tuned,
    check_places,
    effects_for,
    write_report,
)
from steelyard.cli.evaluation import judge_of, run_arms
from steelyard.cli.options import (
    Home,
    LlmModel,
    LlmUrl,
    Set,
    database_of,
    pairs_of,
)
from steelyard.core.errors import InputError
from steelyard.core.evaluation import SERVED
from steelyard.core.protocols import Measure
from steelyard.evals.measures import parse_measures
from steelyard.evals.measures.retrieval import RetrievalMeasure
from steelyard.evals.records import Records, records_path
from steelyard.flows.evaluate import EvaluateOptions
from steelyard.flows.replay import PER_USER, Replay, replay_of
from steelyard.store import Store

__all__ = ["evaluation"]

MEASURES = "agree_F1,agree_sources,abstention,support,cited,p50_ms,p95_ms,failed"
BASELINE = "rag"  # the home as it is set now
GOLDEN = ("EM", "F1", "contains", "ROUGE-L", "cite_precision", "cite_recall")
NICENESS = 10  # who serves beside us goes first
_SINCE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


@evaluation.command("replay")
def replay(
    ctx: typer.Context,
    last: Annotated[int, typer.Option("--last", min=1, help="so many different questions")] = 500,
    since: Annotated[str, typer.Option("--since", help="not older than, as 7d or 12h")] = "",
    arms: Annotated[
        str, typer.Option("--arms", "-a", help="with commas; rag, as the home is set, comes first")
    ] = "",
    arm: OneArm = None,
    arms_file: ArmsFile = None,
    tuned: Tuned = None,
    as_asked: Annotated[
        bool, typer.Option("--as-asked", help="also what was asked with more groups than public")
    ] = False,
    per_user: Annotated[
        int, typer.Option("--per-user", min=1, help="at most so many of one user")
    ] = PER_USER,
    measures: Annotated[
        str, typer.Option("--measures", "-m", help="with commas; none that needs gold")
    ] = MEASURES,
    baseline: Annotated[
        str, typer.Option("--baseline", help="the arm to compare with; `served`: the log")
    ] = BASELINE,
    min_effect: MinEffect = str(MIN_EFFECT),
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=16, help="questions asked at once")
    ] = 1,
    deadline_ms: DeadlineMs = 10_000,
    timeout_s: TimeoutS = 180,
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    home: Home = None,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    settings: Set = None,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
    markdown_file: MarkdownFile = None,
) -> None:
    """Ask questions of the query log again, in other ways, and weigh what would change.

    Nobody sees these answers. Each question is asked as it was, with the groups of its asker. The
    arm `served` is what the log has; docs/live.md says what agreement with it means.

    Examples:

        steelyard eval replay --last 500 --since 7d --arm 'wide=rag k=20 retrieve.pool=100'

        steelyard eval replay --arms-file wide.toml --as-asked --html replay.html
    """
    database = database_of(ctx, home)
    where = database.parent
    flags = pairs_of(settings) | {
        key: value for key, value in (("llm.url", llm_url), ("llm.model", llm_model)) if value
    }
    specs = _arms(arms, arm or [], arms_file, pairs_of(tuned))
    asked = _measures(measures)
    names = [*(spec.name for spec in specs), SERVED]
    if baseline not in names:
        raise InputError(f"--baseline {baseline!r} is none of the arms {', '.join(names)}")
    options = EvaluateOptions(
        baseline=baseline,
        min_effects=effects_for(min_effect, asked),
        concurrency=concurrency,
        cluster_by="document",
    )
    check_places(json_file, html_file, markdown_file)
    since_s = _seconds(since) if since else None
    found = _read(database, last, since_s, as_asked=as_asked, per_user=per_user)
    show.note(f"{len(found.questions.questions):,} questions asked again; nobody sees the answers")
    with suppress(OSError):  # not allowed: whoever serves beside us is only slower
        os.nice(NICENESS)
    laboratory = Laboratory(
        where,
        flags=flags,
        deadline_s=deadline_ms / 1000,
        timeout_s=timeout_s,
        queries=found.queries,
    )
    with Records(records_path(where)) as records:
        options = replace(options, judge=judge_of(judge_url, judge_model, asked, records))
        report = run_arms(
            laboratory, found.questions, specs, asked, records, options, more=[found.served]
        )
        write_report(records, report, json_file, html_file, markdown_file)


def _read(
    database: Path, last: int, since_s: float | None, *, as_asked: bool, per_user: int
) -> Replay:
    store = Store.open(database)
    try:
        return replay_of(store, last=last, since_s=since_s, as_asked=as_asked, per_user=per_user)
    finally:
        store.close()


def _arms(
    names: str, lines: Sequence[str], file: Path | None, tuned: dict[str, str]
) -> tuple[ArmSpec, ...]:
    listed = [name.strip() for name in names.split(",") if name.strip()]
    wanted = [BASELINE, *(name for name in listed if name != BASELINE)]
    specs = read_arms(",".join(wanted), lines=lines, file=file, tuned=tuned)
    for spec in specs:
        if not spec.answers or spec.gold:
            raise InputError(
                f"arm {spec.name!r} {'needs gold' if spec.gold else 'only searches'}, and the log "
                "has answers; name arms that answer, as rag or 'wide=rag k=20'"
            )
        if spec.home:
            raise InputError(f"arm {spec.name!r}: the log is this home's; leave home= away")
        if spec.name == SERVED:
            raise InputError(f"{SERVED!r} names what the log has; call the arm something else")
    return specs


def _measures(names: str) -> tuple[Measure, ...]:
    found = parse_measures(names)
    golden = [
        measure.name
        for measure in found
        if isinstance(measure, RetrievalMeasure) or measure.name in GOLDEN
    ]
    if golden:
        raise InputError(
            f"{', '.join(golden)}: the log has no gold, and what was served would pass for it; "
            "use agree_F1 and agree_sources"
        )
    return found


def _seconds(text: str) -> float:
    match = _SINCE.fullmatch(text.strip().lower())
    if match is None or not float(match[1]):
        raise InputError(f"--since {text!r} is no span of time; write 30m, 12h, 7d or 2w")
    return float(match[1]) * _UNITS_S[match[2]]
