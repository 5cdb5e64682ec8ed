"""The demonstration's question set: the new edition's pages, and questions of three types."""

import json
import random
from pathlib import Path

from . import world

NUM_EACH = 40


def write_set(folder: Path) -> Path:
    """Write documents and questions as `steelyard eval run --data` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(21)
    old, new = world.old_edition(), world.new_edition()
    pages = {one.name: one.page(chance) for one in new}
    documents = [{"id": name, "title": name, "text": text} for name, text in pages.items()]
    same, changed = [], []
    for before, after in zip(old, new, strict=True):
        for key, value in after.facts.items():
            question = {
                "question": world.question(after.name, key, chance),
                "answers": [value],
                "documents": [after.name],
                "evidence": [after.sentence(key)],
                "cluster": after.name,
            }
            kind = "fact" if before.facts[key] == value else "changed"
            (same if kind == "fact" else changed).append(question | {"type": kind})
    asked = [*chance.sample(same, NUM_EACH), *chance.sample(changed, NUM_EACH), *_notes(chance)]
    rows = [row | {"id": f"{row['type']}-{n:03}"} for n, row in enumerate(asked)]
    for name, lines in (("corpus.jsonl", documents), ("questions.jsonl", rows)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _notes(chance: random.Random) -> list[dict[str, object]]:
    """Return requests for notes, right only in the house's own words."""
    return [
        {"question": note.request, "answers": [note.house], "type": "form"}
        for note in (world.random_note(chance) for _ in range(NUM_EACH))
    ]
