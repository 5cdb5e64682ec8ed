"""How well does `steelyard.generate.support` tell sound sentences from unsound ones?

    python bench/citations.py [--data DIR]

BEGIN: answers of four dialogue models, judged by people as fully attributable to the given
evidence or not. Prints, as one JSON line: AUROC and accuracy at 0.5 of the shipped weights,
what the shipped threshold passes and catches, and a five-fold refit of the four fitted weights.
"""

import argparse
import gzip
import json
import os
from pathlib import Path

import numpy as np

from steelyard.generate.support import SUPPORTED, Evidence, features_of, support

FITTED = ("recall", "pairs", "news")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELYARD_DATA", here)))
    path = parser.parse_args().data / "faithfulness_begin" / "labels.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    sound = np.array([row["label"] == "Fully attributable" for row in rows])
    pairs = [(row["response"], Evidence.of(row["evidence"])) for row in rows]
    scores = np.array([support(response, evidence) for response, evidence in pairs])
    features = np.array([[features_of(*pair).get(name, 0.0) for name in FITTED] for pair in pairs])
    report = {
        "answers": len(rows),
        "sound": int(sound.sum()),
        "auroc": auroc(sound, scores),
        "accuracy_at_half": round(float(((scores >= 0.5) == sound).mean()), 3),
        "threshold": SUPPORTED,
        "sound_passed": round(float((scores[sound] >= SUPPORTED).mean()), 3),
        "unsound_caught": round(float((scores[~sound] < SUPPORTED).mean()), 3),
        "refit_auroc_5_fold": refit(features, sound),
        "refit_weights": {
            name: round(weight, 3)
            for name, weight in zip((*FITTED, "bias"), logistic(features, sound), strict=True)
        },
    }
    print(json.dumps(report))


def refit(features: np.ndarray, labels: np.ndarray, *, folds: int = 5) -> float:
    fold = np.random.default_rng(0).integers(0, folds, len(labels))
    scores = np.zeros(len(labels))
    for held in range(folds):
        *weights, bias = logistic(features[fold != held], labels[fold != held])
        scores[fold == held] = features[fold == held] @ weights + bias
    return auroc(labels, scores)


def logistic(features: np.ndarray, labels: np.ndarray, *, ridge: float = 1.0) -> list[float]:
    """Fit by Newton's method; the bias, last, is not shrunk."""
    X = np.c_[features, np.ones(len(features))]
    keep = np.diag([ridge] * features.shape[1] + [1e-9])
    weights = np.zeros(X.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-X @ weights))
        gradient = X.T @ (labels - p) - keep @ weights
        weights += np.linalg.solve((X * (p * (1 - p))[:, None]).T @ X + keep, gradient)
    return [float(weight) for weight in weights]


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the chance that a sound answer outscores an unsound one; ties count half."""
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(labels.sum())
    total = ranks[labels.astype(bool)].sum() - positive * (positive + 1) / 2
    return round(float(total / (positive * (len(labels) - positive))), 3)


if __name__ == "__main__":
    main()
