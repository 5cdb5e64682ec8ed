"""A piece's best span, by hand: never backwards, never too long, never half inside."""

import numpy as np

from steelyard.generate.candidates import Candidate
from steelyard.generate.spans import MAX_SPAN_TOKENS, ReadSpan, best_spans, merged
from steelyard.generate.windows import Window
from steelyard.infra.bert import PlacedTokens

NONE = frozenset[str]()


def piece(start: int, end: int, place: int = 0) -> Candidate:
    return Candidate(place, start, end, 0, "", "", NONE, NONE, NONE)


def window(num: int, first: int = 0, last: int | None = None) -> Window:
    """Return a window over tokens of two characters with a space between them."""
    starts = np.arange(num, dtype=np.int32) * 3
    tokens = PlacedTokens(np.arange(num, dtype=np.int32), starts, starts + 2)
    return Window(0, tokens, first, num if last is None else last)


def logits(starts: list[float], ends: list[float]) -> np.ndarray:
    return np.array([starts, ends], np.float32).T


def test_best_span_of_each_piece_and_its_margin_over_no_answer() -> None:
    found = best_spans(
        window(4),
        logits([1, 5, 0, 3], [0, 1, 3, 1]),
        nothing=2.0,
        found=[piece(0, 5), piece(6, 11), piece(0, 11)],
    )
    assert found == {
        0: ReadSpan(0, 3, 5, 4.0),  # token 1 alone: 5 + 1 - 2
        1: ReadSpan(0, 9, 11, 2.0),  # token 3 alone: 3 + 1 - 2; token 2 earns 0 + 3 - 2
        2: ReadSpan(0, 3, 8, 6.0),  # tokens 1 to 2: 5 + 3 - 2
    }


def test_span_does_not_end_before_it_begins() -> None:
    found = best_spans(window(2), logits([0, 9], [9, 0]), nothing=0.0, found=[piece(0, 5)])
    assert found[0].margin == 9.0


def test_span_is_not_longer_than_allowed() -> None:
    num = MAX_SPAN_TOKENS + 1
    starts, ends = [0.0] * num, [0.0] * num
    starts[0] = ends[-1] = 5.0
    found = best_spans(window(num), logits(starts, ends), nothing=0.0, found=[piece(0, 3 * num)])
    assert found[0].margin == 5.0


def test_pieces_elsewhere_and_tokens_half_inside_do_not_count() -> None:
    found = best_spans(
        window(6, 2, 4),
        logits([1, 2], [1, 2]),
        nothing=0.0,
        found=[piece(0, 5), piece(0, 5, place=1), piece(7, 8), piece(0, 8), piece(6, 99)],
    )
    assert found == {3: ReadSpan(0, 6, 8, 2.0), 4: ReadSpan(0, 9, 11, 4.0)}


def test_best_of_several_windows_stands() -> None:
    low, high = ReadSpan(0, 0, 2, 1.0), ReadSpan(0, 3, 5, 2.0)
    assert merged([{0: low, 1: high}, {0: high, 1: low}, {}]) == {0: high, 1: high}
    assert merged([]) == {}
