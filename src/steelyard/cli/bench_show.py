"""What `steelyard bench` shows: its progress, then the stages and an overview."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from steelyard.cli.endings import err
from steelyard.cli.show import note, out
from steelyard.loadtest import Plan, Shape, Summary, Trial

QUANTILES = ("mean", "p50", "p95", "p99")


class BenchProgress:
    """A bar on stderr and a line for each finished run."""

    def __init__(self, plan: Plan, shape: Shape) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        most_s = shape.seconds * len(plan.trials)
        self._task = self._bar.add_task(
            f"measuring, at most {most_s:.0f} s", total=len(plan.trials)
        )

    def __enter__(self) -> "BenchProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_trial(self, trial: Trial, summary: Summary) -> None:
        p50 = "–" if summary.total_ms is None else f"{summary.total_ms.p50:.1f} ms"
        line = (
            f"cache {trial.cache}, {trial.temperature}, {trial.num_clients} clients: "
            f"{summary.per_s:.1f}/s, p50 {p50}"
        )
        self._bar.update(self._task, advance=1)
        if err.is_terminal:
            self._bar.console.print(escape(line), style="dim")


def show_bench(report: Mapping[str, Any]) -> None:
    """Print the stages of every run, then one line a run."""
    trials = report["trials"]
    if not trials:
        note("nothing was measured")
        return
    out.print(_stage_table(trials))
    out.print("")
    out.print(_overview(trials))
    for line in report["notes"]:
        note(line)
    if report["interrupted"]:
        note("interrupted: runs are missing, or the last one is short")
    if any(trial["unfinished"] for trial in trials):
        note("unfinished requests are in no percentile: read them as worse than the p99")


def _stage_table(trials: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, title="ms by stage", title_justify="left")
    for name in ("cache", "pass", "clients", "stage"):
        table.add_column(name, justify="right" if name == "clients" else "left")
    for name in ("num", *QUANTILES):
        table.add_column(name, justify="right")
    for trial in trials:
        seen = {"client first token": "first_token", "client total": "total"}
        stages = {**trial["stages"], **{name: trial["client"][key] for name, key in seen.items()}}
        where = [trial["cache"], trial["pass"], str(trial["clients"])]
        for name, found in stages.items():
            if found is not None:
                cells = [f"{found[quantile]:,.2f}" for quantile in QUANTILES]
                table.add_row(*where, escape(name), str(found["num"]), *cells)
        table.add_section()
    return table


def _overview(trials: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, title="seen by the clients, ms", title_justify="left")
    names = ("cache", "pass", "clients", "answered", "/s", "first p50", "p95", "p99",
             "total p50", "p95", "p99", "429", "errors", "unfinished", "outcomes")  # fmt: skip
    for name in names:
        left = name in ("cache", "pass", "errors", "outcomes")
        table.add_column(name, justify="left" if left else "right")
    for trial in trials:
        client = trial["client"]
        cells = [_cell(client[key], q) for key in ("first_token", "total") for q in QUANTILES[1:]]
        errors = _counts(trial["errors"])
        table.add_row(
            trial["cache"], trial["pass"], str(trial["clients"]), str(trial["answered"]),
            f"{trial['per_s']:,.1f}", *cells, str(trial["rejected"]),
            f"[red]{escape(errors)}[/]" if errors else "0", str(trial["unfinished"]),
            escape(_counts({**trial["cache_outcomes"], **_marked(trial["degraded"])})),
        )  # fmt: skip
    return table


def _cell(found: Mapping[str, float] | None, quantile: str) -> str:
    return "–" if found is None else f"{found[quantile]:,.1f}"


def _marked(degraded: Mapping[str, int]) -> dict[str, int]:
    return {f"degraded:{name}": num for name, num in degraded.items()}


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{name}×{num}" for name, num in counts.items())
