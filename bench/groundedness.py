"""How well does the groundedness check agree with people? Cohen's kappa on BEGIN.

    python bench/groundedness.py [--data DIR] [--llm-url URL --llm-model NAME]

BEGIN: 1,229 answers of four dialogue models, judged by people as fully attributable to the given
evidence or not. Judges: `support` of the whole answer at .5 and at the product's threshold; the
check as every answer served passes it (`cite`: sentence by sentence, markers or not; sound if no
sentence is marked); `support` with its three fitted weights and its threshold fitted anew, each
fifth of the evidences held out, as its shipped weights were fitted on these very labels; and a
language model, where one is given. Intervals: 10,000 resamples of evidences. Writes
bench/out/groundedness.json.
"""

import argparse
import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from citations import FITTED, logistic
from machine import write_result
from sets import data_folder

from steelyard.core.chat import Passage
from steelyard.evals.measures.agreement import (
    Calibration,
    Label,
    calibrate,
    calibrate_judge,
    read_labels,
)
from steelyard.evals.measures.judge import Judge, JudgeOptions
from steelyard.generate.citations import cite
from steelyard.generate.support import SUPPORTED, Evidence, features_of, support

FOLDS = 5


def whole(response: str, evidence: str) -> float:
    return support(response, Evidence.of(evidence))


def as_served(response: str, evidence: str) -> float:
    """Return 1 if the product would mark no sentence of the answer."""
    passage = Passage(1, 1, "e", "e", "", evidence, 0, len(evidence), 1.0)
    found = cite(response, [passage])
    return float(found.answerable and not found.unsupported)


def held_out(labels: tuple[Label, ...]) -> Callable[[str, str], float]:
    """Return verdicts by weights and threshold that have not seen the evidence."""
    fold = np.array([crc32(label.cluster.encode()) % FOLDS for label in labels])
    sound = np.array([label.sound for label in labels])
    pairs = [features_of(label.response, Evidence.of(label.evidence)) for label in labels]
    features = np.array([[pair.get(name, 0.0) for name in FITTED] for pair in pairs])
    verdicts: dict[tuple[str, str], float] = {}
    for held in range(FOLDS):
        *weights, bias = logistic(features[fold != held], sound[fold != held])
        scores = features @ weights + bias
        threshold = best_threshold(scores[fold != held], sound[fold != held])
        for place in np.flatnonzero(fold == held):
            label = labels[place]
            verdicts[label.response, label.evidence] = float(scores[place] >= threshold)
    return lambda response, evidence: verdicts[response, evidence]


def best_threshold(scores: np.ndarray, sound: np.ndarray) -> float:
    tried = np.unique(scores)
    right = [float(((scores >= threshold) == sound).mean()) for threshold in tried]
    return float(tried[int(np.argmax(right))])


async def by_model(url: str, model: str, labels: tuple[Label, ...]) -> Calibration:
    judge = Judge(JudgeOptions(url=url, model=model), key=os.environ.get("STEELYARD_LLM_KEY", ""))
    try:
        return await calibrate_judge(judge, labels)
    finally:
        await judge.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--llm-url")
    parser.add_argument("--llm-model", default="")
    given = parser.parse_args()
    labels = read_labels(given.data / "faithfulness_begin" / "labels.jsonl.gz")
    found = {
        "support of the whole, .5": calibrate(whole, labels),
        f"support of the whole, {SUPPORTED}": calibrate(whole, labels, threshold=SUPPORTED),
        "as served": calibrate(as_served, labels),
        "refit, held out": calibrate(held_out(labels), labels),
    }
    if given.llm_url:
        found[given.llm_model] = asyncio.run(by_model(given.llm_url, given.llm_model, labels))
    counts = {
        "labels": len(labels),
        "sound": sum(label.sound for label in labels),
        "evidences": len({label.cluster for label in labels}),
    }
    write_result("groundedness", counts | {name: row(one) for name, one in found.items()})


def row(one: Calibration) -> dict[str, Any]:
    figures = {
        name: [round(part, 3) for part in (figure.value, figure.low, figure.high)]
        for name, figure in (("kappa", one.kappa), ("agreement", one.agreement))
    }
    return figures | {"confusion": asdict(one.confusion), "failed": one.num_failed}


if __name__ == "__main__":
    main()
