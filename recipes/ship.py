"""Put what a run made into the package, its numbers rounded to float16.

    python recipes/ship.py RUN/artefact reranker

The package's folder gets the adapter, its configuration, and what it is bound to, with the rows and
their licences; nothing else of the run. How far the rounding moves a number is told.
"""

import argparse
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from steelyard.infra.binding import read_binding, write_binding

log = logging.getLogger("ship")

PACKAGE = Path(__file__).parents[1] / "src" / "steelyard" / "models"
WEIGHTS, CONFIG, INPUTS = "adapter_model.safetensors", "adapter_config.json", "inputs.json"
OPTIONS = {"reader": "reader.model", "reranker": "rerank.model"}
LICENCES = {
    "reader": "CC BY-SA 4.0 (SQuAD 2.0, HotpotQA), CC BY 4.0 (MuSiQue), MIT (PolicyQA)",
    "reranker": (
        "CC BY-SA 4.0 (SQuAD 2.0, HotpotQA, Wikitext), CC BY 4.0 (MuSiQue, PubMed), MIT and "
        "BSD-3-Clause (product documentation, ConvFinQA, UltraChat)"
    ),
}


def ship(artefact: Path, name: str, folder: Path) -> float:
    """Copy an artefact; return the largest change of a number, relative to its tensor's largest."""
    binding = read_binding(artefact)
    if binding is None:
        raise SystemExit(f"{artefact} says not what it is bound to; give a run's artefact")
    rows = json.loads((artefact.parent / INPUTS).read_bytes())["rows_sha256"][:12]
    tensors = load_file(artefact / WEIGHTS)
    rounded = {key: one.astype(np.float16) for key, one in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(rounded, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)
    shutil.copyfile(artefact / CONFIG, folder / CONFIG)
    shipped = replace(
        binding,
        dataset=f"recipes/{name}_rows.py, sha256 {rows}",
        licence=LICENCES[name],
        options={OPTIONS[name]: "default"},
    )
    write_binding(folder, shipped)
    return max(
        float(np.abs(one - rounded[key].astype(np.float32)).max() / max(np.abs(one).max(), 1e-9))
        for key, one in tensors.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("artefact", type=Path)
    parser.add_argument("name", choices=tuple(LICENCES))
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder = PACKAGE / asked.name
    moved = ship(asked.artefact, asked.name, folder)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 2**20
    log.info("%s: %.1f MB; no number moved by more than %.1e of its tensor", folder, size, moved)


if __name__ == "__main__":
    main()
