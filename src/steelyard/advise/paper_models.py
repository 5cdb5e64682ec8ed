"""The published figures of tuning, and of answering without retrieval."""

from steelyard.advise.cells import Cell
from steelyard.advise.marginal import ONE_GPU, SECONDS_PER_HOUR, Prompt
from steelyard.advise.model import HOURS_PER_MONTH, MILLION, SECONDS_PER_DAY, training_usd
from steelyard.advise.paper import Line, Paper
from steelyard.advise.scenario import THROUGHPUT, THROUGHPUT_SOURCE

H100 = "gpu/h100-sxm"
TUNER = "tuning/prime-intellect/qwen3.5-9b"
LARGE_TUNER = "tuning/fireworks/up-to-80b"
SMALL_GPU = "gpu/rtx-4090"
SMALL_MODEL = "llm/llama-3.1-8b@groq"
ENTRY_MODEL = "llm/gpt-6-luna"
_TUNING, _ANSWERING = "Tuning", "Answering without retrieval"


def own_hour(paper: Paper) -> Cell:
    """Return the price of an H100 that the article's own compute implies."""
    return (paper.said("compute_7b") / paper.said("hours_7b")).named(
        "price of an hour as implied", "USD/gpu/hour"
    )


def _scaled(paper: Paper, size: str) -> Cell:
    """Return a tuning's price if hours grow with parameters and samples."""
    by_size = paper.said(f"size_{size}") / paper.said("size_7b")
    by_examples = paper.said(f"examples_{size}") / paper.said("examples_7b")
    hours = (paper.said("hours_7b") * by_size * by_examples).named(
        "hours in proportion", "gpu*hour"
    )
    return (hours * own_hour(paper)).named("in proportion to the 7B tuning", "USD")


def _by_token(paper: Paper, size: str, seller: str) -> Cell:
    inputs = paper.inputs(
        examples=paper.said(f"examples_{size}").point,
        tokens_per_example=paper.assumed("tokens_per_example").point,
        epochs=paper.assumed("epochs").point,
        training=seller,
    )
    return training_usd(inputs)


def _busy(paper: Paper, size: str, hours: Cell) -> Cell:
    """Return the share of an H100's arithmetic that a tuning in so many hours needs."""
    tokens = paper.said(f"examples_{size}") * paper.assumed("tokens_per_example")
    work = paper.said(f"size_{size}") * paper.assumed("work_per_token") * tokens
    able = paper.assumed("h100_work") * hours * SECONDS_PER_HOUR / ONE_GPU
    return (work * paper.assumed("epochs") / able).named(f"share of the arithmetic, {size}", "1")


TUNING = (
    Line(
        "qlora-7b-compute", _TUNING, "4 hours at the book's range for an H100", "compute_7b",
        lambda paper: (
            paper.said("hours_7b") * paper.price_range(H100, "USD/gpu/hour")
        ).named("4 hours", "USD"),
        "12 USD for 4 h is {hour} USD an hour; today's offers for the chip give {gives} USD. At "
        "400 tokens a sample seen once the GPU does {busy} of its arithmetic: plausible.",
        {"hour": own_hour, "busy": lambda paper: _busy(paper, "7b", paper.said("hours_7b"))},
    ),
    Line(
        "qlora-7b-one-time", _TUNING, "compute and storage added", "one_time_7b",
        lambda paper: (
            paper.said("compute_7b") + paper.said("dataset_storage")
        ).named("compute and storage", "USD"),
        "The parts make the lower end. The upper end takes {more} further runs, of which nothing "
        "is said.",
        {
            "more": lambda paper: (
                (paper.said("one_time_7b") - paper.said("compute_7b")
                 - paper.said("dataset_storage")) / paper.said("compute_7b")
            ).named("further runs", "1")
        },
    ),
    Line(
        "lora-7b", _TUNING, "100,000 samples, paid by the token", "lora_7b",
        lambda paper: _by_token(paper, "7b", TUNER),
        "400 tokens a sample, each seen once: assumed. Three epochs cost thrice as much.",
    ),
    Line(
        "lora-13b", _TUNING, "the 7B tuning, in proportion to parameters and samples", "lora_13b",
        lambda paper: _scaled(paper, "13b"),
        "13/7 of the parameters and 5 times the samples, at {hour} USD an hour.",
        {"hour": own_hour},
    ),
    Line(
        "qlora-70b", _TUNING, "the 7B tuning, in proportion to parameters and samples", "qlora_70b",
        lambda paper: _scaled(paper, "70b"),
        "100 times the 7B tuning is {gives} USD, which is what a seller takes by the token too "
        "({sold}). Its {said} USD are {hours} h, in which the GPU would have to do {busy} of its "
        "arithmetic, against {first} in the article's own 7B tuning: possible, and not from its "
        "own first line.",
        {
            "sold": lambda paper: _by_token(paper, "70b", LARGE_TUNER),
            "hours": lambda paper: _hours_70b(paper),
            "busy": lambda paper: _busy(paper, "70b", _hours_70b(paper)),
            "first": lambda paper: _busy(paper, "7b", paper.said("hours_7b")),
        },
    ),
)  # fmt: skip


def _hours_70b(paper: Paper) -> Cell:
    return (paper.said("qlora_70b") / own_hour(paper)).named("hours paid for", "gpu*hour")


def _whole_gpu(paper: Paper) -> Cell:
    return (own_hour(paper) * HOURS_PER_MONTH * ONE_GPU).named("a whole H100", "USD/month")


def _tokens_per_s(paper: Paper) -> Cell:
    """Return the tokens a second of a million questions a day, on average."""
    each = paper.said("tokens_per_question")
    return (paper.said("support_volume") * each / SECONDS_PER_DAY).named(
        "tokens a second on average", "token/s"
    )


def _used_share(paper: Paper) -> Cell:
    return (paper.said("inference") / _whole_gpu(paper)).named("share of a month paid for", "1")


def _full_tokens_per_s(_: Paper) -> Cell:
    point = THROUGHPUT[0]
    prompt = Prompt(point.tokens_in, point.tokens_out, THROUGHPUT_SOURCE)
    tokens_in, tokens_out = prompt.cells()
    full = prompt.rate(THROUGHPUT) * (tokens_in + tokens_out)
    return full.named("tokens a second of a full H100", "token/s/gpu")


def tokens_usd(paper: Paper, model: str) -> Cell:
    """Return a month's price of a million questions a day, paid by the token."""
    read = paper.assumed("tokens_read") * paper.price(f"{model}/in", "USD/Mtoken")
    written = paper.assumed("tokens_written") * paper.price(f"{model}/out", "USD/Mtoken")
    each = ((read + written) / MILLION).named("tokens of a question", "USD/question")
    return (paper.a_month("support_volume") * each).named("tokens a month", "USD/month")


def _small_gpus(paper: Paper) -> Cell:
    price = paper.price(SMALL_GPU, "USD/gpu/hour")
    return (paper.assumed("small_gpus") * price * HOURS_PER_MONTH).named("small GPUs", "USD/month")


def _used_seconds(paper: Paper) -> Cell:
    able = paper.rate(paper.said("tokens_per_question"))
    hours = paper.a_month("support_volume") / able / SECONDS_PER_HOUR
    return (hours * own_hour(paper)).named("used seconds of an H100", "USD/month")


ANSWERING = (
    Line(
        "inference-whole-gpu", _ANSWERING, "one H100 at the article's own price, all the month",
        "inference", _whole_gpu,
        "{said} USD a month is {hour} USD an hour, less than any H100; or an H100 that is paid "
        "for {share} of the month, which then does {needed} tokens a second where a full one is "
        "published to do {full} with an 8B model: plausible, if only what is used is paid for.",
        {
            "hour": lambda paper: (
                paper.said("inference") / HOURS_PER_MONTH / ONE_GPU
            ).named("price of an hour", "USD/gpu/hour"),
            "share": _used_share,
            "needed": lambda paper: (
                _tokens_per_s(paper) / _used_share(paper)
            ).named("tokens a second while paid for", "token/s"),
            "full": _full_tokens_per_s,
        },
    ),
    Line(
        "inference-4090s", _ANSWERING, "two RTX 4090, all the month", "inference", _small_gpus,
        "Each would do {each} tokens a second on average; whether it does at the busiest hour, "
        "nobody has measured here.",
        {
            "each": lambda paper: (
                _tokens_per_s(paper) / paper.assumed("small_gpus")
            ).named("tokens a second of each", "token/s/gpu")
        },
    ),
    Line(
        "inference-by-token", _ANSWERING, "an 8B model, paid by the token, 150 read and 50 written",
        "inference", lambda paper: tokens_usd(paper, SMALL_MODEL),
        "{said} USD a month is {each} USD a million tokens, the price of hosted 8B models.",
        {
            "each": lambda paper: (
                paper.said("inference") / paper.a_month("support_volume")
                / paper.said("tokens_per_question") * MILLION
            ).named("price of a million tokens", "USD/Mtoken")
        },
    ),
    Line(
        "inference-entry", _ANSWERING, "the cheapest model of a large seller, by the token",
        "inference", lambda paper: tokens_usd(paper, ENTRY_MODEL),
        "So the article's figure is of a small model.",
    ),
    Line(
        "inference-seconds", _ANSWERING, "an H100 paid for the seconds in which it is full",
        "inference", _used_seconds,
        "Our throughput curve is stretched from 1,152 tokens, its shortest measured point, to 200, "
        "and nothing is full all day: a floor, not an estimate.",
    ),
)  # fmt: skip
