"""The demonstration, whole: `make tune-demo`, or `python -m examples.tune_demo.run FOLDER`.

A language model is made, tuned, and weighed in five arms over three types of questions, by the
commands that anybody uses: `steelyard eval run` does the asking and the statistics.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from steelyard.tune import Interrupted

from .make import make
from .questions import write_set

ARMS = ("base", "rag", "tuned", "tuned+rag", "oracle")
TYPES = {"form": "notes in the house's form", "fact": "facts", "changed": "facts changed since"}
MEASURE = "contains"
# One page is what the model can be trusted to read; an answer is a sentence.
SETTINGS = ("context.max_tokens=110", "llm.context_tokens=160", "llm.max_tokens=40")


def main() -> None:
    """Make, ask, and write `results.md`."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".steelyard-tune-demo")
    began = time.perf_counter()
    try:
        made = make(folder)
    except Interrupted:
        sys.exit("interrupted; what was learnt is kept: run the same command again to go on")
    trained_s = time.perf_counter() - began
    questions = write_set(folder / "questions")
    reports = {
        part: asked(folder, questions, made.base, made.adapter, part) for part in ("", *TYPES)
    }
    took_s = time.perf_counter() - began
    text = table(reports) + (
        f"\nTrained in {trained_s / 60:.1f} minutes, everything in {took_s / 60:.1f}.\n"
    )
    (folder / "results.md").write_text(text, encoding="utf-8")
    print(text)


def asked(folder: Path, questions: Path, base: Path, adapter: Path, part: str) -> dict[str, Any]:
    """Return the report of all arms on one part of the set, "": all of it."""
    report = folder / f"report-{part or 'all'}.json"
    command = [
        sys.executable, "-m", "steelyard", "--home", str(folder / "home"), "eval", "run",
        "--data", str(questions), "--arms", ",".join(ARMS), "--measures", f"{MEASURE},EM,F1",
        "--tuned", f"llm.adapter={adapter}", "--json", str(report),
        "--set", f"llm.local={base}", *(one for pair in SETTINGS for one in ("--set", pair)),
        *(("--part", part) if part else ()),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return content


def table(reports: dict[str, dict[str, Any]]) -> str:
    """Return the arms' shares of right answers, with 95 % intervals, as a Markdown table."""
    names = ["all", *TYPES.values()]
    lines = ["| arm | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for arm in ARMS:
        cells = [_cell(report, arm) for report in reports.values()]
        lines.append(f"| `{arm}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(report: dict[str, Any], arm: str) -> str:
    (figures,) = [one["figures"] for one in report["arms"] if one["name"] == arm]
    (found,) = [one for name, one in figures.items() if name == MEASURE]
    return f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


if __name__ == "__main__":
    main()
