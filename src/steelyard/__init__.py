"""Steelyard weighs retrieval-augmented generation against fine-tuning, then serves the winner.

from steelyard import Steelyard

with Steelyard(".steelyard") as home:
    home.add("docs/")
    print(home.ask("How many days of leave are there?").text)
"""

from typing import TYPE_CHECKING, Any

from steelyard.version import __version__

if TYPE_CHECKING:
    from steelyard.core.chat import Answer, Citation, Done, Failed, Message, Sources, Token
    from steelyard.core.documents import DocumentRow, State
    from steelyard.core.errors import (
        InputError,
        NotFound,
        SetupError,
        SteelyardError,
        UpstreamError,
    )
    from steelyard.core.ranking import SearchResult
    from steelyard.facade import Added, Steelyard

__all__ = [
    "Added",
    "Answer",
    "Citation",
    "DocumentRow",
    "Done",
    "Failed",
    "InputError",
    "Message",
    "NotFound",
    "SearchResult",
    "SetupError",
    "Sources",
    "State",
    "Steelyard",
    "SteelyardError",
    "Token",
    "UpstreamError",
    "__version__",
]

_HOMES = {
    "steelyard.core.chat": ("Answer", "Citation", "Done", "Failed", "Message", "Sources", "Token"),
    "steelyard.core.documents": ("DocumentRow", "State"),
    "steelyard.core.errors": (
        "InputError",
        "NotFound",
        "SetupError",
        "SteelyardError",
        "UpstreamError",
    ),
    "steelyard.core.ranking": ("SearchResult",),
    "steelyard.facade": ("Added", "Steelyard"),
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: inside, `import steelyard` must stay free."""
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'steelyard' has no attribute {name!r}")
