"""What was trained is what is served: the adapter acts, merged as torch would run it."""

import numpy as np
import pytest
import torch
from tests.tune.tiny import KINDS, recipe_for, rows_for, started

from steelyard.core.training import Retrieval, TrainingRow
from steelyard.embed import EmbedOptions
from steelyard.embed.bert import BertEmbedder
from steelyard.tune import train
from steelyard.tune.embedder import EmbedderTask
from steelyard.tune.pooled import Pooled

TEXTS = ("how many days of leave ?", "the rule says one for parking .", "who asks")


def pooled_by_torch(task: EmbedderTask, adapter) -> np.ndarray:
    from peft import PeftModel
    from transformers import AutoModel

    from steelyard.tune.needs import quiet

    with quiet():
        encoder = AutoModel.from_pretrained(task._encoder.path, add_pooling_layer=False)
        model = Pooled(PeftModel.from_pretrained(encoder, adapter), pooling="mean").eval()
    rows = [cut.ids for cut in task._texts.cut(TEXTS, limit=32)]
    with torch.no_grad():
        return np.concatenate(
            [model(((torch.tensor(r)[None], torch.ones(1, len(r))),))[0].numpy() for r in rows]
        )


def test_served_vectors_are_those_of_the_trained_model(base, tmp_path):  # FIELD 12, 13
    recipe = recipe_for("embedder", base, **{"train.lr": 1e-2})
    run = started(tmp_path, recipe)
    train(recipe, rows_for("embedder"), run)
    options = {"model": str(base), "max_tokens": 32, "precision": "fp32"}
    served = BertEmbedder(EmbedOptions(adapter=str(run.artefact), **options))
    plain = BertEmbedder(EmbedOptions(**options))
    expected = pooled_by_torch(EmbedderTask(recipe), run.artefact)
    assert served.embed_passages(TEXTS) == pytest.approx(expected, abs=2e-5)
    assert np.abs(plain.embed_passages(TEXTS) - expected).max() > 1e-3, "the adapter acts"
    assert served.fingerprint != plain.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_that_measured_best_are_kept(kind, base, tmp_path):  # FIELD 20
    whole = {"train.eval_every": 2, "train.lr": 2e-2, "lora.strength": 1.0}
    recipe = recipe_for(kind, base, **whole)
    run = started(tmp_path, recipe)
    trained = train(recipe, rows_for(kind), run)
    metric = {"reader": "F1", "classifier": "accuracy"}.get(kind, "nDCG@10")
    measured = {line["step"]: line["eval"][metric] for line in run.metrics() if "eval" in line}
    assert trained.after[metric] == max(measured.values())
    assert trained.best_step == max(measured, key=lambda step: (measured[step], -step))


def test_no_batch_is_wider_than_the_recipe_says(base):  # FIELD 5
    recipe = recipe_for("embedder", base, max_tokens=10, allow_lost=1.0)
    task = EmbedderTask(recipe)
    long = TrainingRow(Retrieval("how many days " * 9, ("the rule says one " * 9,)))
    prepared = task.prepare([long], training=True)
    batch = task.collate(prepared.examples)
    assert [ids.shape for ids, _ in batch["texts"]] == [(1, 10), (1, 10)]
    account = prepared.account
    assert (account.kept, account.truncated) == (16, 27 + 36 - 16)
