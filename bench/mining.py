"""How many mined negatives are right after all, with the guard and without it?

    python bench/mining.py --data DATA [--documents 1500] [--questions 120] [--home HOME]

Of nfcorpus (test), whose questions have many relevant documents: as many documents as said, those
that are judged relevant for the first questions first, are ingested with the default embedder. Each
question is given one of its relevant documents as its positive and the others are not told. Four
negatives a question are mined among 50 hits; one that is judged relevant is a false one.
Prints a JSON line a way: negatives, the share that is false, questions without a negative.
"""

import argparse
import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from steelyard.cli.data_place import Place
from steelyard.core.evaluation import QuestionSet
from steelyard.core.training import Provenance, Retrieval, TrainingRow
from steelyard.datasets import read_set, write_set
from steelyard.flows.mining import MineWish, mine_negatives
from steelyard.flows.training_desk import Desk, MadeRows

WAYS = {
    "no guard": MineWish(guarded=False),
    "guard, no margin": MineWish(margin=1.0),
    "guard, margin .95 (default)": MineWish(),
    "guard, margin .9": MineWish(margin=0.9),
    "guard, margin .8": MineWish(margin=0.8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--questions", type=int, default=120)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    some = part(
        read_set(options.data / "nfcorpus", part="test"), options.documents, options.questions
    )
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        write_set(home / "set", some)
        place = Place(home, over=str(home / "set"), collection="default", groups="public")
        asyncio.run(measure(place, some))


async def measure(place: Place, some: QuestionSet) -> None:
    rows = [
        TrainingRow(
            Retrieval(one.text, (min(one.relevant),)), Provenance(documents=(min(one.relevant),))
        )
        for one in some.questions
    ]
    relevant = {one.text: {name for name, grade in one.relevant.items() if grade > 0}
                for one in some.questions}  # fmt: skip
    async with place.opened(lambda done, total: None) as desk:
        documents = texts(desk, some)
        for name, wish in WAYS.items():
            made = await mine_negatives(desk, rows, (), wish)
            print(json.dumps({"way": name, **told(made, relevant, documents)}), flush=True)


def told(
    made: MadeRows, relevant: dict[str, set[str]], documents: dict[str, str]
) -> dict[str, object]:
    mined = [
        documents[text] in relevant[row.example.query]
        for row in made.rows
        if isinstance(row.example, Retrieval)
        for text in row.example.negatives
    ]
    false = sum(mined)
    return {
        "negatives": len(mined),
        "false": false,
        "share": round(false / max(1, len(mined)), 4),
        "rows_without": made.facts["rows_without_negatives"],
        "guarded": made.left_out,
    }


def texts(desk: Desk, some: QuestionSet) -> dict[str, str]:
    """Return whose each chunk's text is."""
    from steelyard.flows.training_desk import embedded

    return {
        embedded(chunk): document.id
        for document in some.documents
        for chunk in desk.store.chunks_of(desk.collection, document.id, principal=desk.principal)
    }


def part(whole: QuestionSet, num_documents: int, num_questions: int) -> QuestionSet:
    chosen = [one for one in whole.questions if 5 <= len(one.relevant) <= 100][:num_questions]
    wanted = dict.fromkeys(name for one in chosen for name in sorted(one.relevant))
    for document in whole.documents:
        wanted.setdefault(document.id)
    names = set(list(wanted)[:num_documents])
    questions = [
        replace(one, relevant={name: g for name, g in one.relevant.items() if name in names})
        for one in chosen
    ]
    return replace(
        whole,
        questions=tuple(one for one in questions if len(one.relevant) >= 2),
        documents=tuple(one for one in whole.documents if one.id in names),
    )


if __name__ == "__main__":
    main()
