"""The example handbook and its questions keep what the README promises about them.

Texts are compared word by word: markup, table rules, line breaks and case do not count.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from steelyard.core.documents import Parsed
from steelyard.flows.sources import find_files
from steelyard.parse import FileParser

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HANDBOOK = EXAMPLES / "handbook"
SOURCES = EXAMPLES / "handbook_sources"
TYPES = {
    "fact",
    "table",
    "howto",
    "compare",
    "multi",
    "paraphrase",
    "code",
    "date",
    "unanswerable",
}
# Our parsers write each row of these as `name: value` pairs; the words stay in order.
REWRITTEN = {".csv": "\n", ".json": "\n\n"}
# Words in an answer that stand for a number in the page, or the other way round.
NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8}


@dataclass(frozen=True, slots=True)
class Question:
    """One row of `questions.jsonl`. `evidence[i]` is a passage of `documents[i]`."""

    id: str
    question: str
    answer: str
    answers: list[str]
    documents: list[str]
    evidence: list[str]
    type: str
    answerable: bool


def read_questions() -> list[Question]:
    lines = (HANDBOOK / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


QUESTIONS = read_questions()
PAGES = {found.path.relative_to(HANDBOOK).as_posix() for found in find_files([HANDBOOK])}
CITED = [
    pytest.param(document, evidence, id=f"{question.id}-{document}")
    for question in QUESTIONS
    for document, evidence in zip(question.documents, question.evidence, strict=True)
]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def contains(text: str, passage: str) -> bool:
    return f" {' '.join(words(passage))} " in f" {' '.join(words(text))} "


def contains_in_order(text: str, passage: str) -> bool:
    rest = iter(words(text))
    return all(word in rest for word in words(passage))


def numbers(text: str) -> set[int]:
    """Return the numbers in a text; a comma between digits may or may not group thousands."""
    grouped = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    found = {int(digits) for digits in re.findall(r"\d+", f"{text} {grouped}")}
    return found | {NUMBER_WORDS[word] for word in words(text) if word in NUMBER_WORDS}


@pytest.fixture(scope="module")
def parsed() -> Iterator[dict[str, Parsed]]:
    parser = FileParser()
    yield {
        page: parser.parse((HANDBOOK / page).read_bytes(), filename=Path(page).name)
        for page in sorted(PAGES)
    }
    parser.close()


def test_handbook_has_forty_pages_or_more_in_mixed_formats() -> None:
    formats = Counter(Path(page).suffix for page in PAGES)

    assert len(PAGES) >= 40
    assert formats[".md"] >= 15
    at_least = {
        ".rst": 2,
        ".adoc": 2,
        ".html": 2,
        ".docx": 3,
        ".pdf": 3,
        ".pptx": 1,
        ".xlsx": 1,
        ".csv": 2,
        ".eml": 2,
        ".txt": 2,
        ".json": 1,
        ".ipynb": 1,
        ".py": 1,
        ".odt": 1,
    }
    assert {
        suffix: formats[suffix] for suffix in at_least if formats[suffix] < at_least[suffix]
    } == {}


def test_questions_are_not_a_page_of_the_handbook() -> None:
    assert (HANDBOOK / "questions.jsonl").is_file()
    assert "questions.jsonl" not in PAGES


def test_file_names_are_plain_and_files_are_small() -> None:
    assert [page for page in PAGES if not re.fullmatch(r"[a-z]+/[a-z0-9_-]+\.[a-z]+", page)] == []
    sizes = {page: (HANDBOOK / page).stat().st_size for page in PAGES}
    assert {page: size for page, size in sizes.items() if size > 60_000} == {}
    assert sum(sizes.values()) < 1_000_000


def test_every_page_parses_into_text_with_a_title(parsed: dict[str, Parsed]) -> None:
    assert [page for page, result in parsed.items() if len(words(result.text)) < 80] == []
    assert [page for page, result in parsed.items() if not result.title.strip()] == []


def test_every_pdf_has_several_pages(parsed: dict[str, Parsed]) -> None:
    num_pages = {
        page: max(block.page or 0 for block in result.blocks)
        for page, result in parsed.items()
        if page.endswith(".pdf")
    }
    assert all(count >= 2 for count in num_pages.values()), num_pages


def test_addresses_in_the_handbook_belong_to_nobody(parsed: dict[str, Parsed]) -> None:
    hosts = {
        (page, host)
        for page, result in parsed.items()
        for host in re.findall(r"(?:@|https?://)([\w.-]*[\w-])", result.text)
    }
    assert hosts
    real = {(page, host) for page, host in hosts if not host.endswith(".example")}
    assert {(page, host) for page, host in real if not re.fullmatch(r"[\d.]+", host)} == set()


def test_binary_pages_say_what_their_sources_say(parsed: dict[str, Parsed]) -> None:
    sources = {
        path.relative_to(SOURCES).with_suffix("").as_posix(): path for path in SOURCES.rglob("*.md")
    }
    binary = {
        page for page in PAGES if Path(page).suffix in {".pdf", ".docx", ".pptx", ".xlsx", ".odt"}
    }
    assert set(sources) == binary
    stale = [
        (page, line)
        for page, path in sources.items()
        for line in path.read_text(encoding="utf-8").splitlines()
        # Numbers of list items are drawn by the word processor, rules of tables by nobody.
        if not contains(parsed[page].text, re.sub(r"^\d+\. ", "", line)) and words(line)
    ]
    assert stale == []


def test_there_are_enough_questions_of_every_kind() -> None:
    types = Counter(question.type for question in QUESTIONS)

    assert len(QUESTIONS) >= 80
    assert set(types) == TYPES
    assert types["unanswerable"] >= 15
    assert types["paraphrase"] >= 15
    assert sum(len(set(question.documents)) > 1 for question in QUESTIONS) >= 8


def test_readme_counts_what_is_there() -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    num_formats = len({Path(page).suffix for page in PAGES})
    num_unanswerable = len(answers_of("unanswerable"))

    assert f"{len(PAGES)} pages in {num_formats} formats" in readme
    assert f"{len(QUESTIONS)} questions, one a line, {num_unanswerable} of them" in readme


def test_ids_and_questions_are_unique() -> None:
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question.question.lower() for question in QUESTIONS}) == len(QUESTIONS)


def test_every_page_is_asked_about() -> None:
    assert PAGES - {document for question in QUESTIONS for document in question.documents} == set()


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_answerable_questions_have_gold_and_others_have_none(question: Question) -> None:
    assert question.question.strip()
    assert question.answerable == (question.type != "unanswerable")
    gold = (question.answer, question.answers, question.documents, question.evidence)
    assert all(gold) if question.answerable else not any(gold)
    assert set(question.documents) <= PAGES
    assert len(question.documents) == len(set(question.documents)) == len(question.evidence)


@pytest.mark.parametrize(("document", "evidence"), CITED)
def test_evidence_is_in_the_parsed_page(
    document: str, evidence: str, parsed: dict[str, Parsed]
) -> None:
    text = parsed[document].text
    separator = REWRITTEN.get(Path(document).suffix)
    if separator is None:
        assert contains(text, evidence)
    else:
        assert any(contains_in_order(row, evidence) for row in text.split(separator))


@pytest.mark.parametrize(("document", "evidence"), CITED)
def test_evidence_is_in_the_file_itself(document: str, evidence: str) -> None:
    source = SOURCES / f"{document}.md"
    text = (source if source.exists() else HANDBOOK / document).read_text(encoding="utf-8")
    if document.endswith(".html"):
        text = re.sub(r"<[^>]+>", " ", text)
    assert contains(text, evidence)


def answers_of(*types: str) -> list[Question]:
    return [question for question in QUESTIONS if question.type in types]


@pytest.mark.parametrize("question", answers_of("fact"), ids=lambda question: question.id)
def test_answer_to_a_fact_stands_in_the_evidence(question: Question) -> None:
    assert any(contains(question.evidence[0], answer) for answer in question.answers)


@pytest.mark.parametrize(
    "question", answers_of(*(TYPES - {"unanswerable"})), ids=lambda question: question.id
)
def test_numbers_of_an_answer_stand_in_the_evidence(question: Question) -> None:
    known = numbers(" ".join([*question.evidence, question.question]))
    for answer in question.answers:
        ungrouped = re.sub(r"(?<=\d),(?=\d{3})", "", answer)
        assert numbers(ungrouped) <= known, answer


def test_paraphrases_share_few_words_with_their_evidence() -> None:
    shares = []
    for question in answers_of("paraphrase"):
        asked = {word for word in words(question.question) if len(word) > 3}
        shares.append(len(asked & set(words(question.evidence[0]))) / len(asked))

    assert sum(share <= 0.34 for share in shares) >= 15, shares
