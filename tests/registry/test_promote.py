"""A version is served only if a gate over the serving code says so, or somebody forces it."""

import asyncio

import pytest

from steelyard.arms.weighing import Scales, weigh
from steelyard.core.errors import InputError, SetupError
from steelyard.core.evaluation import Question, QuestionSet, SetDocument
from steelyard.core.registry import Action, Alias
from steelyard.evals.records import Records, records_path
from steelyard.flows.promote import (
    Order,
    promote,
    refusal,
    register_and_promote,
    usual_rules,
    with_measures,
)
from steelyard.flows.registry import Draft
from steelyard.registry import artefact_folder

TOPICS = (
    "cameras lens aperture shutter", "leave holiday vacation absence", "salary payroll bonus wage",
    "laptop keyboard monitor dock", "travel hotel flight taxi", "parking garage car permit",
    "kitchen coffee fridge dishes", "security badge door alarm", "training course exam tutor",
    "printer toner paper tray", "garden roses lawn hedge", "music violin piano choir",
)  # fmt: skip
DOCUMENTS = tuple(
    SetDocument(f"d{n}", topic.split()[0].title(), f"About {topic}. It says all of it.")
    for n, topic in enumerate(TOPICS)
)
SET = QuestionSet(
    "topics",
    "topics-1",
    tuple(
        Question(
            f"q{n}", f"what of {topic.split()[1]} and {topic.split()[2]}", relevant={f"d{n}": 1}
        )
        for n, topic in enumerate(TOPICS)
    ),
    DOCUMENTS,
)
ANN = Order("ann", "to try it")


@pytest.fixture
def broken_home(registry, base):
    """A home whose settings name a reranker with random weights: anything is better."""
    (registry.home / "settings.toml").write_text(
        f'[embed]\nmodel = "hashing"\n[rerank]\nmodel = "{base}"\nmax_tokens = 48\n',
    )
    return registry


@pytest.fixture
def sound_home(registry):
    (registry.home / "settings.toml").write_text('[embed]\nmodel = "hashing"\n')
    return registry


def weigher(registry, **rules):
    def weigh_now(version):
        found = usual_rules(version, SET)
        with Records(records_path(registry.home)) as records:
            scales = Scales(SET, found, records, **rules)
            return asyncio.run(weigh(registry, version, scales)).evaluation

    return weigh_now


def register(registry, name, **options):
    options = {key.replace("__", "."): value for key, value in options.items()}
    return registry.register(Draft(name, options=options), who="ann").version


def test_a_version_that_is_shown_to_be_better_is_served(broken_home):
    version = register(broken_home, "none", rerank__model="")
    done = promote(broken_home, version, ANN, weigh=weigher(broken_home))
    assert done.event is not None
    assert not done.event.forced
    score = done.evaluation.scores["nDCG@10"]
    assert score.verdict == "better"
    assert score.candidate[0] == 1.0
    assert score.delta[1] > 0
    assert broken_home.find("champion") == version
    assert broken_home.store.registry_history()[-1].evaluation.run == done.evaluation.run
    with Records(records_path(broken_home.home), readonly=True) as records:
        report = records.report(done.evaluation.run)
    assert [arm.name for arm in report.arms] == ["served", "candidate"]
    # The reranker of the settings is what was served, and what the candidate took away.
    assert [arm.parts["reranker"] == "none" for arm in report.arms] == [False, True]


def test_a_version_that_is_worse_is_refused_with_the_figures_and_stays_challenger(
    sound_home, make_adapter
):
    draft = Draft("random", make_adapter())
    done = register_and_promote(sound_home, draft, ANN, weigh=weigher(sound_home))
    assert done.event is None
    assert "nDCG@10 better by 0: nDCG@10 changed by -" in refusal(done)
    assert sound_home.champions().versions == ()
    assert sound_home.store.aliases() == {"reranker": {Alias.CHALLENGER: done.version.id}}
    last = sound_home.store.registry_history()[-1]
    assert (last.action, last.evaluation.passed) == (Action.WEIGH, False)


def test_force_is_recorded_and_needs_a_reason(sound_home, make_adapter):
    version = sound_home.register(Draft("random", make_adapter()), who="ann").version
    with pytest.raises(InputError, match="--force --why"):
        promote(sound_home, version, Order("ann", force=True))
    done = promote(sound_home, version, Order("ann", "for the demo", force=True))
    assert done.event.forced
    assert sound_home.store.registry_history()[-1].why == "for the demo"


def test_without_questions_the_last_weighing_over_what_is_served_counts(broken_home):
    version = register(broken_home, "none", rerank__model="")
    with pytest.raises(InputError, match="was not weighed over what is served now"):
        promote(broken_home, version, ANN)
    evaluation = weigher(broken_home)(version)
    broken_home.store.keep_evaluation(version.id, evaluation, who="ann")
    wide = register(broken_home, "wide", retrieve__pool=60)
    broken_home.store.promote_version(wide.id, who="bob", forced=True)
    with pytest.raises(InputError, match="was not weighed over"):  # something else serves now
        promote(broken_home, version, ANN)
    broken_home.roll_back(who="bob")
    done = promote(broken_home, version, ANN)
    assert (done.event.forced, done.event.evaluation.run) == (False, evaluation.run)


def test_a_candidate_takes_the_place_of_its_kind_and_leaves_the_other_kinds(
    sound_home, make_adapter
):
    served = sound_home.register(Draft("one", make_adapter()), who="a").version
    sound_home.store.promote_version(served.id, who="a", forced=True)
    wide = register(sound_home, "wide", retrieve__pool=60)
    sound_home.store.promote_version(wide.id, who="a", forced=True)
    other = sound_home.register(
        Draft("two", make_adapter("two", seed=2), options={"rerank.pool": 5}), who="a"
    ).version
    now, then = sound_home.champions(), sound_home.champions_with(other)
    assert now.options["retrieve.pool"] == then.options["retrieve.pool"] == 60
    assert "rerank.pool" not in now.options
    assert then.options["rerank.pool"] == 5
    assert then.options["rerank.adapter"] != now.options["rerank.adapter"]


def test_a_damaged_artefact_is_refused_before_anything_is_asked(sound_home, make_adapter):
    version = sound_home.register(Draft("one", make_adapter()), who="a").version
    path = artefact_folder(sound_home.home, version.artefact) / "adapter_config.json"
    path.write_text(path.read_text() + " ")

    def never(_):
        pytest.fail("it was weighed")

    with pytest.raises(SetupError, match=r"adapter_config\.json was changed"):
        promote(sound_home, version, Order("ann", "x", force=True), weigh=never)


def test_a_promotion_beside_another_one_is_refused(broken_home):
    version = register(broken_home, "none", rerank__model="")
    wide = register(broken_home, "wide", retrieve__pool=60)
    weigh_now = weigher(broken_home)

    def meanwhile(one):
        evaluation = weigh_now(one)
        broken_home.store.promote_version(wide.id, who="bob", forced=True)
        return evaluation

    with pytest.raises(InputError, match="changed while"):
        promote(broken_home, version, ANN, weigh=meanwhile)
    assert broken_home.find("champion") == wide


def test_rules_are_those_of_the_kind_and_measures_they_need_are_added(registry, make_adapter):
    search = register(registry, "wide", retrieve__pool=60)
    answer = register(registry, "told", llm__instructions="Be brief.")
    assert not usual_rules(search, SET).answers
    rules = usual_rules(answer, SET)
    assert rules.answers
    assert rules.margins == ()  # the set has no question without an answer
    unanswerable = QuestionSet("s", "s", (Question("q", "who?", answerable=False),))
    assert [str(m) for m in usual_rules(answer, unanswerable).margins] == ["abstention:-0.05"]
    assert with_measures(usual_rules(search, SET), "p95_ms").measures == "p95_ms,nDCG@10,R@10"
