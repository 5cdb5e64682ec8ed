"""Bytes to text: which encoding, and what is taken out."""

import codecs
import re

from steelyard.core.errors import ParseError

# C0 without tab and line feed, C1 without next line, terminal sequences, bidi overrides (a
# reader would see other words than a search does), and the byte-order mark inside a text.
_ANSI = re.compile(r"\x1b\[[0-9;?]{0,20}[ -/]{0,4}[@-~]")
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("\r\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_TEXT_CONTROLS = frozenset(b"\t\n\r\x0b\x0c\x1b\x00")
_SAMPLE_BYTES = 1 << 16
_MAX_CONTROL_SHARE = 0.05  # of random bytes 10 % are controls, of text hardly any
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(content: bytes) -> str:
    r"""Return clean text: `\n` ends lines, no controls, no lone surrogates.

    Order: byte-order mark, UTF-8, UTF-16 by where its zero bytes lie, Shift-JIS (cp932) if all
    of it is valid and reads as Japanese, else Windows-1252, then Latin-1, which never fails.

    Raises:
        ParseError: the bytes are no text (`unsupported`).
    """
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return clean(content[len(bom) :].decode(encoding, errors="replace"))
    wide = _zero_bytes_encoding(content[:_SAMPLE_BYTES])
    if wide and not _is_binary(content[:_SAMPLE_BYTES].replace(b"\0", b"")):
        return clean(content.decode(wide, errors="replace"))
    if _is_binary(content[:_SAMPLE_BYTES]):
        raise ParseError(
            "the bytes are no text in any known encoding; convert the file to a supported format",
            code="unsupported",
        )
    return clean(_decode_eight_bit(content))


def clean(text: str) -> str:
    """Take out what no reader sees and no database or JSON carries; line breaks become `\\n`."""
    text = _UNWANTED.sub("", _ANSI.sub("", _BREAKS.sub("\n", text)))
    return _SURROGATES.sub("\ufffd", text)


def _decode_eight_bit(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = content.count(b"\xff") + content.count(b"\xfe")
        if error.start > 0 and _mostly_utf8(content):
            return content.decode("utf-8", errors="replace")
        japanese = None if wrong else _decode_japanese(content)
    if japanese is not None:
        return japanese
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _mostly_utf8(content: bytes) -> bool:
    """Tell whether multi-byte sequences outnumber stray bytes: UTF-8 with damage."""
    text = content[:_SAMPLE_BYTES].decode("utf-8", errors="replace")
    stray = text.count("\ufffd")
    multi_byte = sum(1 for char in text if char > "\x7f") - stray
    return multi_byte > 2 * stray


def _decode_japanese(content: bytes) -> str | None:
    """Decode as cp932 if valid and mostly kana and kanji among what is not ASCII.

    Western text in Latin-1 is seldom valid cp932; where it is, its accents pair up into rare
    kanji or stand as half-width katakana between ASCII letters, so those do not count.
    """
    try:
        text = content.decode("cp932")
    except UnicodeDecodeError:
        return None
    foreign = [char for char in text[:_SAMPLE_BYTES] if char > "\x7f"]
    common = sum("\u3000" <= char <= "\u30ff" or "\u4e00" <= char <= "\u9fff" for char in foreign)
    runs = re.findall("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]{2,}", text[:_SAMPLE_BYTES])
    in_runs = sum(map(len, runs))
    return text if foreign and common >= 0.7 * len(foreign) and in_runs >= 0.6 * common else None


def _zero_bytes_encoding(sample: bytes) -> str | None:
    """Return the UTF-16 kind of text without a mark: ASCII letters leave every other byte zero."""
    if len(sample) < 4 or (len(sample) % 2 and len(sample) < _SAMPLE_BYTES):
        return None
    even, odd = sample[::2], sample[1::2]
    zeros_even, zeros_odd = even.count(0) / len(even), odd.count(0) / len(odd)
    if zeros_odd > 0.4 and zeros_even < 0.05:
        return "utf-16-le"
    if zeros_even > 0.4 and zeros_odd < 0.05:
        return "utf-16-be"
    return None


def _is_binary(sample: bytes) -> bool:
    if not sample:
        return False
    controls = sum(sample.count(byte) for byte in range(32) if byte not in _TEXT_CONTROLS)
    zeros = sample.count(0)
    return controls > _MAX_CONTROL_SHARE * len(sample) or zeros > 0.1 * len(sample)
