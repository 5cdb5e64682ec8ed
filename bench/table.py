"""The table of bench/README.md: run what it needs, and write it there with machine and commit.

    python bench/table.py --venvs FOLDER [--data DIR]     # everything, about an hour
    python bench/table.py --from-results                  # only write what bench/out holds

Each row names its target; a missed one says so. A row whose bench was not run says that too.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import OUT, machine

HERE = Path(__file__).parent
README = HERE / "README.md"
BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
TWINS = HERE.parent / "tests" / "cache" / "twins.jsonl"
ANSWERED = ("number", "negation", "swap", "entity")

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """`ours` and `peer` read a figure out of the result `source`; None: not measured."""

    what: str
    source: str
    target: float
    unit: str
    ours: Callable[[Result], float | None]
    peer: Callable[[Result], float | None] = lambda _: None
    more: bool = False  # more is better


def _ours(name: str) -> Callable[[Result], float | None]:
    return lambda result: result["figures"]["steelyard"].get(name)


def _best(name: str, *, more: bool = False) -> Callable[[Result], float | None]:
    def best(result: Result) -> float | None:
        values = [
            figures[name]
            for peer, figures in result["figures"].items()
            if peer != "steelyard" and figures.get(name) is not None
        ]
        return (max if more else min)(values) if values else None

    return best


def _peers(what: str, figure: str, target: float, unit: str, *, more: bool = False) -> Row:
    return Row(what, "peers", target, unit, _ours(figure), _best(figure, more=more), more)


def _wrong(result: Result) -> float:
    return float(sum(result["kinds"].get(kind, {}).get("wrong_hits", 0) for kind in ANSWERED))


def _rerank(result: Result) -> float | None:
    wanted = {"layers": 2, "precision": "int8", "max_tokens": 96, "kept ids": True}
    rows = [row for row in result["speed"] if wanted.items() <= row.items()]
    return rows[0]["p50_ms"] if rows else None


def _million(result: Result, *path: str) -> float | None:
    sizes = [size for size in result["sizes"] if size["chunks"] == 1_000_000]
    found: Any = sizes[0] if sizes else None
    for name in path:
        found = found and found.get(name)
    return None if found is None else float(found)


ROWS = (
    _peers("search, 1 client, p50", "search p50, 1 client, ms", 5, "ms"),
    _peers("searches/s, 32 clients", "searches/s, 32 clients", 400, "/s", more=True),
    _peers(
        "added to the model server's 50 ms, 1 client, p95, without rerank",
        "added to the model's 50 ms, p95", 10, "ms",
    ),
    Row(
        "the same with rerank (2 layers, 128 tokens, pool 20)", "latency", 60, "ms",
        lambda r: r["with_rerank"]["added_p95_ms"],
    ),
    _peers("first token, 32 clients, p50", "first token p50, 32 clients, ms", 150, "ms"),
    _peers("edit to searchable, p50", "edit to searchable p50, s", 0.15, "s"),
    Row("exact hit in the server, p95", "latency", 1, "ms",
        lambda r: r["hits"]["exact"]["server_p95_ms"]),
    Row("semantic hit in the server, p95", "latency", 5, "ms",
        lambda r: r["hits"]["semantic"]["server_p95_ms"]),
    Row("wrong hits on number, negation, swap and entity twins", "twins", 0, "", _wrong),
    Row("true paraphrases hit", "twins", 50, "%",
        lambda r: 100 * r["true_rate"], more=True),
    Row("rerank of 20 passages of 120 words (2 layers, best 96 tokens), p50", "rerank", 50, "ms",
        _rerank),
    Row("hybrid at 1M chunks (made), p95", "growth", 15, "ms",
        lambda r: _million(r, "latency", "hybrid", "ms", "p95")),
    Row("recall@10 at 1M", "growth", 0.98, "",
        lambda r: _million(r, "recall@10", "asked for 10"), more=True),
    Row("memory after 100k searches over that after 1k", "soak", 1.05, "×", lambda r: r["ratio"]),
    Row("goodput at twice the capacity, of its peak", "latency", 90, "%",
        lambda r: 100 * r["overload"]["at_twice"]["per_s"] / r["overload"]["capacity_per_s"],
        more=True),
    Row("429 beyond capacity, p95", "latency", 5, "ms",
        lambda r: r["overload"]["at_twice"]["rejected_p95_ms"]),
)  # fmt: skip


def commands(venvs: str) -> list[list[str]]:
    python = sys.executable
    return [
        [python, str(HERE / "peers.py"), "--venvs", venvs],
        [python, str(HERE / "latency.py")],
        [python, str(HERE / "rerank.py")],
        [python, str(HERE / "batching.py")],
        [python, str(HERE / "soak.py"), "--queries", "100000"],
        [python, str(HERE / "growth.py")],
    ]


def check_twins() -> None:
    """Write bench/out/twins.json: `steelyard cache check` over the repository's own twins."""
    words = ("cache", "check", "--pairs", str(TWINS), "--json")
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", *words], check=True, stdout=subprocess.PIPE
    )
    (OUT / "twins.json").write_bytes(done.stdout)


def table() -> str:
    lines = ["| | target | Steelyard | best peer | |", "|---|---|---|---|---|"]
    commits: set[str] = set()
    for row in ROWS:
        path = OUT / f"{row.source}.json"
        result = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        ours = None if result is None else row.ours(result)
        peer = None if result is None else row.peer(result)
        if result is not None and "machine" in result:
            commits.add(f"{result['machine']['commit']} on {result['machine']['cpu']}")
        sign = "≥" if row.more else "≤"
        if ours is None:
            verdict = "not measured"
        else:
            reached = ours >= row.target if row.more else ours <= row.target
            verdict = "reached" if reached else "**missed**"
        lines.append(
            f"| {row.what} | {sign} {_say(row.target, row.unit)} | {_say(ours, row.unit)} "
            f"| {_say(peer, row.unit)} | {verdict} |"
        )
    about = machine()
    lines += ["", f"{about['cores']} cores; measured at " + "; ".join(sorted(commits)) + "."]
    return "\n".join(lines)


def _say(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.4g}{' ' * bool(unit.isalpha())}{unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venvs", help="the folder of the peers' environments")
    parser.add_argument("--from-results", action="store_true", help="measure nothing")
    parser.add_argument("--data", default=os.environ.get("STEELYARD_DATA", ""))
    options = parser.parse_args()
    if not options.from_results:
        if not options.venvs:
            parser.error("--venvs is needed to measure (or give --from-results)")
        env = os.environ | ({"STEELYARD_DATA": options.data} if options.data else {})
        for command in commands(options.venvs):
            subprocess.run(command, check=True, env=env)
        check_twins()
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
