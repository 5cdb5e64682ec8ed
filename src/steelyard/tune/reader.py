"""Kind `reader`: where in a text the answer to a question stands, or that it does not.

A window is a question and a part of its context; the first token stands for "no answer here".
Shapes: W windows, T tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Encoding

from steelyard.core.training import Reading, Span, TrainingRow
from steelyard.core.tuning import BaseModel, TokenAccount
from steelyard.infra.bert import Pair
from steelyard.tune.encoder import SPANS, Encoder, Head
from steelyard.tune.pairing import Pairing
from steelyard.tune.recipe import Recipe
from steelyard.tune.spans import ReadOut, measures, threshold_of
from steelyard.tune.task import Batch, Prepared, Shape
from steelyard.tune.tokens import Ids, Texts, added

if TYPE_CHECKING:
    import torch

_READ = 32  # windows at once, when measuring
NOWHERE = 0  # the token that stands for "no answer here"


@dataclass(frozen=True, slots=True)
class Window:
    """`start` and `end` are the first and last token of the answer, `NOWHERE` if it is not here.
    The context's tokens begin at `begin`; `offsets` (T, 2) are their places in its text."""

    row: int
    pair: Pair
    start: int
    end: int
    begin: int
    offsets: Ids


@dataclass(frozen=True, slots=True)
class Measured:
    """A window of a row that is measured on, with the row."""

    window: Window
    reading: Reading


class ReaderTask:
    """An extractive reader: a start and an end for each question, or none."""

    metric = "F1"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._encoder = Encoder(recipe, Head(SPANS, 2))
        self._pairing = Pairing(self._encoder)
        self._texts = Texts(self._encoder.path)
        self._threshold: float | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return ()

    def base(self) -> BaseModel:
        return self._encoder.identity

    def shape(self) -> Shape:
        return self._encoder.shape()

    def prepare(self, rows: Sequence[TrainingRow], *, training: bool) -> Prepared:
        examples: list[Measured] = []
        accounts: list[TokenAccount] = []
        for number, row in enumerate(rows):
            assert isinstance(row.example, Reading)
            windows, account = self._row(row.example, number, training)
            examples += [Measured(window, row.example) for window in windows]
            accounts.append(account)
        total = added(accounts)
        notes = (
            (f"{total.rows_dropped:,} rows were dropped: no window holds their whole answer",)
            if total.rows_dropped
            else ()
        )
        return Prepared(examples, [len(one.window.pair.ids) for one in examples], total, notes)

    def model(self) -> "torch.nn.Module":
        return self._encoder.load()

    def head(self, name: str) -> bool:
        return self._encoder.in_head(name)

    def collate(self, examples: Sequence[Any]) -> Batch:
        import torch

        return {
            "inputs": self._pairing.inputs([one.window.pair for one in examples]),
            "starts": torch.tensor([one.window.start for one in examples]),
            "ends": torch.tensor([one.window.end for one in examples]),
        }

    def weight(self, batch: Batch) -> float:
        return float(len(batch["starts"]))

    def loss(self, model: "torch.nn.Module", batch: Batch) -> "torch.Tensor":
        """Return the mean of start's and end's cross-entropy, summed over windows.

        Source: Devlin et al., 2019, section 4.3 (SQuAD 2.0).
        """
        from torch.nn.functional import cross_entropy

        out = model(**batch["inputs"])
        padding_WT = batch["inputs"]["attention_mask"] == 0
        starts_WT = out.start_logits.float().masked_fill(padding_WT, float("-inf"))
        ends_WT = out.end_logits.float().masked_fill(padding_WT, float("-inf"))
        start = cross_entropy(starts_WT, batch["starts"], reduction="sum")
        return (start + cross_entropy(ends_WT, batch["ends"], reduction="sum")) / 2

    def evaluate(self, model: "torch.nn.Module", examples: Sequence[Any]) -> Mapping[str, float]:
        """Return F1, exact match and how well "no answer" is told (AUROC)."""
        device = next(model.parameters()).device
        best: dict[int, ReadOut] = {}
        for start in range(0, len(examples), _READ):
            part = examples[start : start + _READ]
            inputs = self._pairing.inputs([one.window.pair for one in part])
            out = model(**{key: value.to(device) for key, value in inputs.items()})
            starts, ends = out.start_logits.float().cpu(), out.end_logits.float().cpu()
            for one, start_T, end_T in zip(part, starts.numpy(), ends.numpy(), strict=True):
                found = self._read_out(one, start_T, end_T)
                known = best.get(one.window.row)
                best[one.window.row] = found if known is None else known.joined(found)
        outs = list(best.values())
        self._threshold = threshold_of(outs)
        return measures(outs)

    def save(self, model: "torch.nn.Module", folder: Path) -> Mapping[str, Any]:
        """Write the weights; `threshold` is the margin over "no answer" above which F1 is best."""
        self._encoder.save(model, folder)
        return {} if self._threshold is None else {"threshold": self._threshold}

    def _read_out(self, one: Measured, start_T: Any, end_T: Any) -> ReadOut:
        """Return the best span of a window, and its margin over "no answer here"."""
        window, most = one.window, self._recipe.reader.max_answer_tokens
        places = slice(window.begin, window.begin + len(window.offsets))
        starts_T, ends_T = start_T[places], end_T[places]
        scores_TT = starts_T[:, None] + ends_T[None, :]
        allowed_TT = np.triu(np.tril(np.ones_like(scores_TT, bool), most - 1))
        scores_TT = np.where(allowed_TT, scores_TT, -np.inf)
        first, last = np.unravel_index(int(scores_TT.argmax()), scores_TT.shape)
        nowhere = float(start_T[NOWHERE] + end_T[NOWHERE])
        text = one.reading.context[window.offsets[first][0] : window.offsets[last][1]]
        score = float(scores_TT[first, last])
        return ReadOut(text, score, nowhere, tuple(span.text for span in one.reading.answers))

    def _row(
        self, reading: Reading, number: int, training: bool
    ) -> tuple[list[Window], TokenAccount]:
        question, lost = self._pairing.question(reading.question)
        (context,) = self._texts.encodings([reading.context])
        answer = _tokens_of(context, reading.answers[0]) if reading.answers else None
        windows = list(self._windows(question, context, number, answer))
        holding = [one for one in windows if one.start != NOWHERE]
        length = 0 if answer is None else answer[1] - answer[0] + 1
        whole = len(question) + lost + len(context)
        if training and reading.answers and not holding:
            return [], TokenAccount(dropped=whole, targets_lost=max(1, length), rows_dropped=1)
        taken = windows
        if training and holding:
            taken = [one for one in windows if one.start != NOWHERE or self._learnt(one)]
        seen = len({tuple(place) for one in taken for place in one.offsets.tolist()})
        cut = lost + max(0, len(context) - seen)
        return taken, TokenAccount(
            kept=whole - cut,
            truncated=cut,
            targets_kept=length or 1,  # "no answer" is a target too
            rows_kept=1,
            rows_truncated=int(cut > 0),
        )

    def _windows(
        self, question: Ids, context: Encoding, row: int, answer: tuple[int, int] | None
    ) -> Iterator[Window]:
        """Yield the windows of a context, each `stride` tokens into the one before."""
        template = self._pairing.template
        room = self._pairing.room - len(question)
        step = max(1, room - self._recipe.reader.stride)
        begin = len(template.before.ids) + len(question) + len(template.between.ids)
        ids, offsets = np.array(context.ids, np.int32), np.array(context.offsets, np.int32)
        for at in range(0, max(1, len(ids)), step):
            part = slice(at, at + room)
            inside = answer is not None and at <= answer[0] and answer[1] < at + room
            start, end = (begin + one - at for one in answer) if inside and answer else (0, 0)
            pair = template.join(question, ids[part])
            yield Window(row, pair, start, end, begin, offsets[part].reshape(-1, 2))
            if at + room >= len(ids):
                return

    def _learnt(self, window: Window) -> bool:
        """Tell whether a window without its row's answer is learnt from: by its content alone."""
        seed = self._recipe.seed.to_bytes(8, "big")
        chance = int.from_bytes(sha256(seed + window.pair.ids.tobytes()).digest()[:4], "big")
        return chance < self._recipe.reader.no_answer * 2**32


def _tokens_of(context: Encoding, span: Span) -> tuple[int, int] | None:
    """Return the first and last token that a span touches; None: it touches none."""
    end = span.start + len(span.text)
    touched = [n for n, (a, b) in enumerate(context.offsets) if a < end and b > span.start]
    return (touched[0], touched[-1]) if touched else None
