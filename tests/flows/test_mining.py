"""Over a real home: hard negatives that may be called so, and prompts as serving sends them."""

import asyncio
from dataclasses import replace

import pytest

from steelyard.app import open_app
from steelyard.cli.data_place import desk_of
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.training import (
    Chat,
    Labelled,
    Provenance,
    Reading,
    Retrieval,
    Span,
    TrainingRow,
)
from steelyard.datasets.training import IndexedRow, sha256_of
from steelyard.flows.library import NewText
from steelyard.flows.mining import MineWish, mine_negatives
from steelyard.flows.raft import RaftWish, raft_rows
from steelyard.generate import REFUSAL

QUESTION = "How long are recordings of the cameras kept?"
SENTENCE = "Recordings of the cameras are kept for 21 days."
TEXTS = {
    "cameras": f"# Cameras\n\n{SENTENCE} The guard at the gate looks after them.\n",
    "copy": f"# Copy\n\n{SENTENCE} The guard at the gate looks after them.\n",
    "shop": "# Shop\n\nReceipts of the shop are kept for 21 days by the clerk at the till.\n",
    "films": "# Films\n\nRecordings of concerts with the big cameras are sold in the hall.\n",
    "badge": "# Badges\n\nHow long are badges of guests kept? Until the evening of the visit.\n",
    "soup": "# Soup\n\nThe soup of the day is made of leeks, beans and a bit of cream.\n",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    app = open_app(tmp_path_factory.mktemp("home"), flags={"embed.model": "hashing"})

    async def fill():
        async with app.working():
            for name, text in TEXTS.items():
                put = await app.library.put_text(NewText(id=name, text=text))
                await app.library.settled(put.tickets)

    asyncio.run(fill())
    yield desk_of(app, app.champion, collection="default", groups="public")
    app.close()


def mined(desk, *rows, index=(), answers=None, **wish):
    return asyncio.run(mine_negatives(desk, rows, index, MineWish(**wish), answers=answers))


def retrieval(*positives, query=QUESTION, documents=()):
    return TrainingRow(Retrieval(query, positives), Provenance(documents=documents))


def names(row):
    return [text.split("\n")[0] for text in row.example.negatives]


def test_negatives_are_the_first_hits_that_are_wrong_and_the_same_every_time(desk):
    row = retrieval(f"Cameras\n{TEXTS['cameras'].strip()}", documents=("cameras",))
    known = {QUESTION: ["21 days"]}
    made = mined(desk, row, answers=known, negatives=5, margin=1)
    assert names(made.rows[0]) == ["Badges", "Films", "Soup"]
    assert made.left_out == {
        "hits: of a positive's document": 1,
        "hits: nearly a positive": 1,
        "hits: says the answer": 1,
    }
    assert made.facts == {"negatives": 3, "rows_without_negatives": 0}
    assert mined(desk, row, answers=known, negatives=5, margin=1) == made
    assert "Shop" in names(mined(desk, row, negatives=5, margin=1).rows[0])
    assert names(mined(desk, row, negatives=1, margin=1).rows[0]) == ["Badges"]
    unguarded = mined(desk, row, negatives=2, guarded=False)
    assert "Copy" in names(unguarded.rows[0])


def test_a_margin_of_nothing_leaves_rows_as_they_are_and_says_so(desk):
    made = mined(desk, retrieval(TEXTS["cameras"]), margin=0)
    assert made.rows[0].example.negatives == ()
    assert made.facts["rows_without_negatives"] == 1


def test_ids_of_documents_become_their_texts_and_splits_are_kept(desk):
    row = retrieval("cameras")
    index = [IndexedRow(sha256_of(row), "train")]
    made = mined(desk, row, index=index, negatives=1)
    (found,) = made.rows
    assert found.example.positives == (f"Cameras\n{TEXTS['cameras'].strip()}",)
    assert found.provenance.documents == ("cameras",)
    assert made.splits == {sha256_of(found): "train"}


class Judge:
    """A reranker that finds only what is about cameras right."""

    model = "judge"

    def __init__(self, most=100):
        self.most = most

    async def scores(self, question, passages, *, budget_s):
        return [4.0 if "kept for 21" in one.text else -4.0 for one in passages][: self.most]


def test_with_a_reranker_only_what_it_rejects_is_taken(desk):
    judged = replace(desk, reranker=Judge())
    row = retrieval(TEXTS["cameras"], documents=("cameras",))
    made = mined(judged, row, negatives=5)
    assert "Shop" not in names(made.rows[0])
    assert made.left_out["hits: scores as a positive does"] == 1
    with pytest.raises(UpstreamError, match="scored 3 of 7 passages"):
        mined(replace(desk, reranker=Judge(3)), row)


def test_rows_of_another_kind_and_senseless_numbers_are_refused(desk):
    with pytest.raises(InputError, match="of kind labelled"):
        mined(desk, TrainingRow(Labelled("a", "b")))
    with pytest.raises(InputError, match="5 negatives of 4 hits"):
        mined(desk, retrieval("a"), depth=4, negatives=5)
    with pytest.raises(InputError, match="rows of kind reader"):
        asyncio.run(raft_rows(desk, [retrieval("a")], (), RaftWish()))
    with pytest.raises(InputError, match="1 passages"):
        asyncio.run(raft_rows(desk, [reading()], (), RaftWish(passages=1)))


def reading(question=QUESTION, *, answered=True):
    context = TEXTS["cameras"]
    spans = (Span("21 days", context.index("21 days")),) if answered else ()
    return TrainingRow(
        Reading(question, context, spans, "Cameras"), Provenance(documents=("cameras",))
    )


def rafted(desk, rows, **wish):
    return asyncio.run(raft_rows(desk, rows, (), RaftWish(passages=4, **wish)))


def test_a_reading_becomes_the_served_prompt_with_a_cited_answer(desk):
    (row,) = rafted(desk, [reading()], without_gold=0).rows
    assert isinstance(row.example, Chat)
    system, user, said = row.example.turns
    assert (system.role, user.role, said.role) == ("system", "user", "assistant")
    (n,) = [n for n in range(1, 5) if f"{SENTENCE} [{n}]" == said.content]
    sources = user.content.split("<source ")[1:]
    assert len(sources) == 4
    assert SENTENCE in sources[n - 1]
    assert sum("21 days" in one for one in sources) == 1  # no distractor answers
    assert row.provenance.documents == ("cameras",)


def test_a_fifth_is_asked_without_gold_and_refused_whatever_the_order(desk):
    rows = [reading(f"{QUESTION} Case {n}?") for n in range(10)]
    made = rafted(desk, rows, without_gold=0.2)
    refused = [row for row in made.rows if row.example.turns[-1].content == REFUSAL]
    assert len(refused) == 2
    assert all("21 days" not in row.example.turns[1].content for row in refused)
    assert set(rafted(desk, rows[::-1], without_gold=0.2).rows) == set(made.rows)
    assert set(rafted(desk, rows, without_gold=0.2, seed=1).rows) != set(made.rows)
    firsts = {row.example.turns[-1].content[-3:] for row in made.rows if row not in refused}
    assert len(firsts) > 1  # gold is not always at the same place


def test_what_its_text_does_not_answer_is_refused_beside_that_text(desk):
    (row,) = rafted(desk, [reading("Who paid for the cameras?", answered=False)]).rows
    assert row.example.turns[-1].content == REFUSAL
    assert SENTENCE in row.example.turns[1].content
