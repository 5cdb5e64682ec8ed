"""How fast is the default embedder, int8 and fp32, and beside sentence-transformers?

    python bench/encoder.py [--data DIR] [--rounds N] [--quality SET]

Measures one question (p50) and passages of 189 tokens a second, tokenising included; all
contestants take turns in each round. On a busy machine read the processor time a passage: our
passages run at low priority and give way to everybody else's work, the peer's do not. The peer
takes part if PEER_PYTHON names a Python that has sentence-transformers: it runs as a
process of its own, on the same weights, with two threads and its default batches. --quality
adds dense nDCG@10 of both precisions on a judged set of the data folder, such as squad2. Writes
bench/out/encoder.json.
"""

import argparse
import csv
import gzip
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import rss_mb, write_result

from steelyard.embed import EmbedOptions
from steelyard.embed.bert import BertEmbedder
from steelyard.infra.models import find_model

NUM_TOKENS = 189
NUM_PASSAGES = 24
NUM_QUESTIONS = 40

PEER = """
import json, sys, time
import torch
torch.set_num_threads(2)
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    kind, texts = json.loads(line)
    times = []
    for given in (texts if kind == "queries" else [texts]):
        start = time.perf_counter(), time.process_time()
        model.encode(given, normalize_embeddings=True, show_progress_bar=False)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    print(json.dumps(times), flush=True)
"""

Times = list[tuple[float, float]]  # wall and processor seconds of each call
Timed = Callable[[Sequence[str]], Times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("STEELYARD_DATA", here)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quality", metavar="SET")
    arguments = parser.parse_args()

    start = time.perf_counter()
    int8 = BertEmbedder()
    int8.embed_query("ready?")
    ready_s = time.perf_counter() - start
    rss = {"ready": round(rss_mb(os.getpid()))}
    fp32 = BertEmbedder(EmbedOptions(precision="fp32"))
    questions = [row["text"] for row in rows(arguments.data / "squad2/queries.jsonl.gz")]
    passages = cut_passages(int8, arguments.data / "squad2/corpus.jsonl.gz")
    with ExitStack() as stack:
        contestants = {"int8": ours(int8), "fp32": ours(fp32)}
        peer_python = os.environ.get("PEER_PYTHON")
        if peer_python:
            contestants["sentence-transformers"] = stack.enter_context(peer(peer_python))
        table = race(contestants, questions[:NUM_QUESTIONS], passages, rounds=arguments.rounds)
    rss["after passages"] = round(rss_mb(os.getpid()))
    result: dict[str, Any] = {
        "tokens_a_passage": NUM_TOKENS,
        "open_and_first_query_s": round(ready_s, 3),
        "rss_mb": rss,
        "cosine_of_check_texts": round(int8.encoder.cosine, 4),
        "speed": table,
    }
    if arguments.quality:
        result["dense_ndcg_at_10"] = {"set": arguments.quality} | {
            name: round(quality(embedder, arguments.data / arguments.quality), 4)
            for name, embedder in (("int8", int8), ("fp32", fp32))
        }
    write_result("encoder", result)


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cut_passages(embedder: BertEmbedder, path: Path) -> list[str]:
    """Return texts of NUM_TOKENS tokens from a corpus read as one text."""
    text = "\n".join(row["text"] for row in rows(path)[:200])
    spans = embedder.tokenizer.offsets(text)
    firsts = range(0, len(spans) - NUM_TOKENS, NUM_TOKENS)
    cuts = [text[spans[n][0] : spans[n + NUM_TOKENS - 1][1]] for n in firsts]
    return cuts[:NUM_PASSAGES]


def race(
    contestants: dict[str, dict[str, Timed]],
    questions: Sequence[str],
    passages: Sequence[str],
    *,
    rounds: int,
) -> dict[str, dict[str, float]]:
    """Return medians by contestant; the first round only warms up."""
    queries: dict[str, Times] = {name: [] for name in contestants}
    batches: dict[str, Times] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, timed in contestants.items():
            asked, read = timed["queries"](questions), timed["passages"](passages)
            if turn:
                queries[name] += asked
                batches[name] += read
    table = {
        name: {
            "query_p50_ms": statistics.median(wall for wall, _ in queries[name]) * 1e3,
            "query_cpu_p50_ms": statistics.median(cpu for _, cpu in queries[name]) * 1e3,
            "passages_a_s": statistics.median(len(passages) / wall for wall, _ in batches[name]),
            "passage_cpu_ms": statistics.median(cpu for _, cpu in batches[name])
            / len(passages)
            * 1e3,
        }
        for name in contestants
    }
    return {
        name: {key: float(f"{value:.3g}") for key, value in numbers.items()}
        for name, numbers in table.items()
    }


def ours(embedder: BertEmbedder) -> dict[str, Timed]:
    def timed(function: Callable[[Any], object], argument: object) -> tuple[float, float]:
        start = time.perf_counter(), time.process_time()
        function(argument)
        return time.perf_counter() - start[0], time.process_time() - start[1]

    return {
        "queries": lambda texts: [timed(embedder.embed_query, text) for text in texts],
        "passages": lambda texts: [timed(embedder.embed_passages, texts)],
    }


@contextmanager
def peer(python: str) -> Iterator[dict[str, Timed]]:
    """Run sentence-transformers on the same weights in its own process."""
    command = [python, "-c", PEER, str(find_model("all-MiniLM-L6-v2"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        reader, writer = process.stdout, process.stdin
        if not reader.readline():
            raise SystemExit(f"{python} has no sentence-transformers")

        def ask(kind: str, texts: Sequence[str]) -> Times:
            writer.write(json.dumps([kind, list(texts)]) + "\n")
            writer.flush()
            return [(wall, cpu) for wall, cpu in json.loads(reader.readline())]

        yield {
            "queries": lambda texts: ask("queries", texts),
            "passages": lambda texts: ask("passages", texts),
        }
        writer.close()


def quality(embedder: BertEmbedder, folder: Path) -> float:
    """Return the mean nDCG@10 of dense search over the judged questions."""
    with (folder / "qrels.tsv").open(encoding="utf-8") as lines:
        table = list(csv.reader(lines, delimiter="\t"))[1:]
    gold: dict[str, set[str]] = {}
    for query_id, document_id, relevance in table:
        if int(relevance) > 0:
            gold.setdefault(query_id, set()).add(document_id)
    corpus = rows(folder / "corpus.jsonl.gz")
    ids = [row["id"] for row in corpus]
    rows_ND = embedder.embed_passages([f"{row['title']}\n{row['text']}" for row in corpus])
    gains = []
    for query in rows(folder / "queries.jsonl.gz"):
        wanted = gold.get(query["id"])
        if wanted:
            best = np.argsort(-(rows_ND @ embedder.embed_query(query["text"])))[:10]
            gain = sum(1 / np.log2(n + 2) for n, row in enumerate(best) if ids[row] in wanted)
            gains.append(gain / sum(1 / np.log2(n + 2) for n in range(min(10, len(wanted)))))
    return float(np.mean(gains))


if __name__ == "__main__":
    main()
