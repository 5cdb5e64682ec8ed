"""Answers: from a language model or from the documents' own sentences, with citations.

`SpanReader` is in `steelyard.generate.reader`, apart, because its import loads the runtime.
"""

from steelyard.generate.citations import cite
from steelyard.generate.discover import LocalEndpoint, discover_local
from steelyard.generate.extractive import ExtractiveGenerator, Reading
from steelyard.generate.gguf import GgufGenerator
from steelyard.generate.openai import OpenAIGenerator
from steelyard.generate.options import LlmOptions, ReaderOptions
from steelyard.generate.prompt import PROMPT_ID, REFUSAL

__all__ = [
    "PROMPT_ID",
    "REFUSAL",
    "ExtractiveGenerator",
    "GgufGenerator",
    "LlmOptions",
    "LocalEndpoint",
    "OpenAIGenerator",
    "ReaderOptions",
    "Reading",
    "cite",
    "discover_local",
]
