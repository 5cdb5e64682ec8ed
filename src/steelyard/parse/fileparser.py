"""The parser that the house uses: any file in, text with structure out."""

from dataclasses import dataclass
from importlib import metadata

from steelyard.core.documents import Parsed
from steelyard.core.errors import Overloaded, ParseError
from steelyard.infra.sandbox import Limits, Reason, SandboxFailure, SandboxPool
from steelyard.parse.kinds import Kind, kind_of
from steelyard.parse.reading import pack_request, read_file, unpack_answer, work

# Part of the recipe that decides whether a stored document is read again: count ours up with
# every change of what a file becomes; a new kreuzberg may read differently by itself.
PARSER_VERSION = f"1+kreuzberg-{metadata.version('kreuzberg')}"

_HEAD_BYTES = 4096
_CODES = {
    Reason.TIMEOUT: "timeout",
    Reason.MEMORY: "expansion",
    Reason.OUTPUT: "too_large",
    Reason.CRASHED: "crashed",
    Reason.RAISED: "damaged",
}
# Read in this process if small: parsers of ours that look at each line once.
_LOCAL_KINDS = frozenset(
    (
        Kind.MARKDOWN,
        Kind.RST,
        Kind.ASCIIDOC,
        Kind.TEX,
        Kind.NOTEBOOK,
        Kind.TABLE,
        Kind.JSON,
        Kind.CODE,
        Kind.TEXT,
    )
)


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """Bounds for one file, and how many sandboxed readers may work at once.

    `passwords` are tried in order on encrypted PDFs. Text formats up to `local_bytes` are read
    without a sandbox. Memory is address space: the libraries take some 300 MB of it.
    """

    max_file_bytes: int = 256 << 20
    memory_bytes: int = 2 << 30
    cpu_s: float = 60.0
    wall_s: float = 120.0
    num_workers: int = 1
    local_bytes: int = 1 << 20
    passwords: tuple[str, ...] = ()


class FileParser:
    """Fits `core.protocols.Parser`; thread-safe. Sandboxes start when first needed."""

    def __init__(self, options: ParseOptions | None = None) -> None:
        self._options = options or ParseOptions()
        self._sandbox = SandboxPool(
            f"{work.__module__}:{work.__name__}",
            limits=Limits(
                memory_bytes=self._options.memory_bytes,
                cpu_s=self._options.cpu_s,
                wall_s=self._options.wall_s,
            ),
            num_workers=self._options.num_workers,
        )

    def parse(self, content: bytes, *, filename: str) -> Parsed:
        """Turn one file's bytes into text with structure; blocking.

        Raises:
            ParseError: the file cannot be read; its `code` says why.
            Overloaded: the parser was closed meanwhile; the file itself may be fine.
        """
        options = self._options
        if not content:
            raise ParseError(f"{filename!r} is empty", code="empty")
        if len(content) > options.max_file_bytes:
            raise ParseError(
                f"{filename!r} has {len(content)} bytes, the limit is {options.max_file_bytes}",
                code="too_large",
            )
        try:
            if self._is_local(content, filename):
                return read_file(content, filename=filename)
            return self._parse_sandboxed(content, filename)
        except ParseError as error:
            raise ParseError(f"{filename!r}: {error.message}", code=error.code) from None

    def close(self) -> None:
        """Stop the sandboxes; a file being read ends in `Overloaded`."""
        self._sandbox.close()

    def _is_local(self, content: bytes, filename: str) -> bool:
        kind, _ = kind_of(filename, content[:_HEAD_BYTES])
        is_zip = content.startswith(b"PK\x03\x04")
        return kind in _LOCAL_KINDS and not is_zip and len(content) <= self._options.local_bytes

    def _parse_sandboxed(self, content: bytes, filename: str) -> Parsed:
        request = pack_request(content, filename=filename, passwords=self._options.passwords)
        try:
            answer = self._sandbox.run(request)
        except SandboxFailure as failure:
            if failure.reason is Reason.CLOSED:
                raise Overloaded("the file parser is shutting down", code="closing") from None
            raise ParseError(str(failure), code=_CODES[failure.reason]) from None
        return unpack_answer(answer, filename=filename)
