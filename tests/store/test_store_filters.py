import fnmatch
import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import compile_filter


@pytest.fixture
def library(store, draft):
    rows = {
        "a": ("https://wiki/ops/a", {"team": "ops", "year": 2023, "tags": ["x", "y"]}),
        "b": ("https://wiki/ops/sub/b", {"team": "hr", "year": 2024, "tags": ["y"], "draft": True}),
        "c": ("file:///c[1]?.md", {"team": "ops", "year": 2024.5, "tags": [], "draft": False}),
        "d": ("file:///d.md", {"date": "2024-05-01", "note": None, "one": "1", "über.x": 5}),
    }
    store.replace_many(
        [draft(i, i, uri=uri, title=f"Title {i}", metadata=m) for i, (uri, m) in rows.items()]
    )
    return store


def _match(store, wire):
    ids = store.allowed(Query("q", PUBLIC, filter=wire)).chunk_ids
    chunks = store.fetch(ids.tolist(), query=Query("q", PUBLIC, filter=wire))
    assert len(chunks) == len(ids)
    return "".join(sorted(chunk.document_id for chunk in chunks))


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        ({}, None),
        ({"team": "ops"}, "ac"),
        ({"team": ["ops", "hr"]}, "abc"),
        ({"team": []}, ""),
        ({"team": "ops", "year": 2023}, "a"),
        ({"tags": "y"}, "ab"),
        ({"tags": ["x", "z"]}, "a"),
        ({"tags": {"$contains": "x"}}, "a"),
        ({"team": {"$contains": "p"}}, "ac"),
        ({"tags": {"$contains": "p"}}, ""),
        ({"year": {"$gt": 2023, "$lte": 2024}}, "b"),
        ({"year": {"$gte": 2024}}, "bc"),
        ({"year": {"$lt": "2030"}}, ""),
        ({"year": "2023"}, ""),
        ({"one": 1}, ""),
        ({"one": "1"}, "d"),
        ({"draft": True}, "b"),
        ({"draft": 1}, ""),
        ({"draft": {"$ne": True}}, "acd"),
        ({"team": {"$nin": ["ops"]}}, "bd"),
        ({"note": None}, "abcd"),
        ({"draft": None}, "ad"),
        ({"note": {"$exists": True}}, "d"),
        ({"tags": {"$exists": False}}, "d"),
        ({"tags": {"$exists": True}}, "abc"),
        ({"date": {"$gte": "2024-04-30", "$lt": "2024-06"}}, "d"),
        ({"über.x": 5}, "d"),
        ({"id": ["a", "d"]}, "ad"),
        ({"id": {"$ne": "a"}}, "bcd"),
        ({"title": "Title b"}, "b"),
        ({"title": {"$contains": "e c"}}, "c"),
        ({"media_type": "text/plain"}, "abcd"),
        ({"uri": "https://wiki/ops/"}, "ab"),
        ({"source": "https://*/b"}, "b"),
        ({"source": "file:///c[1]?.md"}, "c"),
        ({"source": "file:///*[1]?*"}, "c"),
        ({"uri": ["file:///d.md", "https://wiki/ops/sub/"]}, "bd"),
        ({"uri": {"$nin": ["file:///*"]}}, "ab"),
        ({"$or": [{"team": "hr"}, {"id": "d"}]}, "bd"),
        ({"$and": [{"team": "ops"}, {"$not": {"year": 2023}}]}, "c"),
        ({"$not": {"$or": [{"team": "ops"}, {"team": "hr"}]}}, "d"),
        ({"$or": [{}]}, "abcd"),
        ({"updated_at": {"$gt": 0}}, "abcd"),
        ({"updated_at": {"$gte": "2020-01-01", "$lt": "9999-01-01T00:00:00Z"}}, "abcd"),
        ({"updated_at": {"$lt": "2020-01-01"}}, ""),
        ({"team' OR 1=1 --": "x"}, ""),
        ({"team": "ops' OR '1'='1"}, ""),
    ],
)
def test_filter_finds(library, wire, found):
    if found is None:
        assert library.allowed(Query("q", PUBLIC, filter=wire)).chunk_ids is None
    else:
        assert _match(library, wire) == found


@pytest.mark.parametrize(
    ("wire", "named"),
    [
        ({"$foo": 1}, r"\$foo"),
        ({"team": {"$like": "x"}}, r"\$like"),
        ({"team": {"a": 1}}, "'a'"),
        ({"team": {}}, "empty"),
        ({"$and": {}}, "list"),
        ({"$or": []}, "at least one"),
        ({"$or": [1]}, "object"),
        ({"$not": [1]}, "object"),
        ({"a": {"$in": 1}}, "list"),
        ({"a": {"$eq": [1]}}, "string"),
        ({"a": {"$gt": True}}, "number or a string"),
        ({"a": {"$gt": None}}, "number or a string"),
        ({"a": {"$exists": 1}}, "true or false"),
        ({"title": 1}, "'title'"),
        ({"uri": {"$gt": 1}}, "'uri'"),
        ({"updated_at": "yesterday"}, "ISO 8601"),
        ({"updated_at": True}, "time"),
        ({"updated_at": {"$contains": "x"}}, "time"),
        ({"updated_at": {"$gt": "99999-01-01"}}, "ISO 8601"),
        ({'a"b': 1}, "cannot be filtered"),
        ({"a\\b": 1}, "cannot be filtered"),
        ({"": 1}, "cannot be filtered"),
        ({"a": 2**63}, "64-bit"),
        ({"a": float("inf")}, "finite"),
        ({"a": "x" * 5000}, "characters"),
        ({"a": "x\0"}, "NUL"),
        ({"a": "\ud800"}, "Unicode"),
        ({"uri": "*" * 9}, "wildcards"),
        ({"a": list(range(2000))}, "at most 1000"),
        ({"$or": [{"a": n} for n in range(101)]}, "side by side"),
        ({"uri": [f"{n}/" for n in range(101)]}, "side by side"),
    ],
)
def test_a_bad_filter_is_refused_and_named(wire, named):
    with pytest.raises(InputError, match=named) as caught:
        compile_filter(wire)
    assert caught.value.code == "bad_filter"
    assert len(caught.value.message) < 500


def test_nesting_has_a_bound():
    wire: dict[str, object] = {"a": 1}
    for _ in range(50):
        wire = {"$not": wire}
    with pytest.raises(InputError, match="nests"):
        compile_filter(wire)


def test_the_largest_filters_allowed_are_within_sqlites_own_bounds(library):
    for size, depth in ((90, 1), (15, 2), (6, 3), (2, 5)):
        wire: dict[str, object] = {"team": {"$ne": "nope"}}
        for _ in range(depth):
            wire = {"$or": [wire] * size}
        assert _match(library, wire) == "abcd"
    chain: dict[str, object] = {"tags": {"$in": ["y"] * 200}}
    for _ in range(4):
        chain = {"$or": [*({"year": n} for n in range(90)), chain]}
    assert _match(library, chain) == "ab"
    assert _match(library, {"year": list(range(1500, 2490))}) == "ab"


def test_a_date_means_its_whole_day(store, draft):
    store.replace(draft("a", "x"))
    today = datetime.fromtimestamp(
        store.document("default", "a", principal=PUBLIC).updated_at, UTC
    ).date()
    day = today.isoformat()
    for wire, expected in [
        (day, "a"),
        ({"$gte": day}, "a"),
        ({"$lte": day}, "a"),
        ({"$gt": day}, ""),
        ({"$lt": day}, ""),
        ({"$ne": day}, ""),
    ]:
        assert _match(store, {"updated_at": wire}) == expected


def test_a_time_with_a_zone_is_that_instant(store, draft):
    store.replace(draft("a", "x"))
    at = store.document("default", "a", principal=PUBLIC).updated_at
    later = datetime.fromtimestamp(at + 60, UTC)
    assert _match(store, {"updated_at": {"$lt": later.isoformat()}}) == "a"
    shifted = later.replace(tzinfo=None).isoformat() + "+02:00"  # two hours earlier
    assert _match(store, {"updated_at": {"$lt": shifted}}) == ""


# --- against a plain Python reading of the same rules -------------------------------------

_KEYS = st.sampled_from(["k", "a b", "x.y", "z", "ключ", "k'", "[0]", "#"])
_WORDS = st.sampled_from(["", "a", "b", "B", "é", "a%", "a_", "1", "true", "null", "{}", "'"])
_NUMBERS = st.sampled_from([0, 1, -1, 2, 1.0, 1.5, -0.5, 2**53, 1e10])
_SCALARS = st.one_of(_WORDS, _NUMBERS, st.booleans(), st.none())
_METADATA = st.dictionaries(_KEYS, st.one_of(_SCALARS, st.lists(_WORDS, max_size=3)), max_size=4)
_CONDITIONS = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=3),
    st.fixed_dictionaries({"$eq": _SCALARS}),
    st.fixed_dictionaries({"$ne": _SCALARS}),
    st.fixed_dictionaries({"$in": st.lists(_SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(_SCALARS, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$contains": _SCALARS}),
    st.dictionaries(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        st.one_of(_WORDS, _NUMBERS),
        min_size=1,
        max_size=2,
    ),
)
_URIS = ["s/a", "s/b/c", "t/a", "s", "s/[x]?", "S/a"]
_URI_TESTS = st.sampled_from(["s/", "s/*", "*a", "s", "s/[x]?", "*[*", "?/a", "*/b/*", "x", "t*a"])
_LEAVES = st.one_of(
    st.dictionaries(_KEYS, _CONDITIONS, min_size=1, max_size=2),
    st.fixed_dictionaries({"source": st.one_of(_URI_TESTS, st.lists(_URI_TESTS, max_size=2))}),
)
_FILTERS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)
_MISSING = object()


def _kind(value):
    return "n" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def _same(one, other):
    return _kind(one) == _kind(other) and one == other


def _items(metadata, key):
    value = metadata.get(key, _MISSING)
    if value is _MISSING:
        return []
    return value if isinstance(value, list) else [value]


def _among(metadata, key, wanted):
    if None in wanted and key not in metadata:
        return True
    return any(_same(item, want) for item in _items(metadata, key) for want in wanted)


def _contains(metadata, key, want):
    value = metadata.get(key)
    if isinstance(value, list):
        return any(_same(item, want) for item in value)
    return isinstance(value, str) and isinstance(want, str) and want in value


def _ordered(metadata, key, sign, bound):
    compare = {
        "$gt": lambda x: x > bound,
        "$gte": lambda x: x >= bound,
        "$lt": lambda x: x < bound,
        "$lte": lambda x: x <= bound,
    }[sign]
    return any(compare(x) for x in _items(metadata, key) if _kind(x) == _kind(bound))


def _uri_matches(uri, want):
    if "*" in want:
        pattern = "".join(".*" if c == "*" else re.escape(c) for c in want)
        return re.fullmatch(pattern, uri) is not None
    return uri.startswith(want) if want.endswith("/") else uri == want


def _holds(wire, uri, metadata):
    return all(_entry_holds(key, value, uri, metadata) for key, value in wire.items())


def _entry_holds(key, value, uri, metadata):
    if key == "$and":
        return all(_holds(item, uri, metadata) for item in value)
    if key == "$or":
        return any(_holds(item, uri, metadata) for item in value)
    if key == "$not":
        return not _holds(value, uri, metadata)
    if key == "source":
        return any(_uri_matches(uri, w) for w in (value if isinstance(value, list) else [value]))
    if not isinstance(value, dict):
        return _among(metadata, key, value if isinstance(value, list) else [value])
    return all(_operator_holds(key, op, operand, metadata) for op, operand in value.items())


def _operator_holds(key, op, operand, metadata):
    if op in ("$eq", "$ne"):
        return _among(metadata, key, [operand]) == (op == "$eq")
    if op in ("$in", "$nin"):
        return _among(metadata, key, operand) == (op == "$in")
    if op == "$exists":
        return (key in metadata) == operand
    if op == "$contains":
        return _contains(metadata, key, operand)
    return _ordered(metadata, key, op, operand)


def test_the_reference_agrees_with_fnmatch_on_stars():
    assert _uri_matches("s/b/c", "s/*") == fnmatch.fnmatchcase("s/b/c", "s/*")


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(_METADATA, min_size=6, max_size=6), wire=_FILTERS)
def test_sql_and_plain_python_find_the_same(store, draft, rows, wire):
    store.replace_many(
        [
            draft(f"d{n}", "x", uri=uri, metadata=metadata)
            for n, (uri, metadata) in enumerate(zip(_URIS, rows, strict=True))
        ]
    )
    found = {
        chunk.document_id
        for chunk in store.fetch(
            store.live_chunk_ids()[1].tolist(), query=Query("q", PUBLIC, filter=wire)
        )
    }
    expected = {
        f"d{n}"
        for n, (uri, metadata) in enumerate(zip(_URIS, rows, strict=True))
        if _holds(wire, uri, metadata)
    }
    assert found == expected
    allowed = store.allowed(Query("q", PUBLIC, filter=wire)).chunk_ids
    assert len(allowed) == len(expected)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
_WILD_KEYS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["$and", "$or", "$not", "$gt", "$in", "id", "uri", "updated_at", "title"]),
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wire=st.dictionaries(_WILD_KEYS, _JSON, max_size=3))
def test_any_json_is_a_filter_or_refused_and_never_reaches_sqlite_broken(library, wire):
    with suppress(InputError):
        library.allowed(Query("q", PUBLIC, filter=wire))
