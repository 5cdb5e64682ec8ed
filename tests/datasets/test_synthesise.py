"""Questions made by rule: what the documents state, once, in words that a person would use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.documents import Block, BlockKind, Document
from steelyard.datasets import headings, synthesise
from steelyard.datasets.facts import asked_about, label, plain

HEADING, PARAGRAPH, LIST, TABLE = (
    BlockKind.HEADING,
    BlockKind.PARAGRAPH,
    BlockKind.LIST,
    BlockKind.TABLE,
)


def make_document(name, *parts, title="Page"):
    """Join (kind, text) parts to a document with their blocks."""
    text, blocks = "", []
    for kind, part in parts:
        blocks.append(Block(kind, len(text), len(text) + len(part), level=1))
        text += part + "\n\n"
    return Document(id=name, uri=f"file:///{name}", title=title, text=text, blocks=tuple(blocks))


def asked(*documents, **options):
    return {one.text: one for one in synthesise(documents, **options)}


TABLE_TEXT = (
    "| Plan | Price in EUR | Remark |\n|---|---|---|\n| Skiff | 190 | the small one |\n"
    "| Lugger | **520** | - |"
)


def test_a_tables_cells_are_asked_by_row_and_column_with_the_row_as_gold():
    found = asked(make_document("plans", (TABLE, TABLE_TEXT)))
    assert set(found) == {
        "What is the price in EUR of Skiff?",
        "What is the price in EUR of Lugger?",
    }
    lugger = found["What is the price in EUR of Lugger?"]
    assert lugger.answers == ("520",)
    assert lugger.relevant == {"plans": 1}
    assert lugger.spans[0].text == "| Lugger | **520** | - |"
    assert (lugger.type, lugger.origin, lugger.cluster) == ("table", "synthetic", "plans")


def test_a_table_of_properties_is_asked_by_its_columns():
    text = "| Property | Gannet 40 |\n|---|---|\n| Own weight | 96 kg |\n| Sold since | 2019 |"
    found = asked(make_document("gannet", (TABLE, text)))
    assert list(found) == ["What is the own weight of Gannet 40?"]


def test_a_caption_above_a_sheets_columns_is_not_its_header():
    text = "| Prices without tax |  |\n|---|---|\n| Article | Price (EUR) |\n| GN-4 | 18400 |"
    assert list(asked(make_document("sheet", (TABLE, text)))) == [
        "What is the price in EUR of GN-4?"
    ]


def test_lines_of_keys_and_values_are_a_table_too():
    text = (
        "team: Payroll; lead: Ana Reis; extension: 5561; speciality: pay; tax\n"
        "team: Harbour; lead: Bo Lind; extension: 6100; speciality: cranes"
    )
    found = asked(make_document("phones", (TABLE, text)), limit=9)
    assert found["Who is the lead of Payroll?"].answers == ("Ana Reis",)
    assert found["What is the extension of Harbour?"].answers == ("6100",)
    assert not any("speciality" in question for question in found)


def test_definitions_and_what_letters_stand_for():
    found = asked(
        make_document(
            "glossary",
            (
                LIST,
                "Limpet:: The key that all carry. It is red.\nFSR:: Field Service Report.",
            ),
            (
                PARAGRAPH,
                "Kittiwake is a grey box on the quay. This is a good idea. It is the best.",
            ),
            (PARAGRAPH, "The Harbour Operations Board (HOB) meets on Mondays."),
        )
    )
    assert found["What is Limpet?"].answers == ("The key that all carry",)
    assert found["What does FSR stand for?"].answers == ("Field Service Report",)
    assert found["What is Kittiwake?"].answers == ("a grey box on the quay",)
    assert found["What does HOB stand for?"].answers == ("Harbour Operations Board",)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        (
            "Door logs are kept for 90 days, then deleted.",
            "For how long are door logs kept?",
            "90 days",
        ),
        ("A broken seal costs EUR 350.", "How much does a broken seal cost?", "EUR 350"),
        (
            "Charging the pack takes about four hours.",
            "How long does charging the pack take?",
            "about four hours",
        ),
        ("Rubber buffers are changed every 24 months.", None, "every 24 months"),
        (
            "Claims must be filed within 30 days.",
            "Within what time must claims be filed?",
            "30 days",
        ),
        ("The default API port is 8080.", "What is the default API port?", "8080"),
    ],
)
def test_a_sentence_with_a_quantity_is_asked_for_it(sentence, question, answer):
    other = make_document("b", (PARAGRAPH, "door claims rubber a charging broken"))
    found = asked(make_document("a", (PARAGRAPH, f"Intro here.\n\n{sentence}")), other)
    (one,) = found.values()
    assert one.text == (question or "How often are rubber buffers changed?")
    assert one.answers == (answer,)
    assert one.spans[0].text == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "It takes four hours.",
        "The course lasts three hours.",
        "A Gannet 40 takes 5 hours.",
        "The other parent takes two weeks.",
        "The usual term is 30 days.",
        "Images are kept for 40 days on fast storage and for two years on slow storage.",
    ],
)
def test_a_sentence_that_nobody_understands_without_its_page_is_left_out(sentence):
    assert asked(make_document("a", (PARAGRAPH, sentence))) == {}


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("Reset a password", "How do I reset a password?"),
        ("2.1 Creating Dask Bags", "How do I create Dask Bags?"),
        ("How to declare `Header` parameters", "How do I declare Header parameters?"),
        ("What is a weight ticket?", "What is a weight ticket?"),
        (
            "Use the openapi_examples parameter { #use }",
            "How do I use the openapi_examples parameter?",
        ),
        ("Use cases", ""),
        ("Return the error", ""),
        ("Check it again", ""),
        ("Test Client - TestClient", ""),
        ("Work in Progress", ""),
        ("Overview", ""),
    ],
)
def test_a_heading_is_asked_if_it_tells_or_asks_something_on_its_own(heading, question):
    body = "This paragraph says how that is done, in enough words to be an answer."
    document = make_document("a", (HEADING, heading), (PARAGRAPH, body))
    found = [fact.question for fact in headings.facts(document)]
    assert found == ([question] if question else [])


def test_a_heading_without_text_below_it_is_not_asked():
    document = make_document("a", (HEADING, "Reset a password"), (HEADING, "Other things here"))
    assert asked(document) == {}


def test_what_two_documents_answer_differently_is_left_out_and_what_they_agree_on_is_not():
    table = "| Plan | Price |\n|---|---|\n| Skiff | {} |\n| Lugger | 520 |"
    a = make_document("a", (TABLE, table.format(190)))
    b = make_document("b", (TABLE, table.format(210)))
    assert set(asked(a, b)) == {"What is the price of Lugger?"}


def test_what_a_sentence_elsewhere_may_answer_otherwise_is_left_out():
    table = make_document(
        "a", (TABLE, "| Plan | Price |\n|---|---|\n| Skiff | 190 |\n| Dory | 9 |")
    )
    mail = make_document("b", (PARAGRAPH, "From May on the price of the Skiff plan is 205."))
    assert set(asked(table, mail)) == {"What is the price of Dory?"}


def test_an_empty_cell_is_an_unanswerable_question_unless_another_page_fills_it():
    rows = "".join(f"| Team {name} | 55{n} |\n" for n, name in enumerate("ABCDEFGHIJ"))
    table = "| Team | Extension |\n|---|---|\n" + rows + "| Harbour | - |"
    page = make_document("a", (TABLE, table))
    found = asked(page, limit=11, per_document=20)
    nobody = found["What is the extension of Harbour?"]
    assert nobody.answerable is False
    assert (nobody.answers, nobody.relevant, nobody.spans) == ((), {}, ())
    mail = make_document("b", (PARAGRAPH, "The harbour team's extension will be told."))
    assert "What is the extension of Harbour?" not in asked(page, mail, limit=11, per_document=20)


def test_questions_are_spread_over_documents_and_do_not_repeat():
    rows = "".join(f"| Part{n} | {n} EUR |\n" for n in range(30))
    long = make_document("long", (TABLE, "| Part | Price |\n|---|---|\n" + rows))
    short = make_document("short", (PARAGRAPH, "Kittiwake is a grey box on the quay."))
    found = synthesise([long, short], limit=10, per_document=4)
    assert sum(one.cluster == "long" for one in found) == 4
    assert sum(one.cluster == "short" for one in found) == 1
    again = synthesise([long, short], limit=10, per_document=4)
    assert again == found
    assert len({one.id for one in found}) == len(found)


def test_markup_is_taken_out_of_what_people_read():
    assert plain("**40 tonnes** of [coal](x.md), `now` {#a}") == "40 tonnes of coal, now"
    assert plain(":ref:`the page <target>` and ``code`` *here*") == "the page and code here"
    assert plain("a snake_case name and 2*3*4") == "a snake_case name and 2*3*4"
    assert label("Price (EUR)") == "price in EUR"
    assert label("URL") == "URL"


def test_only_attributes_that_people_ask_for_make_a_question():
    assert asked_about("battery life", "Gannet") == "What is the battery life of Gannet?"
    assert asked_about("delivery weeks", "Gannet") == ""
    assert asked_about("fees a day", "Gannet") == "What are the fees a day of Gannet?"
    assert asked_about("deputy", "Payroll") == "Who is the deputy of Payroll?"
    assert asked_about("version 3 in 2022", "Lock") == ""
    assert asked_about("number", "Gannet") == ""


PIECES = st.lists(
    st.sampled_from(
        [*"aZ 1.:|-*`[]()\n{}#_<>é", "The ", " is a ", "::", " takes 2 days.", "| A |"]
    ),
    max_size=60,
).map("".join)


@given(st.lists(st.tuples(st.sampled_from(list(BlockKind)), PIECES), max_size=6), PIECES)
def test_any_text_gives_questions_whose_spans_are_exact(parts, title):
    document = make_document("a", *parts, title=title)
    for one in synthesise([document, make_document("b", *parts)]):
        assert one.text.strip()
        for span in one.spans:
            assert document.text[span.start : span.end] == span.text
            assert span.text
