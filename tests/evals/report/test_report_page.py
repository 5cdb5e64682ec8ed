"""The page's file: what it holds, that it asks nobody for anything, and that text stays text."""

import base64
import dataclasses
import gzip
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import HOSTILE, made_run

from steelyard.core.chat import Answer, Passage, Span, Usage
from steelyard.core.errors import InputError
from steelyard.core.evaluation import GoldSpan, Question, SetDocument
from steelyard.evals.report import page_policy, report_page, shown_documents, write_page
from steelyard.evals.report.chain import chain, steps
from steelyard.evals.report.pieces import answer_pieces, gold_places, utf16
from steelyard.evals.report.tracks import Scale


def _page(made):
    return "".join(report_page(made.report, made.questions, made.outcomes))


def _blocks(page):
    found = re.findall(r'<script type="application/octet-stream" id="(\w+)">([^<]*)</script>', page)
    return {name: json.loads(gzip.decompress(base64.b64decode(text))) for name, text in found}


def test_every_question_and_arm_is_in_the_blocks():
    made = made_run(100)
    blocks = _blocks(_page(made))
    rows = [row for n in range(3) for row in blocks[f"q{n}"]]
    assert [row["id"] for row in rows] == list(made.report.question_ids)
    assert all(len(row["arms"]) == 3 for row in rows)
    assert blocks["index"]["ids"] == list(made.report.question_ids)
    passages = [row for n in range(len(blocks)) for row in blocks.get(f"p{n}", [])]
    source = made.outcomes["base"][4].answer.sources[0]
    place = rows[4]["arms"][0]["sources"][0]["at"]
    assert passages[place]["text"] == source.text


def test_a_passage_that_many_answers_show_is_there_once():
    made = made_run(100)
    blocks = _blocks(_page(made))
    passages = [row for name, rows in blocks.items() if name[0] == "p" for row in rows]
    whole = [(row["document"], row["text"]) for row in passages]
    assert len(whole) == len(set(whole))
    shown = [
        s for found in made.outcomes.values() for o in found if o.answer for s in o.answer.sources
    ]
    assert len(shown) > 4 * len(passages)


def test_documents_that_the_set_does_not_hold_are_named_by_what_answers_cite():
    made = made_run(20)
    bare = dataclasses.replace(made.questions, documents=())
    blocks = _blocks("".join(report_page(made.report, bare, made.outcomes)))
    rows = [row for name, found in blocks.items() if name[0] == "p" for row in found]
    titles = {
        source.document_id: source.title
        for found in made.outcomes["base"]
        if found.answer
        for source in found.answer.sources
    }
    assert titles
    for row in rows:
        assert row["title"] == titles.get(row["document"], row["title"])


def test_of_a_set_only_what_was_found_is_kept_and_only_its_beginning():
    made = made_run(40, answers=False, arms=("bm25", "dense"))
    long = dataclasses.replace(made.questions.documents[0], text="word " * 5000)
    never = SetDocument("never-found", "t", "x")
    documents = (long, *made.questions.documents[1:], never)
    whole = dataclasses.replace(made.questions, documents=documents)
    shown = shown_documents(whole, made.outcomes)
    assert never not in shown
    assert len(shown[0].text) == 480
    bare = dataclasses.replace(whole, documents=shown)
    pages = ["".join(report_page(made.report, one, made.outcomes)) for one in (whole, bare)]
    assert _blocks(pages[0]) == _blocks(pages[1])


def test_nothing_is_loaded_and_only_our_own_script_may_run():
    page = _page(made_run(10))
    markup = re.sub(r">[A-Za-z0-9+/=]{40,}</script>", "></script>", page)
    assert "http://" not in markup.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in markup
    assert not re.search(r"\b(src|href)=\"?(?!#)", markup.split("<script>")[0])
    assert " style=" not in markup.split("<script>")[0]
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page_policy()
    assert f'content="{page_policy()}"' in page


def test_names_from_elsewhere_are_escaped():
    made = made_run(10, arms=(HOSTILE, "b"), measures=("EM",))
    report = dataclasses.replace(
        made.report, set_name=HOSTILE, notes=(HOSTILE,), machine={"cpu": HOSTILE}
    )
    page = "".join(report_page(report, made.questions, made.outcomes))
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script")
    assert "&lt;img src=x" in page


def test_the_same_run_gives_the_same_bytes():
    assert _page(made_run(30)) == _page(made_run(30))


def test_an_arm_without_outcomes_is_refused_before_anything_is_written(tmp_path):
    made = made_run(5)
    del made.outcomes["+reranker"]
    with pytest.raises(InputError, match=r"no outcomes of '\+reranker'"):
        write_page(tmp_path / "r.html", made.report, made.questions, made.outcomes)
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    made = made_run(50)
    path = tmp_path / "r.html"
    write_page(path, made.report, made.questions, made.outcomes)
    before = path.read_bytes()
    made.outcomes["base"][49] = dataclasses.replace(made.outcomes["base"][49], timings_ms=None)
    with pytest.raises(AttributeError):
        write_page(path, made.report, made.questions, made.outcomes)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["r.html"]


def test_lone_surrogates_and_missing_questions_make_a_page():
    made = made_run(5)
    odd = dataclasses.replace(made.questions.questions[0], text="half \ud83c of a palm")
    questions = dataclasses.replace(made.questions, questions=(odd,))
    blocks = _blocks("".join(report_page(made.report, questions, made.outcomes)))
    assert blocks["index"]["texts"][0] == "half ? of a palm"
    assert blocks["q0"][4]["text"] == "q-00004"


def test_the_chain_goes_on_only_where_one_part_changes():
    report = made_run(10, arms=("a", "b", "c", "d")).report
    assert [(one.previous, one.arm, one.part) for one in chain(report)] == [
        ("a", "b", "embedder"), ("b", "c", "reranker"), ("c", "d", "reader"),
    ]  # fmt: skip
    skipped = dataclasses.replace(report, arms=(report.arms[0], *report.arms[2:]))
    assert chain(dataclasses.replace(skipped, comparisons=())) == []


def test_a_step_is_the_runs_own_comparison_or_a_fresh_one_of_the_two_arms():
    report = made_run(60, arms=("a", "b", "c")).report
    first, second = steps(report, chain(report))["nDCG@10"]
    known = {(c.candidate, c.measure): c for c in report.comparisons}
    assert first.delta == known["b", "nDCG@10"].delta
    assert first.verdict is known["b", "nDCG@10"].verdict
    assert second.verdict is None
    values = {name: report.values[name]["nDCG@10"] for name in ("b", "c")}
    assert second.delta.value == pytest.approx((values["c"] - values["b"]).mean())
    assert second.delta.low < second.delta.value < second.delta.high


def test_a_measure_of_another_version_has_a_step_without_an_interval():
    report = made_run(20, arms=("a", "b"), measures=("Sparkle@3",), compared=False).report
    [step] = steps(report, chain(report))["Sparkle@3"]
    assert (step.delta, step.verdict) == (None, None)


def _answer(text, unsupported=(), numbers=(1, 2)):
    sources = tuple(Passage(n, n, "d", "u", "t", "words", 0, 5, 1.0) for n in numbers)
    return Answer("a", text, True, (), unsupported, sources, Usage(), "off", "b", 1, ())


@pytest.mark.parametrize(
    ("text", "spans", "pieces"),
    [
        ("Yes [1].", (), ["Yes ", ["c", "[1]", 1], "."]),
        ("Yes [7].", (), ["Yes [7]."]),
        ("Yes [1, 2].", (), ["Yes [", ["c", "1", 1], ", ", ["c", "2", 2], "]."]),
        ("Yes [1]. No.", (Span(9, 12),), ["Yes ", ["c", "[1]", 1], ". ", ["u", "No."]]),
        ("No [1].", (Span(0, 7),), [["u", "No "], ["uc", "[1]", 1], ["u", "."]]),
        ("", (), []),
    ],
)
def test_an_answer_is_cut_at_marks_and_loose_sentences(text, spans, pieces):
    assert answer_pieces(_answer(text, spans)) == pieces


@given(st.text(max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_pieces_joined_are_the_answer(text, start, end):
    spans = (Span(min(start, end, len(text)), min(max(start, end), len(text))),)
    pieces = answer_pieces(_answer(text + " [2] and [1-2]", spans))
    assert "".join(p if isinstance(p, str) else p[1] for p in pieces) == text + " [2] and [1-2]"


def _passage(text, start=0):
    return Passage(1, 1, "d", "u", "t", text, start, start + len(text), 1.0)


@pytest.mark.parametrize(
    ("span", "start", "places"),
    [
        (GoldSpan("d", "28 days", 15, 22), 10, [[5, 12]]),  # by its offsets
        (GoldSpan("d", "28 days", None, None), 10, [[5, 12]]),  # by its words
        (GoldSpan("d", "28\n days", 900, 908), 10, [[5, 12]]),  # however they are spaced
        (GoldSpan("d", "Some 28 days", 5, 17), 10, [[0, 12]]),  # as far as the passage goes
        (GoldSpan("other", "28 days", None, None), 10, []),
        (GoldSpan("d", "29 days", 15, 22), 10, []),
    ],
)
def test_gold_is_found_in_a_passage(span, start, places):
    text = "Some 28 days." if span.text.startswith("Some") else "Take 28 days."
    question = Question("q", "?", spans=(span,))
    assert gold_places(_passage(text, start), question) == places


def test_answers_are_gold_only_in_a_right_document_and_as_whole_words():
    question = Question("q", "?", answers=("28",), relevant={"d": 1})
    assert gold_places(_passage("In 2028 it is 28."), question) == [[14, 16]]
    assert gold_places(_passage("28"), dataclasses.replace(question, relevant={"x": 1})) == []


def test_places_count_as_javascript_counts():
    assert utf16("🌴🌴ab", [(2, 4)]) == [[4, 6]]
    assert utf16("äöab", [(2, 4)]) == [[2, 4]]


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=5))
def test_a_scale_holds_its_values_between_round_ends(values):
    scale = Scale.over(values)
    assert 1 <= scale.gaps <= 4
    slack = 1e-6 * (abs(scale.low) + abs(scale.high) + 1e-300)
    assert scale.low - slack <= min(values) <= max(values) <= scale.high + slack
    assert all(-1 <= scale.place(value) <= 1001 for value in values)


def test_a_report_that_is_passed_on_names_nobodys_folders():
    made = made_run(30)
    secret = "file:///home/ana/secret-project/page.md"
    outcomes = {
        arm: [
            dataclasses.replace(
                one,
                answer=dataclasses.replace(
                    one.answer,
                    sources=tuple(
                        dataclasses.replace(source, uri=secret) for source in one.answer.sources
                    ),
                ),
            )
            if one.answer is not None
            else one
            for one in found
        ]
        for arm, found in made.outcomes.items()
    }
    assert any(one.answer and one.answer.sources for found in outcomes.values() for one in found)
    page = "".join(report_page(made.report, made.questions, outcomes))
    assert secret not in page + json.dumps(_blocks(page))
