"""Chunking: documents cut along their structure, under a token budget."""

from steelyard.chunk.options import ChunkOptions
from steelyard.chunk.structure import CHUNKER_VERSION, StructureChunker

__all__ = ["CHUNKER_VERSION", "ChunkOptions", "StructureChunker"]
