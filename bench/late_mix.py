"""How much should each comparison of late interaction count? Fitted to rows, before any training.

    python bench/late_mix.py ROWS.jsonl [--recipe recipes/reranker.yaml] [--rows N]

The recipe's base and head are made as training makes them; of each row's passages the four
comparisons of `core/late.py` are taken, and their weights are those that maximise the likelihood
of the positives among the negatives (listwise softmax, a ridge of .001 on standardised weights,
L-BFGS). What came stands in recipes/reranker.yaml, rounded. Writes bench/out/late_mix.json.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import torch
from machine import write_result

from steelyard.core.training import Retrieval, TrainingRow
from steelyard.tune.kinds import task_for
from steelyard.tune.reading import read_recipe

NAMES = ("scale", "window_scale", "exact", "adjacent")
RIDGE = 1e-3
AT_ONCE = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("rows", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/reranker.yaml"))
    parser.add_argument("--num", type=int, default=1_000)
    asked = parser.parse_args()
    lines = [json.loads(line) for line in asked.rows.read_text(encoding="utf-8").splitlines()]
    drawn = random.Random(0).sample(lines, min(asked.num, len(lines)))
    rows = [
        TrainingRow(Retrieval(one["query"], tuple(one["positives"]), tuple(one["negatives"])))
        for one in drawn
    ]
    found = fitted(compared(read_recipe(asked.recipe), rows))
    write_result("late_mix", {"rows": len(rows)} | found)


def compared(recipe: Any, rows: list[TrainingRow]) -> list[torch.Tensor]:
    """Return each list's comparisons (N, 4), the positive first."""
    task = task_for(recipe)
    examples = task.prepare(rows, training=True).examples
    model = task.model().eval()
    lists: list[torch.Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(examples), AT_ONCE):
            batch = task.collate(examples[start : start + AT_ONCE])
            made_P4 = model.compared(batch["questions"], batch["passages"], batch["which"])
            lists += torch.split(made_P4, list(batch["sizes"]))
    return lists


def fitted(lists: list[torch.Tensor]) -> dict[str, Any]:
    every = torch.cat(lists)
    mean_4, deviation_4 = every.mean(dim=0), every.std(dim=0)
    weights_4 = torch.zeros(len(NAMES), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights_4], max_iter=200, line_search_fn="strong_wolfe")

    def loss_of(weights: torch.Tensor) -> torch.Tensor:
        scores = [((one - mean_4) / deviation_4) @ weights for one in lists]
        return torch.stack([torch.logsumexp(one, 0) - one[0] for one in scores]).mean()

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = loss_of(weights_4) + RIDGE * (weights_4**2).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    found = (weights_4 / deviation_4).tolist()
    return {
        "fitted": {name: round(one, 1) for name, one in zip(NAMES, found, strict=True)},
        "nats a list": round(float(loss_of(weights_4)), 4),
    }


if __name__ == "__main__":
    main()
