"""What a result was measured on, and where results go."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.infra.machine import machine as about_machine

OUT = Path(__file__).parent / "out"


def machine() -> dict[str, Any]:
    """Return commit, processor, cores and Python of this run."""
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    dirty = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=False,
    )
    commit = git.stdout.strip() + ("+" if dirty.stdout.strip() else "")
    return {"commit": commit, **about_machine()}


def write_result(name: str, result: Mapping[str, Any], *, quiet: bool = False) -> Path:
    """Write bench/out/NAME.json with the machine beside the result, and print it."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    text = json.dumps({"machine": machine(), **result}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    if not quiet:
        sys.stdout.write(text + "\n")
    return path


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    total_kb = 0
    for process in (pid, *_children(pid)):
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        total_kb += int(line.split()[1])
    return total_kb / 1024


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            found += [int(child), *_children(int(child))]
    return found
