"""Capacity grows with documents and questions, and says what was not measured."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.advise import named_scenario, scenario_names
from steelyard.advise.capacity import capacity
from steelyard.advise.capacity_inputs import SPECS, Asked
from steelyard.advise.capacity_limits import limits
from steelyard.advise.capacity_wire import (
    amount,
    capacity_json,
    capacity_of,
    figures_table,
    limits_table,
)
from steelyard.core.errors import InputError


def figures(**given: float) -> dict[str, float]:
    return {name: cell.point for name, cell in capacity_of(given).figures.items()}


def test_at_measured_sizes_it_says_what_was_measured():
    found = figures(chunks=100_000)
    assert found["disk of the truth"] == pytest.approx(0.196)
    assert found["disk of the indexes"] == pytest.approx(0.149)
    assert found["hours to build a graph"] == pytest.approx(114 / 3_600)
    assert found["memory for one copy"] == pytest.approx((287 + 66 + 31) / 1_000)
    assert found["search p95 of one question"] == pytest.approx(4.16 + 2.6 + 1)


def test_a_million_chunks_need_the_memory_that_had_been_predicted():
    """2.5 GB resident were predicted before the curve had its last point."""
    assert figures(chunks=1e6)["memory for one copy"] == pytest.approx(2.5, rel=0.05)


def test_a_servers_rate_is_its_cores_over_a_questions_processor_time():
    found = figures(chunks=100_000, cores=2, utilisation=0.5)
    assert found["searches a second of a server"] == pytest.approx(2 * 0.5 * 1_000 / 6.24)
    assert figures(chunks=100_000, cores=2, utilisation=0.5, questions_per_s=161)["servers"] == 2


def test_no_more_is_promised_than_two_cores_did_beside_their_load_generator():
    """At 16,000 chunks, 307 and 234 searches a second at 32 clients (bench/LOG.md)."""
    promised = figures(chunks=16_000, cores=2)["searches a second of a server"]
    assert 200 < promised < 234


def test_a_tight_target_lets_a_server_be_loaded_less():
    calm, tight = (
        figures(chunks=1e5, utilisation=0.9, search_target_ms=target) for target in (500, 20)
    )
    load = 1 - 7.76 / 20  # what is left when a question alone takes 7.76 ms of 20
    name = "searches a second of a server"
    assert tight[name] / calm[name] == pytest.approx(load / 0.9)


def test_one_copy_lies_on_as_many_servers_as_hold_it():
    found = capacity_of({"chunks": 1e8})
    held = min(cell.point for cell in found.fits.values())
    assert found.figures["servers for one copy"].point == math.ceil(1e8 / held)
    assert figures(chunks=1e8, copies=2)["servers"] == 2 * math.ceil(1e8 / held)


def test_what_is_asked_of_no_model_needs_no_gpu():
    assert "GPUs" not in figures(tokens_in=0, tokens_out=0)
    assert (
        figures(questions_per_s=100, hit_ratio=0.5)["GPUs"] < figures(questions_per_s=100)["GPUs"]
    )


ranges = {
    spec.key: st.floats(max(spec.low, 1e-9) if spec.log else spec.low, spec.high) for spec in SPECS
}
GROWS = (
    "chunks", "memory for one copy", "disk for one copy", "hours to read everything, on one",
    "hours to build a graph", "search p95 of one question", "servers for one copy", "servers",
    "network",
)  # fmt: skip
machines = st.fixed_dictionaries(
    {},
    optional={
        key: ranges[key]
        for key in ("cores", "disk_gb", "utilisation", "search_target_ms", "reranked", "copies")
    },
)


@settings(max_examples=60)
@given(st.floats(1, 1e9), st.floats(1, 1e9), st.floats(1e-6, 1e5), machines)
def test_more_documents_never_need_less(
    one: float, other: float, questions: float, machine: dict[str, float]
):
    fewer, more = (
        figures(chunks=chunks, questions_per_s=questions, **machine)
        for chunks in sorted((one, other))
    )
    for name in GROWS:
        assert fewer[name] <= more[name] * (1 + 1e-9), name


@settings(max_examples=60)
@given(st.floats(1e-6, 1e5), st.floats(1e-6, 1e5), st.floats(1, 1e9), machines)
def test_more_questions_never_need_less(
    one: float, other: float, chunks: float, machine: dict[str, float]
):
    fewer, more = (
        figures(chunks=chunks, questions_per_s=asked, **machine) for asked in sorted((one, other))
    )
    for name in (*GROWS, "GPUs"):
        assert fewer[name] <= more[name] * (1 + 1e-9), name


@settings(max_examples=60)
@given(st.fixed_dictionaries({}, optional=ranges))
def test_whatever_is_allowed_gives_finite_numbers_or_one_clear_error(given: dict[str, float]):
    try:
        found = capacity_of(given)
    except InputError as error:
        assert_clear(error.message)
        return
    told = json.loads(json.dumps(capacity_json(found), allow_nan=False))
    assert all(one["value"] >= 0 for one in told["figures"])
    assert all(one["most"] > 0 for one in told["limits"])
    assert len(limits_table(found)) == len(told["limits"]) + 1
    assert len(figures_table(found)) == len(told["figures"]) + 1


def assert_clear(message: str) -> None:
    assert message.startswith("capacity: ")
    assert "raise" in message or "lower" in message


def test_all_faults_are_named_at_once_with_the_allowed_range():
    with pytest.raises(InputError) as told:
        capacity_of(
            {
                "chunks": 1e12,
                "questions_per_s": -1,
                "core": 4,
                "copies": math.nan,
                "disk_gb": "big",
                "cores": {"low": 1, "value": 2, "high": 3},
            }
        )
    for words in (
        "chunks: 1000000000000.0 is no number from 0 to 1e+09",
        "questions_per_s: -1 is no number from 1e-06 to 100000",
        "core: unknown, did you mean 'cores'?",
        "copies: nan is no number from 1 to 100",
        "disk_gb: 'big' is no number",
        "cores: a range is not taken here",
    ):
        assert words in told.value.message


def test_more_chunks_than_paper_goes_to_are_refused_with_how_they_came_about():
    with pytest.raises(InputError, match="documents 1e\\+09 × tokens_per_document 1500"):
        capacity_of({"documents": 1e9})


def test_a_server_that_holds_nothing_is_named_with_what_to_raise():
    with pytest.raises(InputError, match=r"by its memory a server holds 0 chunks.*raise memory_gb"):
        capacity_of({"kept_answers": 1e8})


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_can_be_sized(name: str):
    scenario = named_scenario(name)
    found = capacity_of({}, scenario=scenario)
    per_s = scenario["questions_per_day"].value / 86_400 * scenario["peak_factor"].value
    assert found.asked.values["questions_per_s"] == pytest.approx(per_s)
    assert found.asked.sources["documents"] == f"scenario {name!r}"


def test_what_is_beyond_the_measured_points_is_said():
    assert not any("stretched" in note for note in _notes(chunks=90_000, tokens_in=1_024))
    told = " ".join(_notes(chunks=1e9))
    for words in ("truth: measured to 100,000 chunks", "search: measured to 1,000,000 chunks",
                  "nothing of the kind has been run", "waits for the slowest"):  # fmt: skip
        assert words in told


def test_each_part_has_its_limit_and_says_what_it_moves_to():
    small, large = (
        {one.part: one.beyond for one in limits(capacity(Asked.read(given)))}
        for given in ({}, {"chunks": 1e9, "questions_per_s": 1e5, "reranked": 1})
    )
    assert not any(small.values())
    assert {part for part, beyond in large.items() if beyond} == set(large) - {"ingestion"}
    assert {"truth (SQLite)", "dense index", "lexical index", "answer cache", "encoder",
            "reranker", "language model"} <= set(large)  # fmt: skip


def test_at_a_limit_the_part_is_just_not_beyond_it():
    fits = capacity_of({}).fits["disk"].point
    at, over = (
        {one.part: one.beyond for one in limits(capacity_of({"chunks": chunks}))}
        for chunks in (fits * 0.999, fits * 1.001)
    )
    assert (at["truth (SQLite)"], over["truth (SQLite)"]) == (False, True)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0321, "0.0321"), (9.99, "9.99"), (474.1, "474"), (23_003_994, "23 M"), (1e9, "1 G")],
)
def test_amounts_are_short(number: float, text: str):
    assert amount(number) == text


def _notes(**given: float) -> tuple[str, ...]:
    return capacity_of(given).notes
