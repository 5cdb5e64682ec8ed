"""Windows worked out by hand."""

import numpy as np
import pytest

from steelyard.infra.bert.window import best_window
from steelyard.rerank.pace import Pace


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int32)


@pytest.mark.parametrize(
    ("passage", "question", "room", "window"),
    [
        (ids(1, 2, 3), ids(3), 3, [1, 2, 3]),  # it fits
        (ids(1, 2, 3, 4, 5), ids(9), 2, [1, 2]),  # nothing matches: the head
        (ids(1, 2, 3, 4, 5), ids(4, 5), 2, [4, 5]),
        (ids(7, 7, 7, 0, 8, 9, 0), ids(7, 8, 9), 3, [0, 8, 9]),  # 1/3 each against 1 each
        (ids(5, 0, 0, 5, 0), ids(5), 2, [5, 0]),  # a tie: the earliest
    ],
)
def test_window_with_most_different_question_words(passage, question, room, window) -> None:
    assert best_window(passage, question, room=room).tolist() == window


def test_pace_moves_a_fifth_of_the_way_to_what_it_sees() -> None:
    pace = Pace()
    assert pace.expected_s(100) == 0.0
    pace.saw(100, 0.2)
    assert pace.ms_per_token == pytest.approx(2.0)
    pace.saw(100, 0.7)
    assert pace.ms_per_token == pytest.approx(3.0)
    assert pace.expected_s(50) == pytest.approx(0.15)
