"""What does tuning the embedder on 2,000 pairs of one domain bring there, and cost elsewhere?

    python bench/tuning.py [--data DIR] [--pairs 2000] [--epochs 1] [--held-out 300] [--hard]

The domain is medquad_faq: questions of the NIH's answer pages and their answers. Diseases are
held out whole: their questions are asked over all answers of the held-out diseases, by the
embedder as it is served (int8), with and without the adapter. The guard is squad2: questions of
all kinds over its passages. Intervals are of the paired difference, by disease or by article.
With --hard each
question has a negative too: another answer on its disease. `--strengths` are shares of the learnt
change that are kept (`lora.strength`), each measured. Writes bench/out/tuning.json.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from machine import write_result
from sets import data_folder, load_set

from steelyard.core.training import Provenance, Retrieval, TrainingRow
from steelyard.embed import EmbedOptions, bert
from steelyard.embed.bert import BertEmbedder
from steelyard.evals.statistics import interval
from steelyard.tune import Rows, begin, make_recipe, new_run, train
from steelyard.tune.ranked import ndcg

MAX_TOKENS = 128
GUARD_QUESTIONS = 400
Asked = list[tuple[str, str, str]]  # question, id of its answer, cluster


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--held-out", type=int, default=300, help="diseases")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--margin", type=float, default=None)
    parser.add_argument("--hard", action="store_true", help="a negative of the same disease each")
    parser.add_argument("--strengths", default=".8", help="shares of the change, each measured")
    parser.add_argument("--precision", default="fp32")
    given = parser.parse_args()
    os.environ["STEELYARD_DATA"] = str(given.data)
    bert._NICENESS = 0  # nobody is served here, and other work would starve us
    learnt, asked, corpus = domain(given.pairs, given.held_out, hard=given.hard)
    guard_asked, guard_corpus = guard()
    flags: dict[str, Any] = {
        "kind": "embedder",
        "max_tokens": MAX_TOKENS,
        "allow_lost": 1.0,  # answers are of 230 tokens and more; their beginnings are learnt
        "train.epochs": given.epochs,
        "train.lr": given.lr,
        "train.precision": given.precision,
        "embedder.margin": given.margin,
        "lora.strength": 1.0,  # weakened below
    }
    with tempfile.TemporaryDirectory() as folder:
        recipe = make_recipe({}, flags={k: v for k, v in flags.items() if v is not None})
        run = new_run(Path(folder), name="bench")
        begin(run, recipe)
        start, start_cpu = time.perf_counter(), time.process_time()
        trained = train(recipe, Rows(learnt), run, told=tell)
        took_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
        before = embedder(None)
        result = {
            "pairs": len(learnt),
            "steps": trained.steps,
            "tokens": trained.tokens,
            "seconds": round(took_s),
            "cpu_seconds": round(cpu_s),
            "load": os.getloadavg()[0],
            "adapter_bytes": sum(p.stat().st_size for p in trained.artefact.iterdir()),
            "strengths": {},
        }
        for share in given.strengths.split(","):
            after = embedder(weakened(trained.artefact, float(share)))
            found = {
                "domain": compared(before, after, asked, corpus),
                "guard": compared(before, after, guard_asked, guard_corpus),
            }
            print(share, found, flush=True)
            result["strengths"][share] = found
    write_result("tuning", result)


def weakened(artefact: Path, share: float) -> Path:
    """Return the artefact with `share` of its change to the base."""
    if share == 1.0:
        return artefact
    folder = artefact.parent / f"of-{share:g}"
    shutil.copytree(artefact, folder)
    config = json.loads((folder / "adapter_config.json").read_bytes())
    config["lora_alpha"] *= share
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def tell(line: Any) -> None:
    if line["step"] % 5 == 0:
        print(line["step"], line["num_steps"], round(line["loss"], 4), flush=True)


def domain(
    num_pairs: int, held_out: int, *, hard: bool
) -> tuple[list[TrainingRow], Asked, dict[str, str]]:
    """Return rows of some diseases, and questions and answers of others."""
    by_disease = defaultdict(list)
    for one in load_set("medquad_faq").documents:
        by_disease[one.id.rsplit("-", 1)[0]].append(one)
    names = sorted(by_disease)
    random.Random(5).shuffle(names)
    tested, rest = names[:held_out], names[held_out:]
    documents = [one for name in tested for one in by_disease[name]]
    asked = [(one.title, one.id, one.id.rsplit("-", 1)[0]) for one in documents]
    corpus = {one.id: one.text for one in documents}
    known = {one.title.strip().lower() for one in documents}
    rows = [
        TrainingRow(
            Retrieval(one.title, (one.text,), others(one, by_disease[name]) if hard else ()),
            Provenance(documents=(name,)),
        )
        for name in rest
        for one in by_disease[name]
        if one.title.strip().lower() not in known
    ]
    random.Random(6).shuffle(rows)
    return rows[:num_pairs], asked, corpus


def others(one: Any, documents: list[Any]) -> tuple[str, ...]:
    """Return the answer that comes after this one on the same disease, if there is another."""
    place = documents.index(one)
    after = documents[(place + 1) % len(documents)]
    return (after.text,) if after.text != one.text else ()


def guard() -> tuple[Asked, dict[str, str]]:
    held = load_set("squad2")
    titles = {one.id: one.title for one in held.documents}
    pairs = [
        (text, document, titles[document])
        for query, text in held.queries.items()
        for document, grade in held.qrels[query].items()
        if grade > 0
    ]
    random.Random(7).shuffle(pairs)
    return pairs[:GUARD_QUESTIONS], {one.id: one.text for one in held.documents}


def embedder(adapter: Path | None) -> BertEmbedder:
    place = None if adapter is None else str(adapter)
    return BertEmbedder(EmbedOptions(adapter=place, max_tokens=MAX_TOKENS))


def compared(
    before: BertEmbedder, after: BertEmbedder, asked: Asked, corpus: dict[str, str]
) -> dict[str, Any]:
    """Return both means of nDCG@10 in points, and the interval of their difference."""
    old, new = (scores(one, asked, corpus) for one in (before, after))
    clusters = [cluster for _, _, cluster in asked]
    gain = interval(100 * (new - old), clusters)
    return {
        "questions": len(asked),
        "documents": len(corpus),
        "before": round(100 * float(old.mean()), 2),
        "after": round(100 * float(new.mean()), 2),
        "gain": [round(x, 2) for x in (gain.value, gain.low, gain.high)],
    }


def scores(one: BertEmbedder, asked: Asked, corpus: dict[str, str]) -> Any:
    ids = list(corpus)
    place = {identity: n for n, identity in enumerate(ids)}
    passages_PD = one.embed_passages([corpus[identity] for identity in ids])
    return np.array(
        [
            ndcg(passages_PD @ one.embed_query(question), {place[gold]})
            for question, gold, _ in asked
        ]
    )


if __name__ == "__main__":
    main()
