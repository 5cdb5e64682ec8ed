"""Kind `embedder`: questions drawn to their passages, away from others' and from given ones.

Shapes: Q questions, C candidates (Q positives first, then negatives), D dimensions, T tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.training import Retrieval, TrainingRow
from steelyard.core.tuning import BaseModel, TokenAccount
from steelyard.tune.encoder import Encoder, Head, masks, padded
from steelyard.tune.ranked import ndcg, reciprocal_rank
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Batch, Prepared, Shape
from steelyard.tune.tokens import Cut, Ids, Texts, added, key_of

if TYPE_CHECKING:
    import torch

_EMBEDDED = 64  # texts at once, when measuring


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with one positive. `relevant` are the keys of all its positives, so that none
    of them counts as a negative."""

    query: Ids
    positive: Ids
    negatives: tuple[Ids, ...]
    query_key: int
    keys: tuple[int, ...]  # of the positive, then of the negatives
    relevant: tuple[int, ...]


class EmbedderTask:
    """A bi-encoder, pooled as its model card says, by InfoNCE over the batch."""

    metric = "nDCG@10"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._encoder = Encoder(recipe, Head())
        self._texts = Texts(self._encoder.path)

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    def base(self) -> BaseModel:
        return self._encoder.identity

    def shape(self) -> Shape:
        return self._encoder.shape()

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        examples: list[Asked] = []
        accounts: list[TokenAccount] = []
        used = self._recipe.embedder.negatives if training else None
        for row in rows:
            assert isinstance(row.example, Retrieval)
            asked, account = self._row(row.example, used)
            examples += asked
            accounts.append(account)
        return Prepared(examples, [_length(one) for one in examples], added(accounts))

    def model(self) -> "torch.nn.Module":
        from steelyard.tune.pooled import Pooled

        return Pooled(self._encoder.load(), pooling=self._encoder.card.pooling)

    def head(self, name: str) -> bool:
        return False

    def collate(self, examples: Sequence[Any]) -> Batch:
        import torch

        negatives = [(one, n) for one in examples for n in range(len(one.negatives))]
        texts = [one.positive for one in examples] + [one.negatives[n] for one, n in negatives]
        keys = [one.keys[0] for one in examples] + [one.keys[n + 1] for one, n in negatives]
        queries = [one.query for one in examples]
        width = max(len(one.relevant) for one in examples)
        relevant = [(*one.relevant, *[one.relevant[0]] * width)[:width] for one in examples]
        return {
            "texts": ((padded(queries), masks(queries)), (padded(texts), masks(texts))),
            "keys": torch.tensor(keys, dtype=torch.long),
            "relevant": torch.tensor(relevant, dtype=torch.long),
        }

    def weight(self, batch: Batch) -> float:
        return float(len(batch["relevant"]))

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        from steelyard.tune.contrast import contrastive_loss
        from steelyard.tune.pooled import untuned

        queries_QD, candidates_CD = model(batch["texts"])
        options = self._recipe.embedder
        guide = None if options.margin is None else untuned(model, batch["texts"])
        return contrastive_loss(
            queries_QD,
            candidates_CD,
            keys=batch["keys"],
            relevant=batch["relevant"],
            temperature=options.temperature,
            guide=guide,
            margin=options.margin or 0.0,
        )

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return nDCG@10 and MRR@10 of each question over all passages of `examples`."""
        texts: dict[int, Ids] = {}
        queries: dict[int, tuple[Ids, set[int]]] = {}
        for one in examples:
            given = (one.positive, *one.negatives)
            texts |= dict(zip(one.keys, given, strict=True))
            queries.setdefault(one.query_key, (one.query, set()))[1].update(one.relevant)
        keys = list(texts)
        place = {key: n for n, key in enumerate(keys)}
        passages_PD = self._embedded(model, [texts[key] for key in keys])
        queries_QD = self._embedded(model, [ids for ids, _ in queries.values()])
        gold = [{place[key] for key in keys_ if key in place} for _, keys_ in queries.values()]
        scores_QP = queries_QD @ passages_PD.T
        return {
            "nDCG@10": float(np.mean([ndcg(s, g) for s, g in zip(scores_QP, gold, strict=True)])),
            "MRR@10": float(
                np.mean([reciprocal_rank(s, g) for s, g in zip(scores_QP, gold, strict=True)])
            ),
        }

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        self._encoder.save(model.encoder, folder)
        return {}

    def _embedded(self, model: "torch.nn.Module", rows: Sequence[Ids]) -> Any:
        import torch

        order = np.argsort([len(row) for row in rows], kind="stable")
        device = next(model.parameters()).device
        made: dict[int, Any] = {}
        for start in range(0, len(rows), _EMBEDDED):
            part = order[start : start + _EMBEDDED]
            chosen = [rows[n] for n in part]
            texts = ((padded(chosen).to(device), masks(chosen).to(device)),)
            with torch.no_grad():
                (vectors,) = model(texts)
            made |= dict(zip(part.tolist(), vectors.float().cpu().numpy(), strict=True))
        return np.stack([made[n] for n in range(len(rows))])

    def _row(self, example: Retrieval, used: int | None) -> tuple[list[Asked], TokenAccount]:
        """Return one example for each positive; negatives beyond those used count as cut off."""
        limit = self._recipe.max_tokens
        encoder, texts = self._encoder, self._texts
        (query,) = texts.cut([example.query], prefix=encoder.prompt("query"), limit=limit)
        passage = encoder.prompt("passage", "document")
        positives = texts.cut(example.positives, prefix=passage, limit=limit)
        negatives = texts.cut(example.negatives, prefix=passage, limit=limit)
        taken = len(negatives) if used is None else min(used, len(negatives))
        relevant = tuple(key_of(text) for text in example.positives)
        negative_keys = tuple(key_of(text) for text in example.negatives[:taken])
        asked = [
            Asked(
                query=query.ids,
                positive=positive.ids,
                negatives=tuple(one.ids for one in negatives[:taken]),
                query_key=key_of(example.query),
                keys=(key, *negative_keys),
                relevant=relevant,
            )
            for positive, key in zip(positives, relevant, strict=True)
        ]
        return asked, _account([query, *positives], negatives, taken)


def _account(targets: Sequence[Cut], negatives: Sequence[Cut], taken: int) -> TokenAccount:
    seen = [*targets, *negatives[:taken]]
    unseen = sum(one.kept + one.cut for one in negatives[taken:])
    cut = sum(one.cut for one in seen) + unseen
    return TokenAccount(
        kept=sum(one.kept for one in seen),
        truncated=cut,
        targets_kept=sum(one.kept for one in targets),
        targets_lost=sum(one.cut for one in targets),
        rows_kept=1,
        rows_truncated=int(cut > 0),
    )


def _length(one: Asked) -> int:
    return len(one.query) + len(one.positive) + sum(map(len, one.negatives))
