"""`steelyard eval`: arms weighed over questions, runs looked up, and the gate for CI."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from steelyard.arms import ArmSpec, Laboratory, read_arms
from steelyard.cli import show
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
from steelyard.cli.eval_progress import EvaluateProgress, show_plan
from steelyard.cli.options import (
    OWNER,
    Groups,
    Home,
    LlmModel,
    LlmUrl,
    Set,
    home_of,
    names_of,
    pairs_of,
)
from steelyard.core.errors import InputError
from steelyard.core.evaluation import QuestionSet, Report
from steelyard.core.protocols import Arm, Measure
from steelyard.core.ranking import Principal
from steelyard.datasets import clusters, find_set, read_set
from steelyard.evals.measures import parse_measures
from steelyard.evals.measures.judge import Judge, JudgeOptions
from steelyard.evals.records import Records, records_path
from steelyard.flows.compare import planned
from steelyard.flows.evaluate import EvaluateOptions, evaluate
from steelyard.infra.concurrent import Workers, loop_factory
from steelyard.settings import load_settings

JUDGE_KEY = "STEELYARD_JUDGE_KEY"
SEARCH_MEASURES = "nDCG@10,R@10,RR@10,p50_ms,p95_ms,failed"
# Few, because Holm's correction takes its share for each.
ANSWER_MEASURES = "F1,contains,abstention,cite_precision,support,p50_ttft_ms,p95_ms,failed"
evaluation = typer.Typer(
    help="Weigh arms over questions: quality, latency and cost, with honest statistics."
)


@evaluation.command("run")
def run(
    ctx: typer.Context,
    data: Annotated[
        str,
        typer.Option("--data", "-d", help="a folder, a file, or a set of the home: docs/data.md"),
    ],
    arms: Annotated[
        str, typer.Option("--arms", "-a", help="with commas: bm25, dense, hybrid, rag, oracle, ...")
    ] = "",
    arm: OneArm = None,
    arms_file: ArmsFile = None,
    tuned: Tuned = None,
    measures: Annotated[
        str, typer.Option("--measures", "-m", help="with commas; docs/measures.md lists them")
    ] = "",
    baseline: Annotated[
        str, typer.Option("--baseline", help="the arm to compare with; default: the first")
    ] = "",
    min_effect: MinEffect = str(MIN_EFFECT),
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="ask made questions that nobody has accepted yet")
    ] = False,
    part: Annotated[str, typer.Option("--part", help="one part of the set, as test")] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="a fixed sample of the questions")
    ] = None,
    cluster_by: Annotated[
        str, typer.Option("--cluster-by", help="what errors are shared within")
    ] = "auto",
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=256, help="questions asked at once")
    ] = 2,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="ask again what is known, so that all times are of now")
    ] = False,
    deadline_ms: DeadlineMs = 10_000,
    timeout_s: TimeoutS = 180,
    judge_url: JudgeUrl = "",
    judge_model: JudgeModel = "",
    groups: Groups = "",
    home: Home = None,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    settings: Set = None,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
    markdown_file: MarkdownFile = None,
) -> None:
    """Run arms over questions through the code that serves, and say what the evidence allows.

    What was run before with the same parts is not run again; interrupt it and run it again to go
    on. A set's documents are ingested once, below the home.

    Examples:

        steelyard eval run --data squad2/ --arms bm25,dense,hybrid

        steelyard eval run --data questions.jsonl --arms rag,oracle --arm 'wide=rag k=20' \\
            --html report.html

        steelyard eval run -d questions.jsonl -a base,rag,tuned,tuned+rag,oracle \\
            --llm-url http://127.0.0.1:8000 --llm-model base --tuned llm.model=ours
    """
    where = home_of(ctx, home)
    flags = pairs_of(settings) | {
        key: value for key, value in (("llm.url", llm_url), ("llm.model", llm_model)) if value
    }
    loaded = load_settings(where, flags=flags)
    specs = read_arms(
        arms or ("" if arm or arms_file else "lexical,dense,hybrid"),
        lines=arm or [],
        file=arms_file,
        tuned=pairs_of(tuned),
        reranked=bool(loaded.settings.rerank.model),
    )
    asked = parse_measures(measures or _usual(specs))
    options = EvaluateOptions(
        baseline=_baseline(baseline, specs),
        min_effects=effects_for(min_effect, asked),
        concurrency=concurrency,
        cluster_by=cluster_by,
        fresh=fresh,
    )
    check_places(json_file, html_file, markdown_file)
    questions = read_set(find_set(where, data), part=part, limit=limit, unreviewed=unreviewed)
    clusters(questions, cluster_by)  # complains before anything is loaded
    laboratory = Laboratory(
        where,
        flags=flags,
        principal=_principal(groups),
        deadline_s=deadline_ms / 1000,
        timeout_s=timeout_s,
    )
    with Records(records_path(where)) as records:
        options = replace(options, judge=judge_of(judge_url, judge_model, asked, records))
        if json_file != "-":
            num_candidates = len(specs) - 1
            show_plan(planned(records, questions, asked, options, num_candidates=num_candidates))
        report = run_arms(laboratory, questions, specs, asked, records, options)
        write_report(records, report, json_file, html_file, markdown_file)


def run_arms(
    laboratory: Laboratory,
    questions: QuestionSet,
    specs: Sequence[ArmSpec],
    measures: Sequence[Measure],
    records: Records,
    options: EvaluateOptions,
    *,
    more: Sequence[Arm] = (),
) -> Report:
    """Return the report of the arms that `specs` say, and of `more` that are open already."""
    workers = Workers(query_threads=2, ingest_threads=1)

    async def everything(progress: EvaluateProgress) -> Report:
        laboratory.on_fill = progress.on_fill
        try:
            async with laboratory.opened(questions, specs) as opened:
                return await evaluate(
                    opened.questions,
                    [*opened.arms, *more],
                    measures,
                    records=records,
                    workers=workers.query,
                    options=replace(
                        options,
                        notes=opened.notes,
                        late_notes=opened.changes,
                        documents=opened.documents,
                    ),
                    on_progress=progress.on_progress,
                )
        finally:
            if options.judge is not None:
                await options.judge.aclose()

    try:
        with EvaluateProgress() as progress, asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(everything(progress))
    except KeyboardInterrupt:
        show.note("interrupted; what was asked is kept: run the same command again to go on")
        raise typer.Exit(130) from None
    finally:
        workers.close()


def _usual(specs: Sequence[ArmSpec]) -> str:
    kinds = {spec.answers for spec in specs}
    if kinds == {False}:
        return SEARCH_MEASURES
    return ANSWER_MEASURES if kinds == {True} else f"nDCG@10,{ANSWER_MEASURES}"


def _baseline(name: str, specs: Sequence[ArmSpec]) -> str:
    names = [spec.name for spec in specs]
    if name and name not in names:
        raise InputError(f"--baseline {name!r} is none of the arms {', '.join(names)}")
    return name or names[0]


def _principal(groups: str) -> Principal:
    names = names_of(groups)
    return Principal("owner", frozenset(names), operator=True) if names else OWNER


def judge_of(url: str, model: str, measures: Sequence[Measure], records: Records) -> Judge | None:
    """Return the judge that judged measures need; None: none of them does."""
    judged = [measure.name for measure in measures if measure.name.startswith("judge:")]
    if not judged:
        return None
    if not url:
        raise InputError(f"{', '.join(judged)}: name the judge by --judge-url and --judge-model")
    key = os.environ.get(JUDGE_KEY, "").strip()
    return Judge(JudgeOptions(url=url, model=model), key=key, cache=records.replies())
