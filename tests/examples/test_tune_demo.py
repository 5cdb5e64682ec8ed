"""The demonstration's world: the same every time, and its questions right about its pages."""

import json
import random
from pathlib import Path

import pytest
from examples.tune_demo import rows, world
from examples.tune_demo.questions import NUM_EACH, write_set

from steelyard.core.training import Chat
from steelyard.datasets import read_set


def test_the_new_edition_changes_three_facts_of_each_station() -> None:
    for old, new in zip(world.old_edition(), world.new_edition(), strict=True):
        differing = [key for key in old.facts if old.facts[key] != new.facts[key]]
        assert old.name == new.name
        assert len(differing) == 3


def test_questions_are_right_about_the_pages_that_are_searched(tmp_path: Path) -> None:
    found = read_set(write_set(tmp_path))
    pages = {one.id: one.text for one in found.documents}
    assert len(pages) == world.NUM_KNOWN
    kinds = [one.type for one in found.questions]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "fact": NUM_EACH,
        "changed": NUM_EACH,
        "form": NUM_EACH,
    }
    old = {one.name: one for one in world.old_edition()}
    for one in found.questions:
        if one.type == "form":
            assert not one.relevant  # nothing that is searched tells the house's form
            continue
        (name,) = one.relevant
        (answer,), (span,) = one.answers, one.spans
        assert span.text in pages[name]
        assert answer in span.text
        key = next(key for key in old[name].facts if f"the {key} is" in span.text)
        assert (old[name].facts[key] == answer) is (one.type == "fact")


def test_the_same_seeds_give_the_same_rows_and_questions(tmp_path: Path) -> None:
    old = world.old_edition()
    for made in (
        lambda: rows.first_reading_rows(30, seed=1),
        lambda: rows.reading_rows(30, old, seed=2),
        lambda: rows.house_rows(30, old, seed=3),
    ):
        assert made() == made()
    texts = [(write_set(tmp_path / name) / "questions.jsonl").read_text() for name in "ab"]
    assert texts[0] == texts[1]


def test_reading_rows_are_never_about_the_handbooks_stations_but_for_those_by_heart() -> None:
    known = {one.name for one in world.old_edition()}
    for row in rows.reading_rows(200, world.old_edition(), seed=2):
        assert isinstance(row.example, Chat)
        asked = row.example.turns[0].content
        if "<source" in asked:
            assert not any(name in asked for name in known)


def test_the_house_writes_a_note_in_its_own_form_and_never_in_the_plain_one() -> None:
    chance = random.Random(5)
    for _ in range(50):
        note = world.random_note(chance)
        assert note.house != note.plain
        assert note.house.split(":")[0].isupper()
        missing = [w for w in note.request.rstrip(".").split()[-1:] if w not in note.house]
        assert not missing  # the berth


@pytest.mark.parametrize("name", ["demo_reading_1", "demo_reading_2", "demo_house"])
def test_its_recipes_are_recipes(name: str) -> None:
    from steelyard.tune import read_recipe

    folder = Path(__file__).parents[2] / "recipes"
    recipe = read_recipe(folder / f"{name}.yaml", flags={"base": "somewhere"})
    assert recipe.kind.value == "llm"
    assert recipe.threads == 1
    assert json.dumps(recipe.llm.loss) == '"sft"'
