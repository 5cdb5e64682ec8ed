"""What a figure was measured on."""

import os
import platform
from pathlib import Path


def machine() -> dict[str, str]:
    """Return processor, cores, memory in GiB, system and Python of this machine, as text."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count() or 1),
        "memory": f"{pages * page_bytes / 2**30:.0f} GiB",
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
