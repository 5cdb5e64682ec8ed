"""Embeds the chunks with sentence-transformers, as every peer does; goes on where it was.

    python embed_chunks.py MODEL_DIR CHUNKS.jsonl VECTORS.npy [--rate]

`--rate` embeds everything anew, after a warm-up, and prints chunks per second.
Some 20 chunks a second on two cores. Parts are kept beside the result until it is whole.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

PART = 512


def main() -> None:
    model_dir, chunks, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(2)
    texts = [json.loads(line)["text"] for line in chunks.read_text("utf-8").splitlines()]
    model = SentenceTransformer(model_dir, device="cpu")
    if sys.argv[4:] == ["--rate"]:
        model.encode(texts[:32], batch_size=32)
        started = time.perf_counter()
        np.save(out, model.encode(texts, batch_size=32, normalize_embeddings=True))
        sys.stdout.write(f"{len(texts) / (time.perf_counter() - started):.2f}\n")
        return
    parts = []
    for start in range(0, len(texts), PART):
        path = out.with_suffix(f".part{start // PART}.npy")
        if not path.exists():
            vectors = model.encode(
                texts[start : start + PART], batch_size=32, normalize_embeddings=True
            )
            np.save(path, vectors.astype(np.float32))
            sys.stderr.write(f"embedded {min(start + PART, len(texts))} of {len(texts)}\n")
        parts.append(path)
    np.save(out, np.concatenate([np.load(path) for path in parts]))
    for path in parts:
        path.unlink()


if __name__ == "__main__":
    main()
