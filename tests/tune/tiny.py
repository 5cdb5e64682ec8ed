"""A tiny base, rows of every kind that it can learn from, and recipes of a few steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from steelyard.core.training import Labelled, Reading, Retrieval, Span, TrainingRow
from steelyard.infra.bert.config import read_card
from steelyard.infra.bert.weights import expected_shapes
from steelyard.tune import RunFolder, begin, make_recipe, new_run
from steelyard.tune.fit import Rows
from steelyard.tune.recipe import Recipe

TOPICS = ("leave", "travel", "salary", "safety", "parking", "canteen", "training", "laptop")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
OTHERS = ("how", "many", "days", "of", "are", "there", "?", ".", "the", "rule", "says", "for",
          "and", "office", "is", "in", "it", "who", "asks", "about")  # fmt: skip
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *TOPICS, *NUMBERS, *OTHERS]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


def write_base(path: Path, *, seed: int = 1, dropout: float = 0.1) -> Path:
    path.mkdir()
    dropouts = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    (path / "config.json").write_text(json.dumps(CONFIG | dropouts))
    vocab = {word: n for n, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(path / "tokenizer.json"))
    chance = np.random.default_rng(seed)
    shapes = expected_shapes(read_card(path).architecture) | {
        "embeddings.token_type_embeddings.weight": (2, 32),
        "pooler.dense.weight": (32, 32),
        "pooler.dense.bias": (32,),
    }
    tensors = {
        name: chance.normal("LayerNorm.weight" in name, 0.1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    return path


def retrieval_rows(number: int, *, start: int = 0) -> list[TrainingRow]:
    rows: list[TrainingRow] = []
    for n in range(start, start + number):
        topic, count = TOPICS[n % len(TOPICS)], NUMBERS[n // len(TOPICS) % len(NUMBERS)]
        other = TOPICS[(n + 3) % len(TOPICS)]
        rows.append(
            TrainingRow(
                Retrieval(
                    query=f"how many days of {topic} in office {count} ?",
                    positives=(f"the rule says {count} for {topic} .",),
                    negatives=(
                        f"the rule says {count} for {other} .",
                        f"who asks about {other} in the office .",
                    ),
                )
            )
        )
    return rows


def reader_rows(number: int, *, start: int = 0) -> list[TrainingRow]:
    rows: list[TrainingRow] = []
    for n in range(start, start + number):
        topic, count = TOPICS[n % len(TOPICS)], NUMBERS[n // len(TOPICS) % len(NUMBERS)]
        context = f"in the office the rule says {count} for {topic} ."
        asked = topic if n % 4 else TOPICS[(n + 1) % len(TOPICS)]
        spans = (Span(count, context.index(f" {count} ") + 1),) if n % 4 else ()
        rows.append(TrainingRow(Reading(f"how many days of {asked} ?", context, spans)))
    return rows


def labelled_rows(number: int, *, start: int = 0) -> list[TrainingRow]:
    return [
        TrainingRow(
            Labelled(
                f"who asks about {TOPICS[n % len(TOPICS)]} in office {NUMBERS[n // 8 % 10]} ?",
                f"about-{TOPICS[n % 4]}",
            )
        )
        for n in range(start, start + number)
    ]


MADE: dict[str, Callable[..., list[TrainingRow]]] = {
    "embedder": retrieval_rows,
    "reranker": retrieval_rows,
    "reader": reader_rows,
    "classifier": labelled_rows,
}
KINDS = tuple(MADE)


def recipe_for(kind: str, base: Path, **flags: Any) -> Recipe:
    """Return a recipe of 12 steps with a checkpoint after every third."""
    given = {
        "kind": kind,
        "base": str(base),
        "max_tokens": 32,
        "threads": 1,
        "lora.rank": 4,
        "lora.dropout": 0.1,
        "train.steps": 12,
        "train.batch_size": 4,
        "train.lr": 3e-3,
        "train.head_lr": 0.0,
        "train.checkpoint_every": 3,
        "train.eval_every": 4,
    }
    return make_recipe({}, flags=given | flags)


def rows_for(kind: str, *, train: int = 32, eval: int = 8) -> Rows:
    made = MADE[kind]
    return Rows(train=made(train), eval=made(eval, start=train), dataset="tiny")


def started(root: Path, recipe: Recipe, *, name: str = "") -> RunFolder:
    run = new_run(root, name=name)
    begin(run, recipe)
    return run
