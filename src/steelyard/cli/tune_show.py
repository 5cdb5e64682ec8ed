"""What `steelyard tune` shows: plans, progress, runs and what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from types import TracebackType
from typing import Any

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from steelyard.cli.endings import err
from steelyard.cli.show import emit_json, out, show_rows
from steelyard.core.tuning import RunState, TokenAccount
from steelyard.tune import Plan, RunFolder, Trained

STYLES = {RunState.DONE: "green", RunState.FAILED: "red", RunState.RUNNING: "blue"}
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40


class TuneProgress:
    """A bar on stderr with the loss, and a line for each evaluation."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=err,
            disable=quiet or not err.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None, told="")

    def on_metrics(self, line: Mapping[str, Any]) -> None:
        if "eval" in line:
            if not self._quiet:
                self._bar.console.print(f"step {line['step']}: {_measures(line['eval'])}")
            return
        total = line.get("num_steps")
        told = f"loss {line['loss']:.4g}"
        self._bar.update(self._task, completed=line["step"], total=total, told=told)

    def __enter__(self) -> "TuneProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def show_plan(plan: Plan) -> None:
    """Print a plan: where every token goes, then what the run takes."""
    _show_accounts(plan.accounts)
    out.print(
        f"\n{plan.num_examples:,} examples, {plan.epoch_tokens:,} tokens an epoch; "
        f"[bold]{plan.num_steps:,} steps[/], {plan.run_tokens:,} tokens"
    )
    out.print(
        f"{plan.num_parameters / 1e6:,.1f}M parameters, {plan.num_trainable / 1e6:,.2f}M of them "
        f"trained; about {plan.memory_bytes / 2**30:.1f} GiB of memory "
        f"({plan.available_bytes / 2**30:.1f} free)"
    )
    if plan.seconds:
        out.print(
            f"about [bold]{_time(plan.seconds)}[/] here, {plan.step_seconds:.3g} s a step (probed)"
        )
    else:
        out.print("[dim]the time here: --probe[/]")
    show_rows(
        ("elsewhere", "US dollars", "hours", "by"),
        [
            (one.offer, _dollars(one.low_usd, one.high_usd), _hours(one.hours), one.note)
            for one in plan.costs
        ],
    )
    for note in plan.notes:
        out.print(f"[yellow]{escape(note)}[/]")


def show_trained(trained: Trained) -> None:
    out.print(
        f"[green]done[/] {trained.run}: {trained.steps:,} steps, {trained.tokens:,} tokens in "
        f"{_time(trained.seconds)}"
    )
    if trained.after:
        rows = [
            (name, f"{trained.before.get(name, float('nan')):.4f}", f"{value:.4f}")
            for name, value in trained.after.items()
        ]
        show_rows(("measure", "before", "after"), rows)
        if trained.best_step == 0:
            out.print(
                "[yellow]nothing measured better than the untuned weights: those were kept[/]"
            )
        elif trained.best_step != trained.steps:
            out.print(f"[dim]the weights of step {trained.best_step}, the best, were kept[/]")
    out.print(f"artefact: {escape(str(trained.artefact))}")


def show_cancelled(run: RunFolder) -> None:
    told = "will end after its step" if run.alive() else "is cancelled"
    out.print(f"{escape(run.id)} {told}; `steelyard tune resume {escape(run.id)}` goes on")


def show_runs(runs: Sequence[RunFolder], *, as_json: bool) -> None:
    if as_json:
        emit_json([{"run": run.id, **asdict(run.status())} for run in runs])
        return
    if not runs:
        out.print("no run yet; make one by `steelyard tune run`")
        return
    rows = []
    for run in runs:
        status = run.status()
        steps = f"{status.step:,}/{status.num_steps:,}"
        rows.append((run.id, status.kind, status.state, steps, status.dataset, status.error))
    show_rows(("run", "kind", "state", "step", "dataset", "error"), rows)


def show_run(run: RunFolder, *, as_json: bool) -> None:
    status, metrics = run.status(), list(run.metrics())
    evaluations = [line for line in metrics if "eval" in line]
    losses = [line["loss"] for line in metrics if "loss" in line]
    accounting = run.read("accounting.json")
    if as_json:
        emit_json(
            {
                "run": run.id,
                **asdict(status),
                "folder": str(run.path),
                "accounting": accounting,
                "losses": losses,
                "evaluations": evaluations,
                "summary": run.read("summary.json"),
            }
        )
        return
    style = STYLES.get(status.state, "yellow")
    out.print(
        f"[bold]{escape(run.id)}[/] [{style}]{status.state}[/] {status.kind}, step "
        f"{status.step:,} of {status.num_steps:,}"
    )
    if status.error:
        out.print(f"[{style}]{escape(status.error)}[/]")
    if accounting:
        _show_accounts(
            {
                role: TokenAccount(**{k: v for k, v in one.items() if k in _ACCOUNT_FIELDS})
                for role, one in accounting.items()
                if isinstance(one, dict)
            }
        )
    if losses:
        out.print(f"loss {losses[0]:.4g} {_sparks(losses)} {losses[-1]:.4g}")
    for line in evaluations:
        out.print(f"step {line['step']}: {_measures(line['eval'])}")
    if run.artefact.exists():
        out.print(f"artefact: {escape(str(run.artefact))}")
    if status.state in (RunState.INTERRUPTED, RunState.FAILED, RunState.CANCELLED):
        out.print(f"[dim]go on by `steelyard tune resume {escape(run.id)}`[/]")


_ACCOUNT_FIELDS = frozenset(TokenAccount.__dataclass_fields__)


def _show_accounts(accounts: Mapping[str, TokenAccount]) -> None:
    show_rows(
        ("rows of", "kept", "cut", "dropped", "tokens", "= kept", "+ cut", "+ dropped", "lost"),
        [
            (
                role,
                f"{one.rows_kept:,}",
                f"{one.rows_truncated:,}",
                f"{one.rows_dropped:,}",
                f"{one.total:,}",
                f"{one.kept:,}",
                f"{one.truncated:,}",
                f"{one.dropped:,}",
                f"{one.lost_share:.2%} of targets",
            )
            for role, one in accounts.items()
        ],
    )


def _measures(values: Mapping[str, float]) -> str:
    return escape("  ".join(f"{name} {value:.4f}" for name, value in values.items()))


def _sparks(losses: Sequence[float]) -> str:
    """Return losses as a line of blocks, each the mean of its part of the run."""
    width = min(SPARK_WIDTH, len(losses))
    ends = [round(n * len(losses) / width) for n in range(width + 1)]
    means = [sum(losses[a:b]) / (b - a) for a, b in pairwise(ends)]
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _dollars(low: float, high: float) -> str:
    if high < 0.01:
        return "under 0.01"
    return f"{low:.2f}" if round(low, 2) == round(high, 2) else f"{low:.2f} to {high:.2f}"


def _hours(hours: float) -> str:
    if not hours:
        return "–"
    return f"{hours:.2f}" if hours >= 0.01 else "under 0.01"
