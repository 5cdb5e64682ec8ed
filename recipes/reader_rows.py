"""Make the rows that the shipped reader learns from, and the split that its figures rest on.

    python recipes/reader_rows.py --data DIR --out rows/

DIR has the sets squad2, policyqa and multihop (bench/sets.py tells their form). OUT gets
train.jsonl and eval.jsonl, in SQuAD's form, and split.json. The same sets give the same rows.

Articles and sites stand on one side each, by the hash of their title: a quarter is held out for the
figures (`test`), some are for choices (`dev`), the rest is learnt from. A held-out article is in
no row. Contexts are cut as served windows are, around the answer, or around the sentence that
shares most words with an unanswerable question.
"""

import argparse
import gzip
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reader_cloze import NAME, Row, cloze_rows, opposed, swapped
from reader_crop import crop, most_shared, row

from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems

SHARES = {"squad2": (0.25, 0.0625), "policyqa": (0.25, 0.1)}  # of titles: test, dev
MULTIHOP_TEST = 0.25
NUM_POLICY, NUM_CLOZE, NUM_EDITED, NUM_EVAL = 700, 1900, 900, 60
MAX_POLICY_WORDS = 25  # a longer answer is half a paragraph
MIN_BESIDE_CHARS = 40


@dataclass(frozen=True, slots=True)
class Read:
    """A set's documents by id and its questions; `part` tells where a title stands."""

    documents: Mapping[str, Row]
    questions: Sequence[Row]
    part: Mapping[str, str]

    def title(self, question: Row) -> str:
        return str(self.documents[question["doc_id"]]["title"])


def read(data: Path, name: str) -> Read:
    documents = {one["id"]: one for one in lines(data / name / "corpus.jsonl.gz")}
    questions = lines(data / name / "queries.jsonl.gz")
    if name == "multihop":
        titles = {one["title"] for one in documents.values()}
        part = {t: "test" if _chance(name, t) < MULTIHOP_TEST else "train" for t in titles}
        return Read(documents, questions, part)
    asked = {documents[one["doc_id"]]["title"] for one in questions}
    titles = asked if name == "squad2" else {one["title"] for one in documents.values()}
    return Read(documents, questions, split(name, titles))


def lines(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def split(name: str, titles: Iterable[str]) -> dict[str, str]:
    order = sorted(set(titles), key=lambda title: _chance(name, title))
    test, dev = (round(share * len(order)) for share in SHARES[name])
    return {
        title: "test" if n < test else "dev" if n < test + dev else "train"
        for n, title in enumerate(order)
    }


def _chance(name: str, title: str) -> float:
    return int(hashlib.sha256(f"{name}\0{title}".encode()).hexdigest()[:8], 16) / 16**8


def asked_rows(rng: random.Random, name: str, given: Read) -> list[Row]:
    """Return the questions on learnt documents, each with a window of its document."""
    rows: list[Row] = []
    for question in given.questions:
        document = given.documents[question["doc_id"]]
        if given.part.get(document["title"]) != "train":
            continue
        text, title = document["text"], document["title"]
        if not question["answers"]:
            window = crop(rng, text, most_shared(question["text"], text))
            rows.append(row(question["text"], text, window, [], title, name))
            continue
        spans = [(said, at) for said, at in question["spans"]]
        said, at = min(spans, key=lambda one: len(one[0]))
        window = crop(rng, text, (at, at + len(said)))
        rows.append(row(question["text"], text, window, spans, title, name))
        if rng.random() < 0.2:
            rows += _beside(question["text"], text, window, spans, title, f"{name}-beside")
    return rows


def _beside(
    question: str,
    text: str,
    window: tuple[int, int],
    spans: Sequence[tuple[str, int]],
    title: str,
    origin: str,
) -> list[Row]:
    """Return the question with the best sentence outside the window that does not answer it."""
    outside = [
        (start, end)
        for start, end in split_sentences(text)
        if (end <= window[0] or start >= window[1])
        and not any(start < at + len(said) and at < end for said, at in spans)
        and end - start > MIN_BESIDE_CHARS
    ]
    if not outside:
        return []
    asked = set(content_stems(question))
    best = max(outside, key=lambda place: len(asked & set(content_stems(text[slice(*place)]))))
    if any(said.lower() in text[slice(*best)].lower() for said, _ in spans):
        return []
    return [row(question, text, best, [], title, origin)]


def policy_rows(rng: random.Random, given: Read) -> list[Row]:
    rows = [one for one in asked_rows(rng, "policyqa", given) if one["origin"] == "policyqa"]
    short = [
        one
        for one in rows
        if not one["answers"]
        or len(min((said for said, _ in one["answers"]), key=len).split()) <= MAX_POLICY_WORDS
    ]
    return rng.sample(short, NUM_POLICY)


def hop_rows(rng: random.Random, given: Read, qrels: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return questions over several paragraphs, with the only one that has the answer."""
    rows: list[Row] = []
    for question in given.questions:
        gold = [given.documents[one] for one in qrels[question["id"]]]
        answer = question["answers"][0]
        learnt = all(given.part[one["title"]] == "train" for one in gold)
        if not learnt or answer.lower() in ("yes", "no"):
            continue
        whole = re.compile(rf"\b{re.escape(answer)}\b")
        having = [(one, match) for one in gold if (match := whole.search(one["text"]))]
        if len(having) == 1:
            document, match = having[0]
            window = crop(rng, document["text"], match.span())
            answers = [(answer, match.start())]
            rows.append(
                row(
                    question["text"],
                    document["text"],
                    window,
                    answers,
                    document["title"],
                    "multihop",
                )
            )
    return rows


def edited_rows(rng: random.Random, rows: Sequence[Row]) -> list[Row]:
    """Return answerable questions turned so that their window does not answer them any more."""
    names = [found for one in rows for found in NAME.findall(one["context"])]
    years = [found for one in rows for found in re.findall(r"\b1[0-9]\d\d\b", one["context"])]
    edited: list[Row] = []
    for one in rng.sample([one for one in rows if one["answers"]], NUM_EDITED):
        if rng.random() < 0.6:
            turned = swapped(rng, one["question"], one["context"], {"name": names, "year": years})
        else:
            turned = opposed(rng, one["question"])
        if turned:
            edited.append({**one, "question": turned, "answers": [], "origin": "squad2-edited"})
    return edited


def train_rows(data: Path) -> list[Row]:
    """Return all rows, each once; squad2's questions with two different windows."""
    squad, policy, hops = (read(data, name) for name in ("squad2", "policyqa", "multihop"))
    qrels: dict[str, list[str]] = defaultdict(list)
    for line in (data / "multihop" / "qrels.tsv").read_text().splitlines()[1:]:
        question, document, _ = line.split("\t")
        qrels[question].append(document)
    rng = random.Random(0)
    first = asked_rows(rng, "squad2", squad)
    of_policies = policy_rows(rng, policy)
    of_hops = hop_rows(rng, hops, qrels)
    edited = edited_rows(rng, first)
    held = {title for title, part in squad.part.items() if part != "train"}
    documents = [one for one in squad.documents.values() if one["title"] not in held]
    documents += [one for one in hops.documents.values() if hops.part[one["title"]] == "train"]
    cloze = cloze_rows(rng, documents, NUM_CLOZE, origin="cloze")
    second = asked_rows(random.Random(1), "squad2", squad)
    kept: dict[tuple[str, str], Row] = {}
    for one in [*first, *second, *of_policies, *of_hops, *edited, *cloze]:
        kept.setdefault((one["question"], one["context"]), one)
    return list(kept.values())


def eval_rows(data: Path) -> list[Row]:
    """Return questions of the dev articles, with their whole paragraphs."""
    squad = read(data, "squad2")
    rows = [
        {
            "question": one["text"],
            "context": squad.documents[one["doc_id"]]["text"],
            "answers": [tuple(span) for span in one["spans"]] if one["answers"] else [],
            "title": squad.title(one),
        }
        for one in squad.questions
        if squad.part[squad.title(one)] == "dev"
    ]
    random.Random(0).shuffle(rows)
    return rows[:NUM_EVAL]


def squad_form(one: Row, *, shortest_first: bool) -> dict[str, Any]:
    answers = one["answers"]
    if shortest_first:  # the first one is learnt
        answers = sorted(set(answers), key=lambda span: (len(span[0]), span[1]))
    return {
        "question": one["question"],
        "context": one["context"],
        "answers": {
            "text": [said for said, _ in answers],
            "answer_start": [at for _, at in answers],
        },
        "is_impossible": not answers,
        "title": one["title"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("rows"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", train_rows(given.data)), ("eval", eval_rows(given.data))):
        made = [squad_form(one, shortest_first=name == "train") for one in rows]
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
        (given.out / f"{name}.jsonl").write_text(text, encoding="utf-8")
    parts = {name: read(given.data, name).part for name in ("squad2", "policyqa", "multihop")}
    (given.out / "split.json").write_text(json.dumps(parts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
