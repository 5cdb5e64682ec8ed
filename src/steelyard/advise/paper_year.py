"""The published totals of twelve months, and the rules that can be held against them."""

from steelyard.advise.cells import Cell, largest
from steelyard.advise.paper import Line, Paper

_YEAR, _RULES = "Twelve months", "Rules that its own figures can test"
_RAG_PARTS = ("vector_db", "embedding_new")  # a month, whatever the volume


def _at_volume(paper: Paper, usd: str, volume: str) -> Cell:
    """Return an amount that is stated at 1M queries a day, in proportion at another volume."""
    share = (paper.said(volume) / paper.said("support_volume")).named("share of the volume", "1")
    return (paper.said(usd) * share).named(f"{usd} at that volume", "USD/month")


def _tuning(paper: Paper, volume: str) -> Cell:
    months = paper.assumed("months")
    monthly = _at_volume(paper, "inference", volume)
    return (paper.said("support_tuning_once") + monthly * months).named(
        "tuning, twelve months", "USD"
    )


def _fixed(paper: Paper) -> Cell:
    database, embedding = (paper.said(part) for part in _RAG_PARTS)
    return (database + embedding).named("parts of retrieval at any volume", "USD/month")


def _rag(paper: Paper, volume: str) -> Cell:
    asked = _at_volume(paper, "inference", volume) + _at_volume(paper, "context_usd", volume)
    monthly = (_fixed(paper) + asked).named("retrieval a month", "USD/month")
    return (paper.said("rag_once") + monthly * paper.assumed("months")).named(
        "retrieval, twelve months", "USD"
    )


def _monthly_of(paper: Paper, said: str) -> Cell:
    """Return what a month costs if the one-time price of tuning is taken off a stated total."""
    rest = paper.said(said) - paper.said("support_tuning_once")
    return (rest / paper.assumed("months")).named("a month as implied", "USD/month")


def _rag_fixed_monthly(paper: Paper) -> Cell:
    """Return what is left of the stated total of the knowledge base for database and embedding."""
    rest = (paper.said("kb_rag") - paper.said("rag_once")) / paper.assumed("months")
    asked = _at_volume(paper, "inference", "kb_volume")
    context = _at_volume(paper, "context_usd", "kb_volume")
    return (rest - asked - context).named("left for database and embedding", "USD/month")


YEAR = (
    Line(
        "support-bot-tuning", _YEAR, "200 USD and twelve times 300 to 500", "support_tuning",
        lambda paper: _tuning(paper, "support_volume"),
        "It takes {monthly} USD a month. Its one-time 200 USD are {times} times the 13 to 50 of "
        "its own tuning.",
        {
            "monthly": lambda paper: _monthly_of(paper, "support_tuning"),
            "times": lambda paper: (
                paper.said("support_tuning_once") / paper.said("one_time_7b")
            ).named("times its own tuning", "1"),
        },
    ),
    Line(
        "support-bot-rag", _YEAR, "one-time and twelve times the sum of its own monthly parts",
        "support_rag", lambda paper: _rag(paper, "support_volume"),
        "Its least parts are already more than its lower end, and its largest far more than its "
        "upper end: the total takes nearly the least of everything.",
    ),
    Line(
        "internal-kb-tuning", _YEAR, "200 USD and a hundredth of the support bot's inference",
        "kb_tuning", lambda paper: _tuning(paper, "kb_volume"),
        "350 USD takes {monthly} USD a month where a hundredth of its own inference is {share}; a "
        "GPU of one's own would cost hundreds. Neither gives it.",
        {
            "monthly": lambda paper: _monthly_of(paper, "kb_tuning"),
            "share": lambda paper: _at_volume(paper, "inference", "kb_volume"),
        },
    ),
    Line(
        "internal-kb-rag", _YEAR, "one-time and twelve times the sum of its own monthly parts",
        "kb_rag", lambda paper: _rag(paper, "kb_volume"),
        "So wide are its parts. Its total leaves {left} USD a month for database and embedding, "
        "of the {fixed} that it gives them.",
        {"left": _rag_fixed_monthly, "fixed": _fixed},
    ),
)  # fmt: skip


def _tuning_cheaper_from(paper: Paper) -> Cell:
    """Return the volume from which tuning costs less by the article's own figures; 0: always."""
    months = paper.assumed("months")
    before = (paper.said("rag_once") + _fixed(paper) * months).named(
        "retrieval at no volume", "USD"
    )
    each = (paper.said("context_usd") / paper.said("support_volume") * months).named(
        "context of one question a day", "USD*day/question"
    )
    even = ((paper.said("support_tuning_once") - before) / each).named(
        "break-even, below zero where there is none", "question/day"
    )
    return largest(paper.assumed("nothing"), even).named("tuning is cheaper from", "question/day")


RULES = (
    Line(
        "rule-tuning-from", _RULES, "the volume at which its own two totals are equal",
        "tuning_from", _tuning_cheaper_from,
        "By its own figures tuning is cheaper at any volume: retrieval costs {rag} USD before the "
        "first question, tuning 200. So the 100,000 is no result of its figures.",
        {
            "rag": lambda paper: (
                paper.said("rag_once") + _fixed(paper) * paper.assumed("months")
            ).named("retrieval at no volume", "USD")
        },
    ),
    Line(
        "rule-overhead-cheap", _RULES, "what the context adds to 50,000 queries a month",
        "cheap_usd",
        lambda paper: (
            paper.said("context_usd") / paper.a_month("support_volume") * paper.said("cheap_until")
        ).named("context of so many", "USD/month"),
        "Cheap indeed, beside a database of 20 USD and more.",
    ),
)  # fmt: skip
