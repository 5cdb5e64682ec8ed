"""The measures that a language model gives: their names, and what is asked of it.

Their values come from `judge.Judge`, which waits for an endpoint; nothing here computes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from steelyard.core.errors import SetupError
from steelyard.core.evaluation import Better, Outcome, Question, Reduce, Values
from steelyard.evals.measures.measure import Meaning


class Aspect(StrEnum):
    SUPPORT = "support"
    CORRECT = "correct"


_SOURCE = "mean of ≥ 3 votes; its agreement with people must be measured first"

FAMILIES = (
    Meaning(
        "judge:support",
        "judge:support",
        "share of a language model's votes that the sources say all that the answer says",
        "0 to 1",
        Better.HIGHER,
        _SOURCE,
    ),
    Meaning(
        "judge:correct",
        "judge:correct",
        "share of a language model's votes that the answer means what a gold answer means; "
        "an unanswerable question must be declined",
        "0 to 1",
        Better.HIGHER,
        _SOURCE,
    ),
)


@dataclass(frozen=True, slots=True)
class JudgedMeasure:
    """A measure whose values `judge.Judge.judge` gives, for its `aspect`."""

    aspect: Aspect

    @property
    def name(self) -> str:
        return f"judge:{self.aspect.value}"

    @property
    def reduce(self) -> Reduce:
        return Reduce.MEAN

    @property
    def better(self) -> Better:
        return Better.HIGHER

    @property
    def quality(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.name

    def values(self, questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        """Raise: there is no value without an endpoint.

        Raises:
            SetupError: always.
        """
        raise SetupError(
            f"{self.name} asks a language model, and none is set; name an OpenAI-compatible "
            "endpoint for the judge and its model, or leave this measure out"
        )


MEASURES = tuple(JudgedMeasure(aspect) for aspect in Aspect)
