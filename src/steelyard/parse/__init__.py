"""Files to text with structure."""

from steelyard.parse.fileparser import PARSER_VERSION, FileParser, ParseOptions
from steelyard.parse.kinds import Kind, kind_of, supported

__all__ = ["PARSER_VERSION", "FileParser", "Kind", "ParseOptions", "kind_of", "supported"]
