"""Training: recipes in, adapters out; killed and resumed, with every token accounted for.

Importing this loads no torch: tasks and the loop are loaded when a run begins.
"""

from steelyard.tune.ending import Interrupted
from steelyard.tune.fit import (
    Trained,
    begin,
    prepare,
    summary_fields,
    train,
)
from steelyard.tune.folder import (
    RUNS,
    RunFolder,
    RunStatus,
    discard,
    find_run,
    new_run,
    runs,
)
from steelyard.tune.inputs import Rows
from steelyard.tune.kinds import task_for
from steelyard.tune.plan import Plan, make_plan, plan_fields
from steelyard.tune.probe import probed
from steelyard.tune.reading import make_recipe, parse_yaml, read_recipe, recipe_sha256, recipe_text
from steelyard.tune.recipe import Recipe, effective

__all__ = [
    "RUNS",
    "Interrupted",
    "Plan",
    "Recipe",
    "Rows",
    "RunFolder",
    "RunStatus",
    "Trained",
    "begin",
    "discard",
    "effective",
    "find_run",
    "make_plan",
    "make_recipe",
    "new_run",
    "parse_yaml",
    "plan_fields",
    "prepare",
    "probed",
    "read_recipe",
    "recipe_sha256",
    "recipe_text",
    "runs",
    "summary_fields",
    "task_for",
    "train",
]
