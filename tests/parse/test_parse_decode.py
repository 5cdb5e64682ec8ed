"""Bytes to text: encodings that are told apart, and what is taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import ParseError
from steelyard.parse.decode import clean, decode

GERMAN = "Größere Maße wären schön; der Käufer zahlt 5 € für jedes Stück."
FRENCH = "L'été dernier, la forêt était brûlée. Ça coûte très cher à l'État."
JAPANESE = "名前,年齢,住所\n佐藤太郎,30,東京\n髙橋淳,35,名古屋\n"


@pytest.mark.parametrize("text", [GERMAN, FRENCH, JAPANESE, "plain ASCII text"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_exactly(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_recognised(encoding: str) -> None:
    assert decode(FRENCH.encode(encoding)) == FRENCH


@pytest.mark.parametrize("text", [GERMAN, FRENCH])
def test_windows_text_of_the_west_is_read_exactly(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


def test_japanese_windows_text_is_read_exactly() -> None:
    assert decode(JAPANESE.encode("cp932")) == JAPANESE


def test_bytes_that_cp1252_lacks_are_latin_1() -> None:
    assert decode(b"caf\xe9 \x81 end") == "café  end"


def test_a_stray_byte_does_not_turn_utf_8_into_another_encoding() -> None:
    assert decode(GERMAN.encode() + b" \xff end") == GERMAN + " \ufffd end"


def test_what_no_reader_sees_is_taken_out() -> None:
    raw = "a\x00b\x1b[31mred\x1b[0m \u202ec\u202c\ufeff\r\nd\x0ce\x07\tf\u2028g"
    assert clean(raw) == "abred c\nd\ne\tf\ng"


def test_a_lone_surrogate_is_replaced() -> None:
    assert clean("a\ud800b") == "a\ufffdb"


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)) * 20, b"\x00\x01\x02\x03" * 100, b"\x00" * 1000, b"\x01" * 50],
)
def test_binary_is_refused(content: bytes) -> None:
    with pytest.raises(ParseError) as error:
        decode(content)
    assert error.value.code == "unsupported"


@given(st.binary(max_size=300))
def test_any_bytes_give_clean_text_or_a_refusal(content: bytes) -> None:
    try:
        text = decode(content)
    except ParseError:  # its code: the test above
        return
    text.encode("utf-8")
    assert not set(text) & {"\x00", "\r", "\x1b", "\ufeff"}


@given(st.text(max_size=300))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)
