"""Every form of a set gives the same words; nothing is lost on the way."""

import gzip
import json
import random
from pathlib import Path

import pytest
from smallsets import DOCUMENTS, QRELS, QUESTIONS, json_lines, write_folder

from steelyard.core.chat import Message
from steelyard.core.errors import InputError
from steelyard.core.evaluation import GoldSpan, SetDocument
from steelyard.datasets import clusters, read_set

ROOT = Path(__file__).parents[2]


def test_our_folder_gives_questions_with_grades_spans_and_what_is_unanswerable(tmp_path):
    found = read_set(write_folder(tmp_path / "docs"))
    first, second, third = found.questions
    assert found.name == "docs"
    assert found.documents[0] == SetDocument("d1", "Cranes", "The red crane lifts 40 tonnes.")
    assert (first.id, first.text) == ("q1", "What does the red crane lift?")
    assert first.answers == ("40 tonnes",)
    assert first.answerable is True
    assert first.relevant == {"d1": 1}
    assert first.spans == (GoldSpan("d1", "40 tonnes", 20, 29),)
    assert second.relevant == {"d2": 2, "d1": 0}
    assert second.type == "fact"
    assert (third.answerable, third.relevant, third.answers) == (False, {}, ())
    assert found.notes == ()


def test_the_id_is_of_the_content_not_of_the_files(tmp_path):
    plain = read_set(write_folder(tmp_path / "plain"))
    packed = tmp_path / "packed"
    packed.mkdir()
    turned = [dict(reversed(list(row.items()))) for row in QUESTIONS]
    shuffled = random.Random(7).sample(list(DOCUMENTS), len(DOCUMENTS))
    (packed / "corpus.jsonl.gz").write_bytes(gzip.compress(json_lines(shuffled).encode()))
    (packed / "queries.jsonl.gz").write_bytes(gzip.compress(json_lines(turned).encode()))
    (packed / "qrels.tsv").write_text(QRELS.replace("\n", "\r\n"))
    assert read_set(packed).id == plain.id
    changed = [{**DOCUMENTS[0], "text": "The red crane lifts 41 tonnes."}, DOCUMENTS[1]]
    other = read_set(write_folder(tmp_path / "other", documents=changed))
    assert other.id != plain.id


def test_beir_reads_the_test_part_unless_told_and_only_its_questions(tmp_path):
    documents = [
        {"_id": row["id"], "title": row["title"], "text": row["text"]} for row in DOCUMENTS
    ]
    questions = [{"_id": row["id"], "text": row["text"]} for row in QUESTIONS]
    folder = write_folder(tmp_path, documents=documents, questions=questions, qrels=None)
    (folder / "qrels").mkdir()
    header = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels/test.tsv").write_text(header + "q1\td1\t1\n")
    (folder / "qrels/dev.tsv").write_text(header + "q2\td2\t1\nq3\td2\t1\n")
    test = read_set(folder)
    assert [one.id for one in test.questions] == ["q1"]
    assert any("dev, test" in note for note in test.notes)
    assert [one.id for one in read_set(folder, part="dev").questions] == ["q2", "q3"]
    with pytest.raises(InputError, match=r"no part 'train'.*dev, test"):
        read_set(folder, part="train")


def test_squad_2_gives_paragraphs_as_documents_and_impossible_questions(tmp_path):
    qas = [
        {
            "id": "a",
            "question": "What lifts?",
            "answers": [
                {"text": "The crane", "answer_start": 0},
                {"text": "crane", "answer_start": 4},
            ],
            "is_impossible": False,
        },
        {
            "id": "b",
            "question": "Who lifts?",
            "answers": [],
            "is_impossible": True,
            "plausible_answers": [{"text": "crane", "answer_start": 4}],
        },
    ]
    articles = [{"title": "Cranes", "paragraphs": [{"context": "The crane lifts.", "qas": qas}]}]
    file = tmp_path / "dev-v2.0.json"
    file.write_text(json.dumps({"version": "v2.0", "data": articles}))
    for found in (read_set(file), read_set(tmp_path)):
        assert found.documents == (SetDocument("a0-p0", "Cranes", "The crane lifts."),)
        can, cannot = found.questions
        assert can.answers == ("The crane", "crane")
        assert [(span.start, span.end) for span in can.spans] == [(0, 9), (4, 9)]
        assert can.relevant == {"a0-p0": 1}
        assert (cannot.answerable, cannot.relevant, cannot.answers) == (False, {}, ())
        assert can.cluster == cannot.cluster == "a0-p0"


def test_questions_alone_are_of_a_live_home(tmp_path):
    row = {
        "question": "How many vans?",
        "answer": "12",
        "answers": ["12", "twelve"],
        "documents": ["it/vans.md"],
        "evidence": ["We own 12 vans."],
        "answerable": True,
    }
    (tmp_path / "questions.jsonl").write_text(json.dumps(row) + "\n")
    for path in (tmp_path, tmp_path / "questions.jsonl"):
        found = read_set(path)
        (question,) = found.questions
        assert found.documents == ()
        assert question.id == "q1"
        assert question.answers == ("12", "twelve")
        assert question.relevant == {"it/vans.md": 1}
        assert question.spans == (GoldSpan("it/vans.md", "We own 12 vans."),)


def test_the_handbooks_own_questions_are_read_whole():
    found = read_set(ROOT / "examples/handbook/questions.jsonl")
    assert found.notes == ()
    assert sum(one.answerable is False for one in found.questions) > 10
    both = next(one for one in found.questions if len(one.relevant) == 2)
    assert {span.document_id for span in both.spans} == set(both.relevant)


def test_trec_topics_with_qrels_of_four_columns(tmp_path):
    (tmp_path / "topics.tsv").write_text("1\tcranes that lift\n2\tpumps\n3\tnever judged\n")
    (tmp_path / "qrels.txt").write_text("1 0 d1 2\n1 0 d2 0\n2 Q0 d2 -1\n")
    found = read_set(tmp_path)
    assert [one.id for one in found.questions] == ["1", "2"]
    assert found.questions[0].relevant == {"d1": 2, "d2": 0}
    assert found.questions[1].relevant == {"d2": 0}
    assert any("below 0" in note for note in found.notes)
    (tmp_path / "collection.tsv").write_text("d1\tThe crane.\nd2\tThe pump.\n")
    assert read_set(tmp_path).documents[1].text == "The pump."


def test_judgements_of_whole_documents_count_for_all_their_pages(tmp_path):
    pages = [{"id": f"r#{n}", "title": "report", "text": f"page {n}"} for n in range(3)]
    pages.append({"id": "x#0", "title": "other", "text": "page"})
    folder = write_folder(tmp_path, documents=pages, questions=QUESTIONS[1:2], qrels=None)
    row = {"query_id": "q2", "doc_name": "report", "relevance": 1}
    (folder / "doc_qrels.jsonl").write_text(json.dumps(row))
    found = read_set(folder)
    assert found.questions[0].relevant == {"r#0": 1, "r#1": 1, "r#2": 1}
    assert any("every page" in note for note in found.notes)


def test_evidence_is_found_in_the_documents_that_are_gold(tmp_path):
    rows = [{"id": "q", "text": "Oil?", "documents": ["d2"], "evidence": ["It needs oil."]}]
    (question,) = read_set(write_folder(tmp_path, questions=rows, qrels=None)).questions
    assert question.spans == (GoldSpan("d2", "It needs oil.", 20, 33),)


def test_part_keeps_a_type_or_a_split_and_names_what_there_is(tmp_path):
    rows = [{"id": "a", "text": "A?", "split": "dev"}, {"id": "b", "text": "B?", "type": "howto"}]
    folder = write_folder(tmp_path, questions=rows, qrels=None)
    assert [one.id for one in read_set(folder, part="dev").questions] == ["a"]
    assert [one.id for one in read_set(folder, part="howto").questions] == ["b"]
    with pytest.raises(InputError, match=r"no part 'test'; it has dev, howto"):
        read_set(folder, part="test")


def test_a_limit_is_a_sample_by_id_and_grows_with_itself(tmp_path):
    rows = [{"id": f"q{n}", "text": f"Question {n}?"} for n in range(50)]
    folder = write_folder(tmp_path, questions=rows, qrels=None)
    ten = [one.id for one in read_set(folder, limit=10).questions]
    twenty = [one.id for one in read_set(folder, limit=20).questions]
    assert len(ten) == 10
    assert set(ten) < set(twenty)
    assert ten == sorted(ten, key=lambda name: int(name[1:]))
    assert ten != [f"q{n}" for n in range(10)]
    assert set(ten) != {one.id for one in read_set(folder, limit=10, seed=1).questions}
    assert len(read_set(folder, limit=99).questions) == 50
    with pytest.raises(InputError, match="at least 1"):
        read_set(folder, limit=0)


def test_a_question_is_clustered_by_what_it_shares_errors_with(tmp_path):
    rows = [
        {"id": "a", "text": "First of a talk?"},
        {"id": "b", "text": "And then?", "history": ["First of a talk?", "Yes."]},
        {"id": "c", "text": "About d1?", "doc_id": "d1"},
        {"id": "d", "text": "Judged?"},
        {"id": "e", "text": "Said?", "cluster": "mine", "doc_id": "d1"},
        {"id": "f", "text": "Alone?"},
        {"id": "g", "text": "Not in it?", "type": "unanswerable", "doc_id": "d1"},
    ]
    found = read_set(write_folder(tmp_path, questions=rows, qrels="d\td1\t1\nd\td2\t0\n"))
    assert clusters(found).tolist() == [0, 0, 1, 1, 2, 3, 1]
    assert clusters(found, by="none").tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.questions[1].history == (
        Message("user", "First of a talk?"),
        Message("assistant", "Yes."),
    )
    with pytest.raises(InputError, match="'page'"):
        clusters(found, by="page")


def test_passages_of_one_title_are_one_cluster_where_titles_are_shared(tmp_path):
    documents = [
        {"id": f"{title}{n}", "title": title, "text": f"{title} {n}"}
        for title in ("Warsaw", "Normans")
        for n in range(4)
    ]
    rows = [
        {"id": "a", "text": "A?", "doc_id": "Warsaw0"},
        {"id": "b", "text": "B?", "doc_id": "Normans1"},
        {"id": "c", "text": "C?", "doc_id": "Warsaw3"},
    ]
    found = read_set(write_folder(tmp_path, documents=documents, questions=rows, qrels=None))
    assert clusters(found).tolist() == [0, 1, 0]
    assert clusters(found, by="title").tolist() == [0, 1, 0]
    assert clusters(found, by="document").tolist() == [0, 1, 2]


def test_ids_that_are_names_of_markup_files_say_how_their_text_is_read(tmp_path):
    names = ["docs/a.md", "b.RST", "page.html", "https://x.org/c.md", "d1"]
    documents = [{"id": name, "title": "", "text": "# Text"} for name in names]
    found = read_set(
        write_folder(tmp_path, documents=documents, questions=QUESTIONS[2:], qrels=None)
    )
    assert [one.filename for one in found.documents] == [
        "docs/a.md",
        "b.RST",
        "document.txt",
        "document.txt",
        "document.txt",
    ]


def test_a_file_of_questions_is_named_by_its_folder(tmp_path):
    (tmp_path / "handbook").mkdir()
    file = tmp_path / "handbook" / "questions.jsonl"
    file.write_text('{"id": "q1", "question": "Why?", "answer": "So."}\n')
    assert read_set(file).name == "handbook"
