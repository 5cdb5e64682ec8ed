"""Answers: from a language model or from the documents' own sentences, with citations."""

from steelyard.generate.citations import cite
from steelyard.generate.discover import LocalEndpoint, discover_local
from steelyard.generate.extractive import ExtractiveGenerator
from steelyard.generate.gguf import GgufGenerator
from steelyard.generate.openai import OpenAIGenerator
from steelyard.generate.options import LlmOptions
from steelyard.generate.prompt import PROMPT_ID, REFUSAL

__all__ = [
    "PROMPT_ID",
    "REFUSAL",
    "ExtractiveGenerator",
    "GgufGenerator",
    "LlmOptions",
    "LocalEndpoint",
    "OpenAIGenerator",
    "cite",
    "discover_local",
]
