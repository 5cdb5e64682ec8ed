"""The built-in answerer quotes what answers, or says that nothing does."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.core.chat import Finish, Passage, Token
from steelyard.generate import REFUSAL, ExtractiveGenerator, cite
from steelyard.generate.candidates import candidates
from steelyard.generate.choose import MAX_EMBEDDED, ChooseOptions, choose, likely
from steelyard.generate.cues import Wanted, holds, wanted
from steelyard.generate.extractive import join_quotes

HANDBOOK = """\
# Leave

Every employee has 28 days of paid leave a year. Days that are left expire on 31 March.

- Ask your team lead at least two weeks before.
- Sick days need no note before the fourth day.

| Grade | Notice | Bonus |
| --- | --- | --- |
| Junior | 1 month | 4 % |
| Senior | 3 months | 9 % |

```
leave request --from 2026-05-01
leave cancel 17
```
"""


@pytest.fixture
def handbook() -> Passage:
    return Passage(3, 31, "hb", "u", "Handbook", HANDBOOK, 10, 10 + len(HANDBOOK), 1.0, ("Leave",))


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as made:
        yield made


def _answer(embedder, question, *found) -> str:
    with ThreadPoolExecutor(1) as pool:
        return ExtractiveGenerator(embedder, pool=pool).answer(question, found)


def test_an_answer_streams_in_words_and_is_cited_exactly(run, embedder, pool, handbook):
    async def scenario():
        generator = ExtractiveGenerator(embedder, pool=pool)
        stream = generator.generate("How many days of paid leave has an employee?", [handbook])
        return [piece async for piece in stream]

    *tokens, finish = run(scenario())
    assert isinstance(finish, Finish)
    assert finish.confidence is not None
    assert 0.3 <= finish.confidence <= 1
    assert len(tokens) > 3
    assert all(isinstance(token, Token) for token in tokens)
    text = "".join(token.text for token in tokens)
    assert text.startswith("Every employee has 28 days of paid leave a year. [3]")
    cited = cite(text, [handbook])
    assert cited.answerable
    assert cited.unsupported == ()
    assert cited.citations[0].quote == "Every employee has 28 days of paid leave a year."
    for citation in cited.citations:
        assert HANDBOOK[citation.start - 10 : citation.end - 10] == citation.quote


def test_the_order_of_the_passages_changes_their_numbers_and_nothing_else(embedder, passages):
    question = "What is the default timeout?"
    timeouts = passages[0]
    better = replace(passages[1], text=timeouts.text, start=0, end=len(timeouts.text), score=2.0)
    by_rank = _answer(embedder, question, replace(better, n=1), replace(timeouts, n=2))
    by_place = _answer(embedder, question, replace(timeouts, n=1), replace(better, n=2))
    assert by_rank.startswith("The default timeout is 30 seconds. [1]")
    assert by_place == by_rank.replace("[1]", "[2]")


@pytest.mark.parametrize(
    ("question", "quoted"),
    [
        ("When do days of leave that are left expire?", "Days that are left expire on 31 March."),
        ("What is the notice for grade senior?", "| Senior | 3 months | 9 % |"),
        ("When do sick days need a note?", "- Sick days need no note before the fourth day."),
    ],
)
def test_sentences_rows_and_list_items_are_quoted_whole(embedder, handbook, question, quoted):
    text = _answer(embedder, question, handbook)
    assert f"{quoted} [3]" in text
    assert quoted in [citation.quote for citation in cite(text, [handbook]).citations] or (
        quoted.lstrip("- ") in [citation.quote for citation in cite(text, [handbook]).citations]
    )


def test_what_the_documents_do_not_tell_is_said_so(embedder, handbook):
    text = _answer(embedder, "Which colour has the roof of the Lisbon observatory?", handbook)
    assert text == REFUSAL
    assert not cite(text, [handbook]).answerable


@pytest.mark.parametrize("texts", [(), ("",), ("# Only a heading",), ("|---|---|",)])
def test_nothing_to_quote_is_a_refusal(embedder, texts):
    found = [Passage(1, 1, "d", "u", "T", text, 0, len(text), 1.0) for text in texts]
    assert _answer(embedder, "How many?", *found) == REFUSAL


def test_candidates_are_exact_and_leave_out_headings_and_rules(handbook):
    found = candidates([handbook])
    assert all(HANDBOOK[each.start : each.end] == each.text for each in found)
    texts = [each.text for each in found]
    assert "| Senior | 3 months | 9 % |" in texts
    assert "leave cancel 17" in texts
    assert not any(text.startswith(("#", "```", "| Grade")) or "---" in text for text in texts)
    row = next(each for each in found if "Senior" in each.text)
    assert {"grad", "notic", "handbook", "leav"} <= row.context
    assert row.embedded == "| Grade | Notice | Bonus |\n| Senior | 3 months | 9 % |"


def test_the_first_row_of_a_table_cut_in_two_can_be_quoted():
    text = "| Senior | 3 months | 9 % |\n| Principal | 6 months | 12 % |"
    passage = Passage(1, 1, "d", "u", "T", text, 0, len(text), 1.0)
    assert [each.text for each in candidates([passage])] == text.split("\n")


def test_a_table_that_goes_on_from_another_chunk_is_read_with_its_columns(embedder):
    columns = "Country | Lunch | Hotel per night"
    text = "| Denmark | DKK 160 | DKK 1,350 |\n| Norway | NOK 210 | NOK 1,700 |"
    passage = Passage(2, 1, "d", "u", "Expenses", text, 0, len(text), 1.0, ("Limits", columns))
    found = candidates([passage])
    assert [each.embedded for each in found] == [f"{columns}\n{row}" for row in text.split("\n")]
    answer = _answer(embedder, "What is the hotel limit per night in Norway?", passage)
    assert answer.startswith("| Norway | NOK 210 | NOK 1,700 | [2]")


def test_headings_and_questions_lead_to_what_follows_and_are_not_quoted():
    text = (
        "Dogs\n----\n\nMay I bring my dog?\n\nOn Fridays dogs are welcome.\n\nMUSTER POINTS\n\n"
        "* the old slipway\n\nOther matters\n\nNothing more to say here."
    )
    passage = Passage(1, 1, "d", "u", "T", text, 0, len(text), 1.0)
    found = candidates([passage])
    assert [each.text for each in found] == [
        "On Fridays dogs are welcome.",
        "* the old slipway",
        "Nothing more to say here.",
    ]
    assert found[0].embedded == "May I bring my dog?\nOn Fridays dogs are welcome."
    assert {"muster", "point"} <= found[1].context


def test_a_lead_in_is_quoted_with_its_list():
    items = "- the owner was called\n- nobody is inside"
    text = f"A lock may be cut if all is true:\n\n{items}\n\nThat ends it well."
    passage = Passage(1, 1, "d", "u", "T", text, 0, len(text), 1.0)
    whole = text.partition("\n\nThat")[0]
    found = [each.text for each in candidates([passage])]
    assert found == [whole, "- the owner was called", "- nobody is inside", "That ends it well."]
    quoted = join_quotes([(whole, 1)])
    assert quoted == (
        "A lock may be cut if all is true: [1]\n- the owner was called [1]\n- nobody is inside [1]"
    )
    cited = cite(quoted, [passage])
    assert [citation.quote for citation in cited.citations] == [
        "A lock may be cut if all is true",
        "the owner was called",
        "nobody is inside",
    ]
    assert cited.unsupported == ()


def test_a_text_found_twice_is_offered_once(handbook):
    assert len(candidates([handbook, replace(handbook, n=4)])) == len(candidates([handbook]))


def test_only_so_many_sentences_are_embedded(embedder):
    text = " ".join(f"The lamp number {i} has a price of {i} crowns." for i in range(200))
    passage = Passage(1, 1, "d", "u", "T", text, 0, len(text), 1.0)
    question = "What is the price of lamp number 150?"
    choice = choose(question, [passage], embed=embedder.embed_query)
    assert embedder.num_texts == MAX_EMBEDDED + 1
    assert choice.picks[0].text == "The lamp number 150 has a price of 150 crowns."
    assert len(likely(question, candidates([passage]))) == MAX_EMBEDDED


def test_sentences_are_embedded_once_for_many_questions(embedder, handbook, pool):
    generator = ExtractiveGenerator(embedder, pool=pool)
    generator.answer("How many days?", [handbook])
    before = embedder.num_texts
    generator.answer("How many weeks?", [handbook])
    assert embedder.num_texts == before + 1


def test_no_more_sentences_are_quoted_than_asked_for(embedder, handbook):
    options = ChooseOptions(max_sentences=1)
    embed = embedder.embed_query
    assert len(choose("Which days?", [handbook], embed=embed, options=options).picks) == 1


def test_markers_inside_a_document_cite_nothing():
    text = join_quotes([("Paris has 2 million people.[12] It is old.", 2), ("- A list item", 1)])
    assert text == "Paris has 2 million people. It is old. [2]\n\n- A list item [1]"
    assert join_quotes([("No full stop", 1), ("Next.", 1)]) == "No full stop [1]\n\nNext. [1]"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was it built?", Wanted.DATE),
        ("In what year did he die?", Wanted.DATE),
        ("How many days of leave?", Wanted.NUMBER),
        ("Who signs the form?", Wanted.PERSON),
        ("Where is the office?", Wanted.PLACE),
        ("Why is it late?", Wanted.REASON),
        ("How do I reset it?", Wanted.STEPS),
        ("Tell me about leave", Wanted.ANYTHING),
    ],
)
def test_questions_tell_the_kind_of_answer_they_want(question, kind):
    assert wanted(question) is kind


def test_a_number_from_the_question_is_no_answer_to_it():
    question = "How many of the 28 days expire?"
    assert not holds("All 28 days.", Wanted.NUMBER, question=question)
    assert holds("Only 3 of them.", Wanted.NUMBER, question=question)
    assert holds("Ada Lovelace wrote it.", Wanted.PERSON, question="Who wrote it?")
    assert not holds("She wrote it.", Wanted.PERSON, question="Who wrote it?")


@settings(max_examples=60, deadline=None)
@given(question=st.text(max_size=60), texts=st.lists(st.text(max_size=120), max_size=3))
def test_any_text_is_answered_or_refused_and_never_fails(question, texts):
    found = [
        Passage(n, n, "d", "u", "T", text, 0, len(text), 1.0) for n, text in enumerate(texts, 1)
    ]
    choice = choose(question, found, embed=lambda text: np.full(4, 0.5, np.float32))
    assert 0.0 <= choice.confidence <= 1.0
    for pick in choice.picks:
        assert texts[pick.place][pick.start : pick.end] == pick.text
