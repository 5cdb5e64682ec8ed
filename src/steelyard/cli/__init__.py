"""The command line: one verb a flow; each parses, calls the flow, and prints."""

import logging
import os
import sys
from typing import Any

import typer

from steelyard.core.errors import SteelyardError

__all__ = ["main"]

# What every complaint about a command line is: click's ClickException, or the one of the copy
# of click that newer typers carry inside.
WrongCommand: Any = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run the command line; expected errors end in one line on stderr and an exit code."""
    try:  # loading takes a second, in which an interrupt is no error of ours
        from steelyard.cli.endings import EXIT_CODES, complain
        from steelyard.cli.program import program
    except KeyboardInterrupt:
        sys.exit(130)
    logging.basicConfig(
        level=os.environ.get("LOGLEVEL", "ERROR").upper(),
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        status = program(standalone_mode=False)
    except SteelyardError as error:
        complain(error.message)
        status = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except typer.Exit as error:
        status = error.exit_code
    except WrongCommand as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "steelyard"
        complain(f"{error.format_message().rstrip('.')}; see `{path} --help`")
        status = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted; what was finished is kept, run the same command to go on")
        status = 130
    except BrokenPipeError:  # `steelyard ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status if isinstance(status, int) else 0)
