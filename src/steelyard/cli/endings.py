"""How a verb ends that could not be done: one line and an exit code."""

from rich.console import Console
from rich.markup import escape

from steelyard.core.errors import (
    InputError,
    NotFound,
    Overloaded,
    SetupError,
    SteelyardError,
    UpstreamError,
)

# The one table from errors to exit codes; the first that fits counts.
EXIT_CODES: tuple[tuple[type[SteelyardError], int], ...] = (
    (NotFound, 3),
    (InputError, 2),
    (SetupError, 4),
    (Overloaded, 5),
    (UpstreamError, 5),
    (SteelyardError, 1),
)

err = Console(stderr=True, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    err.print(f"[bold red]steelyard:[/] {escape(message)}")
