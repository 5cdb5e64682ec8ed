from datetime import date, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError, NotFound
from steelyard.core.prices import Mark
from steelyard.cost import Book
from steelyard.cost.book import built_in
from steelyard.cost.rows import MOST_USD, check_rows

TODAY = date(2026, 11, 21)


def every_row():
    return built_in().prices


def test_every_built_in_row_is_dated_sourced_and_within_its_range():
    rows = every_row()
    assert len(rows) > 150
    for row in rows:
        assert 0 <= row.low_usd <= row.usd <= row.high_usd <= MOST_USD, row
        assert row.source
        assert row.seller, row
        assert date(2026, 1, 1) <= row.seen <= TODAY, row
        assert row.mark is not Mark.USER


def test_what_nobody_told_is_marked_as_assumed_and_says_so():
    book = Book(on=TODAY)
    for item in ("person/hour", "server/cpu-4", "storage/disk"):
        row = book.price(item)
        assert row.mark is Mark.ASSUMED
        assert row.low_usd < row.high_usd
        assert "a stated default, nobody's price" in book.warnings(row)


@pytest.mark.parametrize(
    "chip", ["h100-sxm", "h100-pcie", "h100-nvl", "h200", "b200", "b300", "a100-80"]
)
def test_a_chips_own_row_is_the_median_and_the_extremes_of_its_sellers(chip):
    book = Book(on=TODAY)
    sellers = [book.price(item) for item in book.items(f"gpu/{chip}/")]
    row = book.price(f"gpu/{chip}")
    assert row.usd == pytest.approx(median(one.usd for one in sellers))
    assert row.low_usd == min(one.low_usd for one in sellers)
    assert row.high_usd == max(one.high_usd for one in sellers)


def test_a_promotion_ends_on_its_day_and_is_warned_of_before():
    last, first = date(2026, 12, 31), date(2027, 1, 1)
    promoted = Book(on=last).price("llm/gemini-3.6-flash/in")
    assert promoted.usd == 0.75
    assert Book(on=first).price("llm/gemini-3.6-flash/in").usd == 1.50
    assert "ends on 2026-12-31; then 1.5 USD/Mtoken" in Book(on=last).warnings(promoted)
    early = Book(on=date(2026, 11, 1))
    assert not early.warnings(early.price("llm/gemini-3.6-flash/in"))


def test_a_cut_holds_from_its_day_on():
    assert Book(on=date(2026, 7, 29)).price("llm/gpt-5.6-luna/in").usd == 1.00
    assert Book(on=date(2026, 7, 30)).price("llm/gpt-5.6-luna/in").usd == 0.20


def test_a_tier_begins_above_its_length():
    book = Book(on=TODAY)
    assert book.price("llm/claude-haiku-5.5/out", prompt_tokens=100_000).usd == 0.50
    assert book.price("llm/claude-haiku-5.5/out", prompt_tokens=100_001).usd == 2.50
    assert book.price("llm/gpt-6.1-terra/in", prompt_tokens=300_000).usd == 2.00
    assert book.price("llm/gpt-6.1-terra:batch/in", prompt_tokens=300_000).usd == 1.00


def test_before_a_price_is_in_force_it_is_not_known():
    with pytest.raises(NotFound, match=r"gpt-6-luna/in' has no price on 2026-09-21, only 0.1 from"):
        Book(on=date(2026, 9, 21)).price("llm/gpt-6-luna/in")


def test_an_unknown_item_is_named_with_what_is_near_and_how_to_add_it():
    with pytest.raises(NotFound) as caught:
        Book(on=TODAY).price("gpu/h100-smx")
    assert "'gpu/h100-smx'" in caught.value.message
    assert "gpu/h100-sxm" in caught.value.message
    assert "steelyard prices add gpu/h100-smx --usd" in caught.value.message


@pytest.mark.parametrize("tokens", [-1, float("nan")])
def test_a_prompt_of_no_length_is_refused(tokens):
    with pytest.raises(InputError, match="a prompt of"):
        Book(on=TODAY).price("llm/gpt-6-luna/in", prompt_tokens=tokens)


def test_a_row_seen_long_ago_warns_and_a_fresh_one_does_not():
    book = Book(on=TODAY)
    assert any("seen 198 days ago" in one for one in book.warnings(book.price("gpu/l4")))
    fresh = book.price("llm/claude-haiku-5.5/in")
    assert book.warnings(fresh) == ()
    assert Book(on=fresh.seen + timedelta(days=120)).warnings(fresh) == ()
    assert "seen 121 days ago" in Book(on=fresh.seen + timedelta(days=121)).warnings(fresh)[0]


@given(
    day=st.dates(min_value=date(2026, 1, 1), max_value=date(2028, 1, 1)),
    tokens=st.integers(min_value=0, max_value=2_000_000),
    data=st.data(),
)
def test_at_any_day_and_length_one_row_holds_or_there_is_an_error(day, tokens, data):
    book = Book(on=day)
    item = data.draw(st.sampled_from(book.known("llm/g")))
    holding = [
        row
        for row in book.rows(item)
        if (row.since or day) <= day <= (row.until or day)
        and (row.above_tokens == 0 or tokens > row.above_tokens)
    ]
    if not holding:
        with pytest.raises(NotFound):
            book.price(item, prompt_tokens=tokens)
        return
    row = book.price(item, prompt_tokens=tokens)
    longest = max(one.above_tokens for one in holding)
    assert [one for one in holding if one.above_tokens == longest] == [row]


@st.composite
def tables(draw):
    day = st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 2, 1))
    since, until = draw(st.none() | day), draw(st.none() | day)
    if since and until and since > until:
        since, until = until, since
    table = {
        "item": "llm/a/in",
        "usd": draw(st.floats(min_value=0, max_value=10)),
        "unit": "USD/Mtoken",
        "seen": date(2026, 1, 1),
        "above_tokens": draw(st.sampled_from([0, 1000])),
    }
    dates = {"since": since, "until": until}
    return table | {key: value for key, value in dates.items() if value}


@given(
    given_rows=st.lists(tables(), max_size=5),
    day=st.dates(min_value=date(2025, 12, 30), max_value=date(2026, 2, 3)),
)
def test_rows_that_pass_the_check_never_hold_twice_and_others_do_somewhere(given_rows, day):
    rows = check_rows(given_rows, mark=Mark.USER)
    if rows.faults:
        days = [date(2025, 12, 31) + timedelta(days=n) for n in range(40)]
        assert any(twice(given_rows, one) for one in days)
    else:
        assert not twice(given_rows, day)


def twice(rows, day):
    """Return whether two rows of one tier hold on a day."""
    tiers = [
        one["above_tokens"] for one in rows if one.get("since", day) <= day <= one.get("until", day)
    ]
    return len(tiers) != len(set(tiers))
