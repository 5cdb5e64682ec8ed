import subprocess
import sys
from datetime import date

import pytest

from steelyard.core.errors import NotFound
from steelyard.core.prices import Mark
from steelyard.cost import Book
from steelyard.cost.rows import fold

TODAY = date(2026, 11, 21)
OFFLINE = """
import socket, sys

def refuse(event, args):
    if event.startswith("socket."):
        raise AssertionError(f"{event} {args}")

sys.addaudithook(refuse)
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_model_that_our_rows_lack_is_priced_by_the_list_with_its_date():
    row = Book(on=TODAY).price("llm/gpt-4o/in")
    assert row.mark is Mark.REPOSITORY
    assert row.source.startswith("genai-prices 0.")
    assert row.seen >= date(2026, 11, 10)
    assert row.usd > 0


def test_our_own_row_wins_over_the_list_however_the_name_is_written():
    book = Book(on=TODAY)
    for item in ("llm/claude-haiku-5.5/in", "llm/claude-haiku-5-5/in", "llm/Claude-Haiku-5.5/in"):
        assert book.price(item).mark is Mark.VENDOR
    assert len([one for one in book.items("llm/claude-haiku-5") if "@" not in one]) == 3


def test_the_list_does_not_stand_in_for_a_row_of_ours_that_does_not_hold():
    with pytest.raises(NotFound, match="has no price on 2026-09-21"):
        Book(on=date(2026, 9, 21)).price("llm/gpt-6-luna/in")


def test_the_lists_tiers_dates_and_hours_are_kept():
    assert Book(on=TODAY).price("llm/gpt-5.6-sol/in", prompt_tokens=272_000).usd == 4
    assert Book(on=TODAY).price("llm/gpt-5.6-sol/in", prompt_tokens=272_001).usd == 8
    assert Book(on=date(2026, 8, 20)).price("llm/gpt-5.6-sol/in").usd == 5
    assert Book(on=date(2026, 8, 21)).price("llm/gpt-5.6-sol/in").usd == 4
    by_hour = [
        row
        for item in Book(on=TODAY).items("llm/deepseek")
        if (row := Book(on=TODAY).price(item)).mark is Mark.REPOSITORY and row.usd < row.high_usd
    ]
    assert by_hour


def test_every_listed_item_has_one_row_on_a_day_and_a_length():
    book = Book(on=TODAY)
    items = book.items("llm/")
    assert len(items) > 3000
    assert len({fold(item) for item in items}) == len(items)
    for item in items:
        for tokens in (0, 300_000):
            row = book.price(item, prompt_tokens=tokens)
            assert 0 <= row.low_usd <= row.usd <= row.high_usd


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-6-luna", "gpt-6-luna"),
        ("openai/gpt-6-luna", "gpt-6-luna"),
        ("gpt-6-luna-2026-09-22", "gpt-6-luna"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("qwen3-8b", None),  # open weights: who runs them decides what they cost
        ("gpt-oss-20b", None),
        ("extractive", None),
        ("", None),
        ("/", None),
    ],
)
def test_the_model_of_an_answer_is_known_by_its_name(name, model):
    assert Book(on=TODAY).model(name) == model


def test_nothing_is_asked_over_the_network():
    done = run(
        OFFLINE
        + "from steelyard.cost import Book\n"
        + "book = Book()\n"
        + "print(len(book.items()), book.price('llm/gpt-4o/out').usd)\n"
        + "print(book.model('gpt-4o-2024-08-06'))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("gpt-4o")


def test_the_programs_start_does_not_load_the_list():
    done = run("import sys, steelyard.cli.program; print('genai_prices' in sys.modules)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
