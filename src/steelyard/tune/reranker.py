"""Kind `reranker`: a cross-encoder that scores a positive above the negatives of its question.

Shapes: L lists, N passages of the longest list (the positive first), P pairs of all lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.training import Retrieval, TrainingRow
from steelyard.core.tuning import BaseModel, TokenAccount
from steelyard.infra.bert import Pair
from steelyard.tune.encoder import SCORES, Encoder, Head
from steelyard.tune.pairing import Pairing, Scored
from steelyard.tune.ranked import ndcg, reciprocal_rank
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Batch, Prepared, Shape
from steelyard.tune.tokens import added

if TYPE_CHECKING:
    import torch

_SCORED = 64  # pairs at once, when measuring


@dataclass(frozen=True, slots=True)
class Listed:
    """A question's pairs: `num_positive` positives first, then negatives."""

    pairs: tuple[Pair, ...]
    num_positive: int = 1


class RerankerTask:
    """A cross-encoder with one score, its layers cut to the recipe's number."""

    metric = "nDCG@10"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._encoder = Encoder(recipe, Head(SCORES, 1))
        self._pairing = Pairing(self._encoder)
        self._teacher: torch.nn.Module | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    def base(self) -> BaseModel:
        return self._encoder.identity

    def shape(self) -> Shape:
        return self._encoder.shape()

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        examples: list[Listed] = []
        accounts: list[TokenAccount] = []
        for row in rows:
            assert isinstance(row.example, Retrieval)
            listed, account = self._row(row.example, training)
            examples += listed
            accounts.append(account)
        total = added(accounts)
        notes = (
            (f"{total.rows_dropped:,} rows without a negative were dropped: there is nothing to "
             "rank a positive above; add some by `steelyard data mine`",)
            if total.rows_dropped
            else ()
        )  # fmt: skip
        return Prepared(examples, [_length(one) for one in examples], total, notes)

    def model(self) -> "torch.nn.Module":
        if self._recipe.reranker.teacher:
            from steelyard.tune.teacher import load_teacher

            self._teacher = load_teacher(self._recipe.reranker.teacher, self._encoder.identity)
        return self._encoder.load()

    def head(self, name: str) -> bool:
        return self._encoder.in_head(name)

    def collate(self, examples: Sequence[Any]) -> Batch:
        pairs = [pair for one in examples for pair in one.pairs]
        return {
            "inputs": self._pairing.inputs(pairs),
            "sizes": tuple(len(one.pairs) for one in examples),
        }

    def weight(self, batch: Batch) -> float:
        pointwise = self._recipe.reranker.loss == "bce"
        return float(sum(batch["sizes"]) if pointwise else len(batch["sizes"]))

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        import torch

        from steelyard.tune.ranking import distilled, listwise, pointwise

        options = self._recipe.reranker
        scores_P = model(**batch["inputs"]).logits[:, 0].float()
        own = (pointwise if options.loss == "bce" else listwise)(scores_P, batch["sizes"])
        if self._teacher is None:
            return own
        with torch.no_grad():
            teacher = self._teacher.to(scores_P.device)
            taught_P = teacher(**batch["inputs"]).logits[:, 0].float()
        followed = distilled(scores_P, taught_P, batch["sizes"])
        per_target = self.weight(batch) / len(batch["sizes"])  # both losses count alike
        return (1 - options.distil) * own + options.distil * per_target * followed

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return nDCG@10 and MRR@10 of each question's own passages, ranked."""
        scores = self._scores(model, [pair for one in examples for pair in one.pairs])
        nDCGs: list[float] = []
        ranks: list[float] = []
        at = 0
        for one in examples:
            # Ties go against us: negatives are put first.
            own = scores[at : at + len(one.pairs)][::-1]
            gold = set(range(len(one.pairs) - one.num_positive, len(one.pairs)))
            nDCGs.append(ndcg(own, gold))
            ranks.append(reciprocal_rank(own, gold))
            at += len(one.pairs)
        return {"nDCG@10": float(np.mean(nDCGs)), "MRR@10": float(np.mean(ranks))}

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        self._encoder.save(model, folder)
        first_stage = self._recipe.reranker.first_stage
        return {"first_stage": first_stage} if first_stage else {}

    def _scores(self, model: "torch.nn.Module", pairs: Sequence[Pair]) -> Any:
        device = next(model.parameters()).device
        order = np.argsort([len(pair.ids) for pair in pairs], kind="stable")
        scores_P = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), _SCORED):
            part = order[start : start + _SCORED]
            inputs = self._pairing.inputs([pairs[n] for n in part])
            logits = model(**{key: value.to(device) for key, value in inputs.items()}).logits
            scores_P[part] = logits[:, 0].float().cpu().numpy()
        return scores_P

    def _row(self, example: Retrieval, training: bool) -> tuple[list[Listed], TokenAccount]:
        """Return one list for each positive, for measuring one for all; () without a negative."""
        question, lost = self._pairing.question(example.query)
        positives = self._pairing.passages(question, example.positives)
        negatives = self._pairing.passages(question, example.negatives)
        if not negatives:
            every = len(question) + lost + sum(one.kept + one.cut for one in positives)
            return [], TokenAccount(dropped=every, targets_lost=every, rows_dropped=1)
        taken = negatives[: self._recipe.reranker.negatives] if training else negatives
        others = tuple(one.pair for one in taken)
        if training:
            listed = [Listed((one.pair, *others)) for one in positives]
        else:
            pairs = tuple(one.pair for one in positives) + others
            listed = [Listed(pairs, len(positives))]
        unseen = sum(one.kept + one.cut for one in negatives[len(taken) :])
        return listed, _account(len(question), lost, positives, taken, unseen)


def _account(
    question: int, lost: int, positives: Sequence[Scored], negatives: Sequence[Scored], unseen: int
) -> TokenAccount:
    targets_lost = lost + sum(one.cut for one in positives)
    cut = targets_lost + sum(one.cut for one in negatives) + unseen
    targets = question + sum(one.kept for one in positives)
    return TokenAccount(
        kept=targets + sum(one.kept for one in negatives),
        truncated=cut,
        targets_kept=targets,
        targets_lost=targets_lost,
        rows_kept=1,
        rows_truncated=int(cut > 0),
    )


def _length(one: Listed) -> int:
    return sum(len(pair.ids) for pair in one.pairs)
