import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError, SetupError
from steelyard.core.evaluation import Better, Reduce
from steelyard.evals.measures import known_measures, parse_measure, parse_measures, values_of
from steelyard.evals.measures.names import _PLAIN, MAX_K
from steelyard.evals.measures.retrieval import WITHOUT_CUTOFF, RetrievalMeasure

from .conftest import failed, said

FAMILIES = ["nDCG", "R", "RR", "P", "AP", "Success", "All", "Judged"]
cutoffs = st.builds(RetrievalMeasure, st.sampled_from(FAMILIES), st.integers(1, MAX_K))
uncut = st.sampled_from([RetrievalMeasure(family) for family in WITHOUT_CUTOFF])
measures = st.one_of(cutoffs, uncut, st.sampled_from(list(_PLAIN.values())))


@given(measures)
def test_a_measure_prints_as_it_parses(measure):
    assert str(measure) == measure.name
    assert parse_measure(measure.name) == measure


@given(measures, st.randoms())
def test_a_name_is_read_in_any_case_and_printed_in_one(measure, random):
    shouted = "".join(random.choice((c.upper(), c.lower())) for c in measure.name)
    assert parse_measure(f"  {shouted} ").name == measure.name


@given(st.lists(measures, min_size=1, max_size=8))
def test_a_list_is_read_in_order_and_each_measure_once(listed):
    names = [measure.name for measure in listed]
    assert [one.name for one in parse_measures(", ".join(names))] == list(dict.fromkeys(names))


@given(st.text(max_size=20))
def test_any_text_is_a_measure_or_a_clear_error(text):
    try:
        found = parse_measure(text)
    except InputError:
        return
    assert parse_measure(found.name) == found


def test_what_other_tools_call_them_is_understood():
    names = ("MRR@10", "MAP", "recall@5", "Precision@3", "hit@5", "p95_first_token_ms")
    found = [parse_measure(name).name for name in names]
    assert found == ["RR@10", "AP", "R@5", "P@3", "Success@5", "p95_ttft_ms"]


def test_all_faults_are_told_at_once_with_the_nearest_names():
    with pytest.raises(InputError) as caught:
        parse_measures("ndgc@7,EM,p95_rernk_ms,P@0,F1@3,R,nDCG@1e3")
    told = str(caught.value)
    for part in (
        "'ndgc@7' (did you mean nDCG@7?)",
        "'p95_rernk_ms' (did you mean p95_rerank_ms?)",
        "'P@0' needs a whole number from 1 to 10000 behind @, as P@5",
        "F1 takes no @; write F1",
        "'R' needs",
        "'nDCG@1e3' needs",
    ):
        assert part in told
    assert "known are" not in told


def test_a_name_that_is_near_to_none_gets_the_whole_list():
    with pytest.raises(InputError, match=r"known are nDCG@k, .*judge:correct$"):
        parse_measure("wibble")


@pytest.mark.parametrize("names", ["", " , ,"])
def test_no_name_is_an_error(names):
    with pytest.raises(InputError, match="no measure is named"):
        parse_measures(names)


def test_every_family_has_an_example_and_every_measure_a_family():
    examples = [parse_measure(meaning.example) for meaning in known_measures()]
    assert all(
        measure.better == meaning.better
        for measure, meaning in zip(examples, known_measures(), strict=True)
    )
    told = " ".join(meaning.form for meaning in known_measures())
    stages = "p50_ p95_ p99_ mean_"
    assert all(
        name in told or any(name.startswith(stage) for stage in stages.split())
        for name in (measure.name for measure in _PLAIN.values())
    )


def test_effort_is_better_low_and_no_quality_and_percentiles_reduce_as_named():
    p95 = parse_measure("p95_rerank_ms")
    assert (p95.reduce, p95.better, p95.quality) == (Reduce.P95, Better.LOWER, False)
    f1 = parse_measure("F1")
    assert (f1.reduce, f1.better, f1.quality) == (Reduce.MEAN, Better.HIGHER, True)


def test_a_judged_measure_says_what_it_lacks():
    with pytest.raises(SetupError, match="judge:support asks a language model"):
        parse_measure("judge:support").values([], [])


def test_measures_taken_together_are_those_taken_alone(random_set):
    questions, outcomes = random_set
    measures = parse_measures("EM,nDCG@10,p95_ms,AP,R@3,All@2,failed,Judged@5,RR")
    together = values_of(measures, questions, outcomes)
    assert list(together) == [measure.name for measure in measures]
    for measure in measures:
        alone = measure.values(questions, outcomes)
        assert together[measure.name].tolist() == pytest.approx(alone.tolist(), nan_ok=True)


def test_an_empty_set_has_empty_values():
    for name in [meaning.example for meaning in known_measures() if "judge" not in meaning.form]:
        assert parse_measure(name).values([], []).shape == (0,)


def test_lists_of_different_lengths_are_a_bug():
    with pytest.raises(AssertionError):
        parse_measure("EM").values([], [said("x"), failed()])


def test_the_command_line_starts_without_the_retrieval_measures_library():
    code = (
        "import steelyard.cli, steelyard.evals.measures, sys; "
        "assert not {'ir_measures', 'pytrec_eval'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
