"""What one more question costs on a GPU that is full and on an API, and where the two are equal.

No whole machines, people or documents: those are in `model`. This is the arithmetic of a token.
"""

from dataclasses import dataclass

from steelyard.advise.cells import Array, Cell, Origin, constant, leaf, mapped
from steelyard.advise.draws import Inputs
from steelyard.advise.model import HOURS_PER_MONTH, MILLION, questions_per_s
from steelyard.advise.scenario import Throughput

SECONDS_PER_HOUR = constant("seconds_per_hour", 3_600, "s/hour", "60 × 60")
ONE_GPU = constant("one_gpu", 1, "gpu", "a whole one")
THOUSAND = constant("questions_per_1000", 1_000, "question", "what a price for a thousand is for")


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens that a question's model reads and writes; `source` says who says so."""

    tokens_in: float
    tokens_out: float
    source: str

    def cells(self) -> tuple[Cell, Cell]:
        return (
            leaf("tokens_in", self.tokens_in, "token/question", Origin("read", self.source)),
            leaf("tokens_out", self.tokens_out, "token/question", Origin("written", self.source)),
        )

    def rate(self, points: tuple[Throughput, ...]) -> Cell:
        """Return the questions a second of one full GPU."""
        tokens_in, tokens_out = self.cells()
        return rate((tokens_in + tokens_out).named("tokens_per_question", "token/question"), points)


@dataclass(frozen=True, slots=True)
class Even:
    """From `rate` on, a GPU that is rented all the time costs less than the API's tokens."""

    rate: Cell
    per_month: Cell
    utilisation: Cell


def rate(
    tokens: Cell, points: tuple[Throughput, ...], *, name: str = "questions_per_s_of_a_gpu"
) -> Cell:
    """Return the questions a second of one full GPU, by tokens in and out together."""

    def curve(counts: Array) -> Array:
        return questions_per_s(points, counts)

    return mapped("throughput", tokens, "question/s/gpu", curve).named(name, "question/s/gpu")


def gpu_usd_per_1000(inputs: Inputs, gpu: str, questions: Cell) -> Cell:
    """Return the price of a thousand questions on a GPU that never waits."""
    each = inputs.price(gpu, "USD/gpu/hour") / SECONDS_PER_HOUR / questions
    return (each * THOUSAND).named("usd_per_1000_on_a_full_gpu", "USD")


def api_usd_per_question(inputs: Inputs, model: str, prompt: Prompt) -> Cell:
    """Return the price of one question's tokens; its length's tier counts."""
    tokens_in, tokens_out = prompt.cells()
    read = tokens_in * inputs.price_by_length(f"llm/{model}/in", "USD/Mtoken", tokens_in)
    written = tokens_out * inputs.price_by_length(f"llm/{model}/out", "USD/Mtoken", tokens_in)
    return ((read + written) / MILLION).named(f"usd_per_question_of_{model}", "USD/question")


def break_even(inputs: Inputs, gpu: str, api: Cell, questions: Cell) -> Even:
    """Return where one GPU, rented all the time, costs what the API's tokens cost.

    A `utilisation` over 1 says that one GPU cannot answer so many.
    """
    price = inputs.price(gpu, "USD/gpu/hour")
    even = (price / api / SECONDS_PER_HOUR).named("break_even_rate", "question/s/gpu")
    month = (even * SECONDS_PER_HOUR * HOURS_PER_MONTH).named(
        "break_even_questions_per_month", "question/month/gpu"
    )
    return Even(even, month, (even / questions).named("break_even_utilisation", "1"))


def gpu_usd_per_month(inputs: Inputs, gpu: str) -> Cell:
    """Return the price of one GPU that is rented all the time, idle or not."""
    return (inputs.price(gpu, "USD/gpu/hour") * HOURS_PER_MONTH).named(
        "usd_per_month_of_a_gpu", "USD/gpu/month"
    )
