"""What a way to answer costs: every formula of the comparison, in units.

A way (`Option`) is an arm and what runs its model. Amounts of money are a month's, as a row over
the months of the horizon, or one-time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from steelyard.advise.cells import (
    Array,
    Cell,
    Origin,
    ceil,
    constant,
    largest,
    leaf,
    least,
    mapped,
    total,
)
from steelyard.advise.curves import curve
from steelyard.advise.draws import Inputs
from steelyard.advise.measured import Arm, ArmMeasured
from steelyard.advise.scenario import Scenario, Throughput


class Runs(StrEnum):
    """What runs the model of an option."""

    API = "api"  # a seller's model, paid by the token
    GPU = "gpu"  # one's own, on rented GPUs
    SERVER = "server"  # no language model: the documents' own words


@dataclass(frozen=True, slots=True)
class Option:
    arm: Arm
    runs: Runs

    def __str__(self) -> str:
        return f"{self.arm}@{self.runs}"


@dataclass(frozen=True, slots=True)
class Weighed:
    """An option's figures. `parts` are amounts a month by what they are for, `setup` one-time ones;
    `total` is over the horizon. `quality` includes what has gone stale; `gpus` None: none."""

    option: Option
    parts: dict[str, Cell]
    setup: dict[str, Cell]
    monthly: Cell
    one_time: Cell
    total: Cell
    quality: Cell
    first_word_ms: Cell
    questions: Cell
    gpus: Cell | None = None


HOURS_PER_MONTH = constant("hours_per_month", 730, "hour/month", "365 × 24 / 12")
DAYS_PER_MONTH = constant("days_per_month", 365 / 12, "day/month", "365 / 12")
SECONDS_PER_DAY = constant("seconds_per_day", 86_400, "s/day", "24 × 60 × 60")
MONTHS_PER_YEAR = constant("months_per_year", 12, "month/year", "of equal length")
MILLION = constant("tokens_per_million", 1e6, "token/Mtoken", "a price is for a million tokens")
READS_PER_MILLION = constant("read_units_per_million", 1e6, "readunit/Mreadunit", "as sold")
BYTES_PER_GB = constant("bytes_per_gb", 1e9, "byte/GB", "decimal, as storage is sold")
TUNINGS_PER_DOCUMENT = constant(
    "tunings_per_changed_document",
    1,
    "1/document",
    "no more than one for each document that changed: without changes there is nothing to learn",
)
ONE_MONTH = constant("one_month", 1, "month", "what a share a month is a share of")


def _bytes_per_chunk() -> Cell:
    """Return what a chunk takes on disk, by the largest home whose disk was measured."""
    truth, index = curve("truth"), curve("index")
    chunks = truth.measured_to
    value = float(truth.values(np.array(chunks)) + index.values(np.array(chunks))) * 1e6 / chunks
    what = f"truth and both indexes on disk, at {chunks:,.0f} chunks"
    return leaf("bytes_per_chunk", value, "byte/chunk", replace(truth.origin, what=what))


BYTES_PER_CHUNK = _bytes_per_chunk()


def options(scenario: Scenario, inputs: Inputs) -> Iterator[Option]:
    """Yield the ways that a scenario's choices allow, in a fixed order."""
    choices = scenario.choices
    for arm in Arm:
        known = inputs.measured.arms.get(arm)
        if known is None:
            continue
        if not known.calls_model:
            yield Option(arm, Runs.SERVER)
            continue
        if choices.tuned_model if arm.is_tuned else choices.api_model:
            yield Option(arm, Runs.API)
        if choices.gpu:
            yield Option(arm, Runs.GPU)


def weigh(inputs: Inputs, option: Option) -> Weighed:
    """Return what an option costs and gives.

    Raises:
        NotFound: a price is missing; names it.
    """
    arm, known = option.arm, inputs.measured.arms[option.arm]
    questions = questions_per_month(inputs)
    asked = (questions * (1.0 - inputs["hit_ratio"])).named(
        "questions_to_the_model", "question/month"
    )
    gpus: Cell | None = None
    parts: dict[str, Cell] = {}
    if option.runs is Runs.API:
        parts["model tokens"] = _tokens_usd(inputs, option, known, asked)
    elif option.runs is Runs.GPU:
        gpus = _gpus(inputs, option, known, asked)
        parts["GPUs"] = (
            gpus * HOURS_PER_MONTH * inputs.price(inputs.scenario.choices.gpu, "USD/gpu/hour")
        ).named(f"{option} GPUs a month", "USD/month")
    parts["servers"] = _servers_usd(inputs, questions)
    if arm.retrieves:
        parts |= _knowledge_usd(inputs, questions)
    if arm.is_tuned:
        parts["retraining"] = _retraining_usd(inputs, arm)
    parts["people"] = _upkeep_usd(inputs, arm)
    setup = _setup(inputs, arm)
    monthly = _added(parts.values()).named(f"{option} a month", "USD/month")
    one_time = _added(setup.values()).named(f"{option} one-time", "USD")
    whole = (total(_over_months(monthly, inputs)) + one_time).named(f"{option} total", "USD")
    return Weighed(
        option, parts, setup, monthly, one_time, whole,
        quality=_quality(inputs, arm),
        first_word_ms=inputs.figure(
            f"{arm} first word", known.first_word_ms, "ms", "p95 of the first word"
        ),
        questions=questions,
        gpus=gpus,
    )  # fmt: skip


def questions_per_month(inputs: Inputs) -> Cell:
    """Return questions in each month of the horizon, (·, M)."""
    months = np.arange(inputs.scenario.choices.months, dtype=np.float64)[None, :]
    number = leaf(
        "months_since_start", months, "1", Origin("0 in the first month", "by definition")
    )
    growth = ((inputs["growth"] + 1.0) ** number).named("growth_so_far", "1")
    return (inputs["questions_per_day"] * DAYS_PER_MONTH * growth).named(
        "questions_per_month", "question/month"
    )


def prompt_tokens(inputs: Inputs, option: Option, known: ArmMeasured) -> Cell:
    """Return the tokens of a prompt: as counted, else its parts."""
    name = f"{option.arm} prompt"
    if known.prompt_tokens is not None:
        return inputs.figure(name, known.prompt_tokens, "token/question", "tokens read")
    prompt = inputs["instruction_tokens"] + inputs["question_tokens"]
    if option.arm.retrieves:
        prompt = prompt + inputs["context_tokens"]
    return prompt.named(name, "token/question")


def answer_tokens(inputs: Inputs, option: Option, known: ArmMeasured) -> Cell:
    if known.answer_tokens is None:
        return inputs["answer_tokens"]
    return inputs.figure(
        f"{option.arm} answer", known.answer_tokens, "token/question", "tokens written"
    )


def _tokens_usd(inputs: Inputs, option: Option, known: ArmMeasured, asked: Cell) -> Cell:
    choices = inputs.scenario.choices
    model = choices.tuned_model if option.arm.is_tuned else choices.api_model
    prompt, answer = prompt_tokens(inputs, option, known), answer_tokens(inputs, option, known)

    def price(kind: str) -> Cell:
        return inputs.price_by_length(f"llm/{model}/{kind}", "USD/Mtoken", prompt)

    cached_share = inputs["cached_share"]
    read = prompt * (1.0 - cached_share) * price("in")
    if np.any(cached_share.value > 0):
        sold = f"llm/{model}/cached" in inputs.prices.items(f"llm/{model}/")
        read = read + prompt * cached_share * price("cached" if sold else "in")
    each = ((read + answer * price("out")) / MILLION).named(
        f"{option} tokens of a question", "USD/question"
    )
    return (asked * each).named(f"{option} tokens a month", "USD/month")


def _gpus(inputs: Inputs, option: Option, known: ArmMeasured, asked: Cell) -> Cell:
    peak = _peak(inputs, asked, "model questions a second at the peak")
    tokens = prompt_tokens(inputs, option, known) + answer_tokens(inputs, option, known)
    scenario = inputs.scenario
    measured = mapped(
        "throughput", tokens.named(f"{option} tokens a question", "token/question"),
        "question/s/gpu", lambda counts: questions_per_s(scenario.throughput, counts),
    ).named(f"{option} questions a second of a GPU as measured", "question/s/gpu")  # fmt: skip
    able = (measured * inputs["gpu_speed"] * inputs["utilisation"]).named(
        f"{option} questions a second of a GPU", "question/s/gpu"
    )
    return largest(inputs["min_gpus"], ceil(peak / able)).named(f"{option} GPUs", "gpu")


def questions_per_s(points: tuple[Throughput, ...], tokens: Array) -> Array:
    """Return a GPU's questions a second by tokens in and out together.

    Straight between measured points in logarithms; beyond them as between the nearest two, and
    with one point only, in proportion to the tokens.
    """
    totals = np.log([one.tokens_in + one.tokens_out for one in points])
    rates = np.log([one.questions_per_s for one in points])
    wanted = np.log(np.maximum(tokens, 1.0))
    if len(points) == 1:
        return np.asarray(np.exp(rates[0] - (wanted - totals[0])), np.float64)
    place = np.clip(np.searchsorted(totals, wanted), 1, len(points) - 1)
    slope = (rates[place] - rates[place - 1]) / (totals[place] - totals[place - 1])
    return np.asarray(np.exp(rates[place - 1] + slope * (wanted - totals[place - 1])), np.float64)


def _peak(inputs: Inputs, questions: Cell, name: str) -> Cell:
    return (questions / DAYS_PER_MONTH / SECONDS_PER_DAY * inputs["peak_factor"]).named(
        name, "question/s"
    )


def _servers_usd(inputs: Inputs, questions: Cell) -> Cell:
    peak = _peak(inputs, questions, "questions a second at the peak")
    able = (inputs["server_questions_per_s"] * inputs["utilisation"]).named(
        "questions a second of a server", "question/s/server"
    )
    servers = largest(inputs["min_servers"], ceil(peak / able)).named("servers", "server")
    price = inputs.price(inputs.scenario.choices.server, "USD/server/month")
    return (servers * price).named("servers a month", "USD/month")


def _corpus_tokens(inputs: Inputs) -> Cell:
    return (inputs["documents"] * inputs["tokens_per_document"]).named("corpus tokens", "token")


def _knowledge_usd(inputs: Inputs, questions: Cell) -> dict[str, Cell]:
    choices, tokens = inputs.scenario.choices, _corpus_tokens(inputs)
    chunks = (tokens / inputs["chunk_tokens"]).named("chunks", "chunk")
    size = (chunks * BYTES_PER_CHUNK / BYTES_PER_GB).named("size of the index", "GB")
    item, unit = choices.disk, "USD/GB/month"
    if choices.vector_db:
        item = f"{choices.vector_db}/storage"
    stored = (size * inputs.price(item, unit)).named("stored a month", "USD/month")
    if choices.vector_db:
        minimum = inputs.price(f"{choices.vector_db}/minimum", "USD/month")
        stored = largest(minimum, stored).named("vector database a month", "USD/month")
    parts = {"index": stored}
    if choices.vector_db and _sells_reads(inputs):
        reads = questions * inputs["read_units_per_question"] / READS_PER_MILLION
        price = inputs.price(f"{choices.vector_db}/read", "USD/Mreadunit")
        parts["searches"] = (reads * price).named("vector database reads a month", "USD/month")
    if choices.embedding:
        changed = (tokens * inputs["churn"]).named("changed tokens", "token/month")
        parts["embedding"] = (
            changed / MILLION * inputs.price(choices.embedding, "USD/Mtoken")
        ).named("embedding of changes a month", "USD/month")
    return parts


def _sells_reads(inputs: Inputs) -> bool:
    """Tell whether a vector database is paid by the read unit; other units are not counted."""
    item = f"{inputs.scenario.choices.vector_db}/read"
    known = item in inputs.prices.items(item)
    return known and inputs.prices.price(item).unit == "USD/M read units"


def training_usd(inputs: Inputs) -> Cell:
    """Return the price of one tuning: a seller's, or one's own GPUs' where rows may not leave."""
    tokens = (inputs["examples"] * inputs["tokens_per_example"] * inputs["epochs"]).named(
        "tokens of one tuning", "token"
    )
    choices = inputs.scenario.choices
    if choices.training and not choices.private:
        price = inputs.price(choices.training, "USD/Mtoken")
        return (tokens / MILLION * price).named("one tuning", "USD")
    hours = (tokens / inputs["training_tokens_per_hour"]).named(
        "GPU hours of one tuning", "gpu*hour"
    )
    return (hours * inputs.price(choices.gpu, "USD/gpu/hour")).named("one tuning", "USD")


def _retraining_usd(inputs: Inputs, arm: Arm) -> Cell:
    if arm.retrieves:
        times = inputs["style_retrains_per_year"] / MONTHS_PER_YEAR
        times = times.named("tunings a month for style", "1/month")
    else:
        often = DAYS_PER_MONTH / inputs["staleness_days"]
        changed = inputs["churn"] * inputs["documents"] * TUNINGS_PER_DOCUMENT
        times = least(often, changed).named("tunings a month for facts", "1/month")
    by_hand = inputs["hours_per_retrain"] * _person(inputs)
    return (times * (training_usd(inputs) + by_hand)).named(
        f"{arm} retraining a month", "USD/month"
    )


def _person(inputs: Inputs) -> Cell:
    return inputs.price(inputs.scenario.choices.person, "USD/hour")


def _upkeep_usd(inputs: Inputs, arm: Arm) -> Cell:
    hours = inputs["upkeep_hours_base"]
    if arm.retrieves:
        hours = hours + inputs["upkeep_hours_rag"]
    return (hours * _person(inputs)).named(f"{arm} people a month", "USD/month")


def _setup(inputs: Inputs, arm: Arm) -> dict[str, Cell]:
    hours = inputs["setup_hours_base"]
    found: dict[str, Cell] = {}
    if arm.retrieves:
        hours = hours + inputs["setup_hours_rag"]
        if item := inputs.scenario.choices.embedding:
            found["first embedding"] = (
                _corpus_tokens(inputs) / MILLION * inputs.price(item, "USD/Mtoken")
            ).named("first embedding", "USD")
    if arm.is_tuned:
        hours = hours + inputs["setup_hours_tuning"]
        found["first tuning"] = training_usd(inputs)
    return {"people": (hours * _person(inputs)).named(f"{arm} people one-time", "USD"), **found}


def _quality(inputs: Inputs, arm: Arm) -> Cell:
    """Return the mean quality over time, with what has changed since the last tuning."""
    fresh = inputs.quality(arm)
    if arm is not Arm.TUNED:
        return fresh  # closed book never knew; retrieval reads what is true now
    half = constant("half", 0.5, "1", "knowledge is half its greatest age on average")
    age = (inputs["staleness_days"] * half / DAYS_PER_MONTH / ONE_MONTH).named(
        "mean age of what was learnt, in months", "1"
    )
    kept = least(inputs["churn"] * ONE_MONTH, constant("all", 1.0, "1", "no more than all"))
    stale = (1.0 - (1.0 - kept) ** age).named("share of questions on what changed since", "1")
    answered = fresh * (1.0 - stale) + least(fresh, inputs["stale_quality"]) * stale
    return answered.named(f"{arm} quality over time", "1")


def _over_months(monthly: Cell, inputs: Inputs) -> Cell:
    """Return a month's amount as one for each month, also where all are alike."""
    months = inputs.scenario.choices.months
    if monthly.value.shape[1] == months:
        return monthly
    value = np.broadcast_to(monthly.value, (monthly.value.shape[0], months))
    return Cell(value, monthly.unit, monthly.name, monthly.formula, monthly.inputs)


def _added(cells: Iterable[Cell]) -> Cell:
    first, *rest = cells
    for cell in rest:
        first = first + cell
    return first
