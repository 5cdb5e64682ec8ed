"""The extra `tune`, asked for before anything of it is imported."""

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from steelyard.core.errors import SetupError

INSTALL = "pip install 'steelyard[tune]'"
_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "yaml")


def need_libraries() -> None:
    """Check that training's libraries are installed, and keep them from talking and calling home.

    Raises:
        SetupError: one is missing.
    """
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(f"training needs {', '.join(missing)}; run: {INSTALL}")
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_NO_ADVISORY_WARNINGS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with quiet():
        from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries' warnings about each other from people who cannot change them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
