"""What a generator is given of what was found."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest
from found_chunks import Truth, make_chunk, ranked
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.documents import StoredChunk
from steelyard.core.errors import SetupError
from steelyard.core.ranking import PUBLIC, FoundChunk, Query
from steelyard.embed.hashing import WordTokenizer
from steelyard.retrieve import Context, ContextBuilder, ContextOptions

AS_FOUND = ContextOptions(drop_duplicates=False, trim=False, neighbours=0)


def build(
    question: str,
    found: list[FoundChunk],
    *,
    options: ContextOptions = AS_FOUND,
    truth: Truth | None = None,
    tokenizer: WordTokenizer | None = None,
    stable_order: bool = False,
) -> Context:
    with ThreadPoolExecutor(1) as pool:
        builder = ContextBuilder(
            reader=truth or Truth([]),
            tokenizer=tokenizer or WordTokenizer(),
            pool=pool,
            options=options,
        )
        query = Query(question, PUBLIC)
        return asyncio.run(builder.build(query, found, stable_order=stable_order))


def texts(context: Context) -> list[str]:
    return [passage.text for passage in context.passages]


def test_nothing_found_gives_an_empty_context():
    assert build("Why?", [], options=ContextOptions(neighbours=3)) == Context()


def test_chunks_as_found_are_numbered_by_rank_and_counted():
    found = ranked(make_chunk("One two three.", start=7), make_chunk("Four five."))
    context = build("Which?", found)
    assert [(p.n, p.start, p.end, p.score) for p in context.passages] == [
        (1, 7, 21, 1.0),
        (2, 0, 10, 0.5),
    ]
    assert (context.num_tokens, context.saved_tokens, context.added_tokens) == (7, 0, 0)


def test_stable_order_gives_the_same_texts_in_the_same_order_whatever_the_rank():
    a = make_chunk("In a, early.", chunk_id=4, document_id="a")
    b = make_chunk("In a, late.", chunk_id=5, document_id="a", start=90)
    c = make_chunk("In c.", chunk_id=2, document_id="c")
    one = build("?", ranked(c, b, a), stable_order=True)
    other = build("?", ranked(a, c, b), stable_order=True)
    assert texts(one) == texts(other) == ["In a, early.", "In a, late.", "In c."]
    assert [passage.n for passage in one.passages] == [1, 2, 3]
    assert [passage.score for passage in one.passages] == [1 / 3, 1 / 2, 1]


def test_scores_fall_strictly_so_that_they_tell_the_rank_in_either_order():
    chunks = [make_chunk(f"Text {i}.", chunk_id=i) for i in range(2, 6)]
    scores = [-2.0, -2.0, -7.5, 0.016]  # two equal ones, and a tail that was not reranked
    found = [FoundChunk(chunk, score) for chunk, score in zip(chunks, scores, strict=True)]
    context = build("?", found)
    given_scores = [passage.score for passage in context.passages]
    assert given_scores[0] == -2.0
    assert given_scores[2] == -7.5
    assert all(a > b for a, b in pairwise(given_scores))
    assert given_scores == pytest.approx([-2.0, -2.0, -7.5, -7.5])
    stable = build("?", found[::-1], stable_order=True)
    assert sorted(passage.score for passage in stable.passages)[-1] == 0.016


def test_the_budget_cuts_the_first_passage_and_passes_over_long_ones():
    long = make_chunk("a b c d e f g h i j.", chunk_id=2, document_id="x", start=3)
    short = make_chunk("k l.", chunk_id=3, document_id="y")
    context = build("?", ranked(long, short), options=replace(AS_FOUND, max_tokens=4))
    assert texts(context) == ["a b c d"]
    assert (context.num_tokens, context.saved_tokens) == (4, 10)
    context = build("?", ranked(short, long), options=replace(AS_FOUND, max_tokens=4))
    assert texts(context) == ["k l."]


@pytest.mark.parametrize(
    ("options", "named"),
    [({"max_tokens": 0}, "context.max_tokens is 0"), ({"neighbours": -1}, "context.neighbours")],
)
def test_options_that_make_no_sense_are_refused(options, named):
    with pytest.raises(SetupError, match=named):
        ContextOptions(**options)


def test_tokens_counted_at_ingestion_are_not_counted_again():
    class Once(WordTokenizer):
        def count(self, texts):
            assert texts == ["Handbook > Leave\n"]
            return super().count(texts)

        def offsets(self, text):
            raise AssertionError("not needed")

    chunk = make_chunk("One two three.", title="Handbook", heading=("Leave",), num_tokens=7)
    found = ranked(chunk, replace(chunk, document_id="e", text="Four five.", num_tokens=6))
    assert build("?", found, tokenizer=Once()).num_tokens == 4 + 3


DUPLICATES = replace(AS_FOUND, drop_duplicates=True)
LEAVE = (
    "Every employee has 28 days of paid leave a year, and the days that are left at the end of "
    "the year expire. Ask your team lead at least two weeks before you go, and put the days "
    "into the calendar that your team shares with the rest of the office."
)


@pytest.mark.parametrize(
    ("lesser", "kept"),
    [
        (LEAVE, False),
        (LEAVE.upper(), False),
        (f"{LEAVE[:109]}\n\n  {LEAVE[110:]}", False),
        (LEAVE[:108], False),  # contained
        (LEAVE.replace("calendar", "planner"), False),
        (LEAVE.replace("28", "30"), True),
        (LEAVE.replace("expire", "never expire"), True),
        (LEAVE.replace("your team lead", "Mrs Okafor"), True),
        (LEAVE + " The canteen opens at noon and closes when the last of us has left it.", True),
        ("The canteen is open.", True),
    ],
)
def test_what_a_better_passage_says_is_left_out_unless_it_says_more(lesser, kept):
    found = ranked(make_chunk(LEAVE), make_chunk(lesser, document_id="e"))
    context = build("How much leave?", found, options=DUPLICATES)
    assert context.passages[0].text == LEAVE
    assert (len(context.passages) == 2) == kept
    assert (context.saved_tokens == 0) == kept


def test_the_same_words_under_another_heading_are_no_duplicate():
    under = [make_chunk(LEAVE, heading=("Leave", country)) for country in ("Norway", "Chile")]
    assert len(build("How much?", ranked(*under), options=DUPLICATES).passages) == 2


def test_a_word_of_the_question_in_the_title_alone_is_kept():
    titled = [make_chunk(LEAVE, title=title, document_id=title) for title in ("Norway", "Chile")]
    assert len(build("How much?", ranked(*titled), options=DUPLICATES).passages) == 1
    asked = build("How much in Norway, how much in Chile?", ranked(*titled), options=DUPLICATES)
    assert len(asked.passages) == 2
    years = [make_chunk(LEAVE, title=title) for title in ("Handbook 2025", "Handbook 2026")]
    assert len(build("How much?", ranked(*years), options=DUPLICATES).passages) == 2


TRIM = replace(AS_FOUND, trim=True)


FIRST = make_chunk("The best passage stays. Whole as it is. All of it. Really all.", chunk_id=9)


def cut(question: str, text: str, **details) -> str:
    """Return what is left of a text behind another one."""
    context = build(question, ranked(FIRST, make_chunk(text, **details)), options=TRIM)
    assert context.passages[0].text == FIRST.text
    return context.passages[1].text


def test_a_passage_ends_one_sentence_behind_the_last_that_is_about_the_question():
    text = (
        "The office is in Bergen. The canteen serves lunch from noon. Soup is free. "
        "Ask the cook. Bring a bowl."
    )
    kept = "The office is in Bergen. The canteen serves lunch from noon. Soup is free."
    assert cut("When does the canteen serve lunch?", text, start=50) == kept
    context = build("Is lunch served?", ranked(FIRST, make_chunk(text, start=50)), options=TRIM)
    assert (context.passages[1].start, context.passages[1].end) == (50, 50 + len(kept))
    assert context.saved_tokens == 8  # four words and their full stop, twice


def test_a_passage_that_shares_no_word_with_the_question_stays_whole():
    text = "One thing. Two things. Three things. Four things."
    assert cut("Wherefore?", text) == text


def test_words_of_the_heading_do_not_tell_sentences_apart():
    text = "Sick notes go to the office. Fine. Good. Leave is paid. More. Again."
    assert cut("Where do sick notes go?", text) == "Sick notes go to the office. Fine."
    assert cut("Do sick notes for leave go?", text) == text[:-7]
    under = cut("Do sick notes for leave go?", text, heading=("Leave",))
    assert under == "Sick notes go to the office. Fine."


def test_what_is_announced_stays_with_its_announcement():
    text = "Sick notes go to the office. The doctor says so:\nStay in bed. More. Again."
    kept = "Sick notes go to the office. The doctor says so:\nStay in bed."
    assert cut("Where do sick notes go?", text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "| Grade | Notice |\n| --- | --- |\n| junior | 1 |\n| senior | 2 |\n| chief | 3 |",
        "A grade. You need:\n\n- a pen\n- a hat\n- a permit",
        "A grade. Do this:\n\n1. Sit.\n2. Wait.\n3. Go.",
        "A grade. So:\n\n```\nrun\n\nstop\n\nrun\n```",
        "A grade. So.\n\n    run\n\n    stop\n\n    run",
    ],
)
def test_tables_lists_and_code_stay_whole(text):
    assert cut("Which grade?", text) == text


BESIDE = replace(AS_FOUND, neighbours=1)


def document(*pieces: str) -> list[StoredChunk]:
    starts = [sum(len(piece) + 2 for piece in pieces[:i]) for i in range(len(pieces))]
    return [
        make_chunk(piece, chunk_id=100 + i, start=start)
        for i, (piece, start) in enumerate(zip(pieces, starts, strict=True))
    ]


def test_a_neighbour_joins_if_it_has_a_word_of_the_question_that_was_missing():
    chunks = document("A roof.", "The canteen serves lunch.", "Soup is free on Friday.")
    truth = Truth(chunks)
    found = ranked(chunks[1])
    context = build("Canteen lunch on Friday?", found, options=BESIDE, truth=truth)
    assert texts(context) == ["The canteen serves lunch.", "Soup is free on Friday."]
    assert context.passages[1].chunk_id == 102
    assert (context.num_tokens, context.saved_tokens, context.added_tokens) == (11, 0, 6)
    assert truth.asked == [[100, 102]]
    assert len(build("Canteen?", found, options=BESIDE, truth=truth).passages) == 1


def test_what_a_passage_announces_joins_it():
    chunks = document("These are free:", "Soup and bread.")
    context = build("What is free?", ranked(chunks[0]), options=BESIDE, truth=Truth(chunks))
    assert texts(context) == ["These are free:", "Soup and bread."]


def test_neighbours_of_other_documents_and_hidden_or_found_ones_do_not_join():
    a = make_chunk("The canteen serves lunch.", chunk_id=7, document_id="a")
    b = make_chunk("Friday in another document.", chunk_id=8, document_id="b")
    c = make_chunk("Friday here.", chunk_id=6, document_id="a")
    question = "Canteen lunch on Friday?"
    alone = build(question, ranked(a), options=BESIDE, truth=Truth([a, b]))
    assert len(alone.passages) == 1
    hidden = Truth([a, c], hidden=frozenset({"a"}))
    assert len(build(question, ranked(a), options=BESIDE, truth=hidden).passages) == 1
    found = build(question, ranked(a, c), options=BESIDE, truth=Truth([a, c]))
    assert (len(found.passages), found.added_tokens) == (2, 0)


def test_neighbours_give_way_to_what_was_found():
    chunks = document("The canteen serves lunch.", "Soup is free on Friday.")
    other = make_chunk("Another canteen.", chunk_id=7, document_id="z")
    options = replace(BESIDE, max_tokens=9)
    found = ranked(chunks[0], other)
    context = build("Canteen lunch on Friday?", found, options=options, truth=Truth(chunks))
    assert texts(context) == ["The canteen serves lunch.", "Another canteen."]


_PLAIN = "leave office canteen Friday 28 30 not never Bergen. | - : lunch, is the 東京。 é 😀 ```"
WORDS = st.sampled_from([*_PLAIN.split(), "\n", "\n\n"])
TEXTS = st.lists(WORDS, min_size=1, max_size=40).map(" ".join).filter(str.strip)


@given(
    pieces=st.lists(TEXTS, min_size=1, max_size=8),
    question=st.lists(WORDS, max_size=6).map(" ".join),
    options=st.builds(
        ContextOptions,
        max_tokens=st.integers(1, 80),
        drop_duplicates=st.booleans(),
        trim=st.booleans(),
        neighbours=st.integers(0, 3),
    ),
    stable_order=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_every_passage_is_a_span_of_its_document_within_the_budget(
    pieces, question, options, stable_order, order
):
    text = "\n\n".join(pieces)
    chunks = document(*pieces)
    found = order.sample(chunks, order.randint(1, len(chunks)))
    context = build(
        question,
        ranked(*found),
        options=options,
        truth=Truth(chunks),
        stable_order=stable_order,
    )
    for passage in context.passages:
        assert text[passage.start : passage.end] == passage.text
        assert passage.text
    assert [passage.n for passage in context.passages] == list(range(1, len(context.passages) + 1))
    assert 0 < context.num_tokens <= options.max_tokens
    assert context.num_tokens == sum(WordTokenizer().count(texts(context)))
    assert context.saved_tokens >= 0
    assert context.added_tokens < context.num_tokens
    ids = [passage.chunk_id for passage in context.passages]
    assert len(set(ids)) == len(ids)
    best = max(context.passages, key=lambda passage: passage.score)
    assert best.chunk_id == found[0].chunk_id
    assert all(math.isfinite(passage.score) for passage in context.passages)
