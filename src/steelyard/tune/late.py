"""Kind `reranker`, scoring `late`: question and passage read apart, their tokens compared.

A list is a question's passages, positives first, as `tune/reranker.py` has pairs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steelyard.core.errors import InputError
from steelyard.core.late import LateScoring
from steelyard.core.training import Retrieval, TrainingRow
from steelyard.core.tuning import BaseModel, TokenAccount
from steelyard.tune.encoder import TOKENS, Encoder, Head, masks, padded
from steelyard.tune.ranked import ndcg, reciprocal_rank
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Batch, Prepared, Shape
from steelyard.tune.tokens import Cut, Ids, Texts, added

if TYPE_CHECKING:
    import torch

_LISTS = 8  # scored at once, when measuring


@dataclass(frozen=True, slots=True)
class Compared:
    """A question and its passages, each with special tokens; `num_positive` come first."""

    question: Ids
    passages: tuple[Ids, ...]
    num_positive: int = 1


class LateTask:
    """An encoder with a head that weighs tokens, its layers cut to the recipe's number."""

    metric = "nDCG@10"

    def __init__(self, recipe: Recipe) -> None:
        """Open the base's files.

        Raises:
            SetupError, InputError: the base is missing, or the recipe does not fit it.
        """
        options = recipe.reranker
        if options.teacher or options.loss != "listwise" or recipe.method == "full":
            raise InputError(
                "reranker.scoring 'late' has no teacher, only the listwise loss, and is trained as "
                "an adapter; leave reranker.teacher and reranker.loss out, and method at 'lora'"
            )
        self._recipe = recipe
        self._scoring = LateScoring(
            scale=options.scale,
            window=options.window,
            window_scale=options.window_scale,
            exact=options.exact,
            adjacent=options.adjacent,
        )
        self._encoder = Encoder(recipe, Head(TOKENS, 1 + options.dim))
        if options.dim > (hidden := self._encoder.card.architecture.hidden):
            raise InputError(
                f"reranker.dim {options.dim} is more than the {hidden} numbers that base "
                f"{recipe.base!r} has for a token; give at most {hidden}"
            )
        self._texts = Texts(self._encoder.path)
        self._seen: dict[bytes, Ids] = {}  # passages that are learnt from, each once

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    def base(self) -> BaseModel:
        return self._encoder.identity

    def shape(self) -> Shape:
        return self._encoder.shape()

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        examples: list[Compared] = []
        accounts: list[TokenAccount] = []
        for row in rows:
            assert isinstance(row.example, Retrieval)
            compared, account = self._row(row.example, training)
            examples += compared
            accounts.append(account)
        if training:
            self._seen = {ids.tobytes(): ids for one in examples for ids in one.passages}
        total = added(accounts)
        notes = (
            (f"{total.rows_dropped:,} rows without a negative were dropped: there is nothing to "
             "rank a positive above; add some by `steelyard data mine`",)
            if total.rows_dropped
            else ()
        )  # fmt: skip
        return Prepared(examples, [_length(one) for one in examples], total, notes)

    def model(self) -> "torch.nn.Module":
        from steelyard.tune.interaction import Interaction, start_head

        encoder = self._encoder.load()
        if self._seen:
            start_head(encoder, list(self._seen.values()), self._rarity())
        return Interaction(encoder, self._scoring)

    def head(self, name: str) -> bool:
        return self._encoder.in_head(name)

    def collate(self, examples: Sequence[Any]) -> Batch:
        import torch

        questions = [one.question for one in examples]
        passages = [ids for one in examples for ids in one.passages]
        which = [n for n, one in enumerate(examples) for _ in one.passages]
        return {
            "questions": (padded(questions), masks(questions)),
            "passages": (padded(passages), masks(passages)),
            "which": torch.tensor(which, dtype=torch.long),
            "sizes": tuple(len(one.passages) for one in examples),
        }

    def weight(self, batch: Batch) -> float:
        return float(len(batch["sizes"]))

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        from steelyard.tune.ranking import listwise

        scores_P = model(batch["questions"], batch["passages"], batch["which"])
        return listwise(scores_P, batch["sizes"])

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return nDCG@10 and MRR@10 of each question's own passages, ranked."""
        nDCGs: list[float] = []
        ranks: list[float] = []
        device = next(model.parameters()).device
        for start in range(0, len(examples), _LISTS):
            part = examples[start : start + _LISTS]
            batch = self.collate(part)
            questions, passages = (
                tuple(one.to(device) for one in batch[name]) for name in ("questions", "passages")
            )
            scores_P = model(questions, passages, batch["which"].to(device)).float().cpu().numpy()
            for one, own in zip(part, np.split(scores_P, _ends(batch["sizes"])), strict=True):
                # Ties go against us: negatives are put first.
                gold = set(range(len(own) - one.num_positive, len(own)))
                nDCGs.append(ndcg(own[::-1], gold))
                ranks.append(reciprocal_rank(own[::-1], gold))
        return {"nDCG@10": float(np.mean(nDCGs)), "MRR@10": float(np.mean(ranks))}

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        self._encoder.save(model.encoder, folder)
        return {**asdict(self._scoring), "first_stage": self._recipe.reranker.first_stage}

    def _rarity(self) -> dict[int, float]:
        """Return the logarithm of each token's inverse frequency among passages."""
        found = Counter(int(token) for ids in self._seen.values() for token in set(ids.tolist()))
        return {token: log((len(self._seen) + 1) / (n + 0.5)) for token, n in found.items()}

    def _row(self, example: Retrieval, training: bool) -> tuple[list[Compared], TokenAccount]:
        """Return one list for each positive, for measuring one for all; () without a negative."""
        limit = self._recipe.max_tokens
        (question,) = self._texts.cut([example.query], limit=max(3, limit // 2))
        positives = self._texts.cut(example.positives, limit=limit)
        negatives = self._texts.cut(example.negatives, limit=limit)
        every = [question, *positives, *negatives]
        if not negatives:
            tokens = sum(one.kept + one.cut for one in every)
            return [], TokenAccount(dropped=tokens, targets_lost=tokens, rows_dropped=1)
        taken = negatives[: self._recipe.reranker.negatives] if training else negatives
        others = tuple(one.ids for one in taken)
        if training:
            made = [Compared(question.ids, (one.ids, *others)) for one in positives]
        else:
            ids = (*(one.ids for one in positives), *others)
            made = [Compared(question.ids, ids, len(positives))]
        return made, _account([question, *positives], taken, unseen=negatives[len(taken) :])


def _account(
    targets: Sequence[Cut], negatives: Sequence[Cut], *, unseen: Sequence[Cut]
) -> TokenAccount:
    lost = sum(one.cut for one in targets)
    cut = lost + sum(one.cut for one in negatives) + sum(one.kept + one.cut for one in unseen)
    kept = sum(one.kept for one in targets)
    return TokenAccount(
        kept=kept + sum(one.kept for one in negatives),
        truncated=cut,
        targets_kept=kept,
        targets_lost=lost,
        rows_kept=1,
        rows_truncated=int(cut > 0),
    )


def _ends(sizes: Sequence[int]) -> Any:
    return np.cumsum(sizes)[:-1]


def _length(one: Compared) -> int:
    return len(one.question) + sum(len(ids) for ids in one.passages)
