from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.prices import Mark
from steelyard.cost import Book
from steelyard.cost.book import built_in_units
from steelyard.cost.own import FILE_NAME, add_row, own_rows, remove_rows

TODAY = date.today()
UNITS = built_in_units()


def written(home, text):
    (home / FILE_NAME).write_text(text, encoding="utf-8")
    return home


def row(**other):
    given = {"item": "llm/acme-7/in", "usd": 0.5, "unit": "USD/Mtoken", "seen": TODAY}
    return given | other


def add(home, **other):
    return add_row(home, row(**other), units=UNITS)


def test_a_users_row_wins_over_ours_and_over_the_list(tmp_path):
    add(tmp_path, item="llm/gpt-6-luna/in", usd=0.07, source="our contract")
    add(tmp_path, item="llm/gpt-4o/in", usd=1.0)
    book = Book(tmp_path)
    assert book.price("llm/gpt-6-luna/in").usd == 0.07
    assert book.price("llm/gpt-6-luna/in").mark is Mark.USER
    assert book.price("llm/gpt-6-luna/in").source == "our contract"
    assert book.price("llm/gpt-4o/in").usd == 1.0
    assert book.price("llm/gpt-6-luna/out").mark is Mark.VENDOR


def test_a_users_row_wins_only_for_the_days_and_lengths_that_it_covers(tmp_path):
    add(tmp_path, item="llm/claude-haiku-5-5/in", usd=0.3, above_tokens=100_000)
    add(tmp_path, item="gpu/h100-sxm", usd=2.0, unit="USD/hour", until=date(2026, 12, 1))
    inside, after = Book(tmp_path, on=date(2026, 12, 1)), Book(tmp_path, on=date(2026, 12, 2))
    assert inside.price("llm/claude-haiku-5.5/in").usd == 0.1
    assert inside.price("llm/claude-haiku-5.5/in", prompt_tokens=100_001).usd == 0.3
    assert inside.price("gpu/h100-sxm").usd == 2.0
    assert after.price("gpu/h100-sxm").usd == 3.99


def test_an_expired_row_without_a_successor_is_named_with_its_repair(tmp_path):
    add(tmp_path, until=date(2026, 11, 30))
    held = Book(tmp_path, on=date(2026, 11, 29))
    assert "nothing is known of what comes then" in held.warnings(held.price("llm/acme-7/in"))[0]
    with pytest.raises(NotFound) as caught:
        Book(tmp_path, on=date(2026, 12, 1)).price("llm/acme-7/in")
    assert "'llm/acme-7/in' has no price on 2026-12-01, only 0.5 to 2026-11-30" in str(caught.value)
    assert "steelyard prices add llm/acme-7/in --usd ... --unit 'USD/Mtoken'" in str(caught.value)


def test_all_faults_of_a_file_are_told_at_once_with_place_and_repair(tmp_path):
    home = written(
        tmp_path,
        """
        prise = 3
        [[price]]
        item = "llm/a/in"
        usd = -1
        unit = "USD/Mtoken"
        seen = 2026-01-01
        [[price]]
        item = "llm/b/sideways"
        usd = nan
        unit = "EUR"
        seen = "yesterday"
        vendor = "x"
        [[price]]
        item = "gpu/x"
        usd = 2
        low = 3
        high = 1e9
        unit = "USD/Mtoken"
        since = 2026-02-01
        until = 2026-01-01
        [[price]]
        item = "gpu/x"
        usd = true
        above_tokens = -5
        unit = "USD/hour"
        seen = 2999-01-01
        """,
    )
    with pytest.raises(SetupError) as caught:
        own_rows(home, units=UNITS)
    told = caught.value.message
    for part in (
        "unknown key 'prise'",
        "price 1 (llm/a/in): usd -1 is not within 0 and 1,000,000 dollars",
        "price 2 (llm/b/sideways): unknown key 'vendor'",
        "usd nan is no number",
        "unit 'EUR' does not say what is paid for",
        "seen 'yesterday' is no day",
        "must end in /in, /cached, /out",
        "price 3 (gpu/x): seen is missing",
        "high 1e+09 is not within",
        "items of gpu/ are priced in USD/hour",
        "since 2026-02-01 comes after until 2026-01-01",
        "price 4 (gpu/x): usd True is no number",
        "above_tokens -5 is no whole number",
        "seen 2999-01-01 lies ahead of today",
        "steelyard prices check",
        str(tmp_path / FILE_NAME),
    ):
        assert part in told, part


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("price = 3", r"write \[\[price\]\] over each row"),
        ("[price]\nitem = 'x'", r"write \[\[price\]\] over each row"),
        ("[[price]", "is no TOML"),
        ("\x00", "is no TOML"),
        ("[[price]]", "item is missing"),
        ("[[price]]\nitem = 3\nusd = [1]\nunit = {}\nseen = 2026-01-01T00:00:00", "is no day"),
    ],
)
def test_a_file_of_another_shape_is_explained(tmp_path, text, told):
    with pytest.raises(SetupError, match=told):
        own_rows(written(tmp_path, text), units=UNITS)


def test_a_file_that_is_no_text_is_explained(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SetupError, match="cannot be read"):
        own_rows(tmp_path, units=UNITS)


def test_rows_of_one_item_may_not_overlap_nor_differ_in_unit(tmp_path):
    add(tmp_path, until=TODAY)
    add(tmp_path, since=TODAY + timedelta(days=1), usd=0.6)
    add(tmp_path, above_tokens=1000, usd=2)
    before = (tmp_path / FILE_NAME).read_text()
    with pytest.raises(InputError, match="overlap: end the earlier one with `until`"):
        add(tmp_path, item="llm/ACME-7/in")
    with pytest.raises(InputError, match=r"vectordb/pinecone/storage: its unit is USD/GB-month"):
        add(tmp_path, item="vectordb/pinecone/storage", unit="USD/TB-month")
    add(tmp_path, item="x/y", unit="USD/month")
    with pytest.raises(InputError, match="is priced in USD/month and in USD/day"):
        add(tmp_path, item="x/y", unit="USD/day", since=TODAY, until=TODAY)
    assert (tmp_path / FILE_NAME).read_text().startswith(before)


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), -0.1, 1e6 + 1])
def test_a_wrong_amount_is_refused_and_nothing_is_written(tmp_path, usd):
    with pytest.raises(InputError, match=r"^usd "):
        add(tmp_path, usd=usd)
    assert not (tmp_path / FILE_NAME).exists()


def test_what_is_added_is_read_again_and_what_stands_in_the_file_stays(tmp_path):
    comment = "# ours, by hand\n[[price]] # first\nitem = 'x/hand'\nusd = 1\n"
    written(tmp_path, comment + 'unit = "USD/month"\nseen = 2026-01-01\n')
    odd = 'a "quoted" [[price]] \\ note, ü'
    added = add(tmp_path, note=odd, low=0.25, high=1, seller="Acme")
    assert own_rows(tmp_path, units=UNITS)[1] == added
    assert (added.note, added.low_usd, added.high_usd) == (odd, 0.25, 1.0)
    assert (tmp_path / FILE_NAME).read_text().startswith(comment)


def test_a_removed_item_is_gone_with_all_its_rows_and_others_stay(tmp_path):
    add(tmp_path, until=TODAY)
    add(tmp_path, item="x/y", unit="USD/month", note="[[price]]")
    add(tmp_path, since=TODAY + timedelta(days=1))
    assert len(remove_rows(tmp_path, "llm/acme-7/in", units=UNITS)) == 2
    assert [one.item for one in own_rows(tmp_path, units=UNITS)] == ["x/y"]
    with pytest.raises(NotFound, match="has no row of 'llm/acme-7/in'; it prices x/y"):
        remove_rows(tmp_path, "llm/acme-7/in", units=UNITS)


def test_rows_written_too_freely_are_not_edited(tmp_path):
    inline = '{item="x/y", usd=1, unit="USD/month", seen=2026-01-01}'
    home = written(tmp_path, f"price = [{inline}]")
    with pytest.raises(SetupError, match="written too freely"):
        remove_rows(home, "x/y", units=UNITS)
    with pytest.raises(InputError, match="no TOML"):
        add(home)


DAYS = st.dates(min_value=date(2026, 7, 1), max_value=date(2027, 3, 1))


@given(
    since=st.none() | DAYS,
    until=st.none() | DAYS,
    above=st.sampled_from([0, 1000, 300_000]),
    day=DAYS,
    tokens=st.integers(min_value=0, max_value=500_000),
)
def test_a_users_row_wins_where_it_holds_and_changes_nothing_elsewhere(
    since, until, above, day, tokens
):
    if since and until and since > until:
        since, until = until, since
    item = "llm/gemini-3.6-flash/in"
    with TemporaryDirectory() as home:
        add(Path(home), item=item, usd=9.0, since=since, until=until, above_tokens=above)
        found = Book(Path(home), on=day).price(item, prompt_tokens=tokens)
    in_time = (since or day) <= day <= (until or day)
    if in_time and (above == 0 or tokens > above):
        assert (found.usd, found.mark) == (9.0, Mark.USER)
    else:
        assert found == Book(on=day).price(item, prompt_tokens=tokens)
