"""The command line: one verb a flow; each parses, calls the flow, and prints."""

import logging
import os
import sys

import click

from steelyard.cli.program import program
from steelyard.cli.show import EXIT_CODES, complain
from steelyard.core.errors import SteelyardError

__all__ = ["main"]


def main() -> None:
    """Run the command line; expected errors end in one line on stderr and an exit code."""
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
    except click.exceptions.Exit as error:
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted; what was finished is kept, run the same command to go on")
        status = 130
    except BrokenPipeError:  # `steelyard ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status if isinstance(status, int) else 0)
