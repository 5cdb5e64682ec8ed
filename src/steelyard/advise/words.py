"""What ways to answer are called for people, the verdict, and money as they read it."""

from steelyard.advise.advice import Advice
from steelyard.advise.measured import Arm
from steelyard.advise.model import Option, Runs

_ARMS = {
    Arm.BASE: "Model alone",
    Arm.RAG: "Retrieval",
    Arm.TUNED: "Tuned model",
    Arm.BOTH: "Tuned model + retrieval",
}
_RUNS = {Runs.API: "seller's API", Runs.GPU: "own GPUs", Runs.SERVER: "documents' own words"}


def title_of(option: Option | None) -> str:
    """Return an option's name for people."""
    return "No way" if option is None else f"{_ARMS[option.arm]}, {_RUNS[option.runs]}"


def usd(amount: float) -> str:
    return f"{dollars(amount)} USD"


def dollars(amount: float) -> str:
    """Return an amount with as many digits as mean something: 4.20, 51,917, 1.24 million."""
    size = abs(amount)
    if size >= 1e9:
        return f"{amount / 1e9:,.2f} billion"
    if size >= 1e6:
        return f"{amount / 1e6:,.2f} million"
    if size >= 100 or amount == 0:
        return f"{amount:,.0f}"
    return f"{amount:,.2f}" if size >= 1 else f"{amount:.3g}"


def number(value: float) -> str:
    """Return a number to read: whole from 1,000 on, else with four digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def verdict_of(advice: Advice) -> str:
    """Return what to take and how sure that is, in a sentence."""
    shares = {row.option: row.share for row in advice.rows}

    def told(option: Option) -> str:
        return f"{title_of(option)} ({100 * shares[option]:.0f} of 100 draws)"

    best = advice.recommended
    if best is None:
        return f"No way meets the conditions ({100 * advice.none_share:.0f} of 100 draws)."
    if not advice.tie:
        return f"Take {title_of(best)}: chosen in {100 * advice.probability:.0f} of 100 draws."
    if not advice.rivals:
        return f"{told(best)}, but no other way comes near: under 95 is not called sure."
    *first, last = [told(best), *(told(one) for one in advice.rivals)]
    return f"A tie between {', '.join(first)} and {last}: none is chosen in 95 of 100."
