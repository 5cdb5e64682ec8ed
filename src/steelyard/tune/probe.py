"""How long a run will take: ten of its steps, an evaluation and a checkpoint, timed."""

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from steelyard.tune.ending import threads
from steelyard.tune.plan import Plan
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Sets, Task

STEPS = 10


def probed(plan: Plan, task: Task, recipe: Recipe, sets: Sets) -> Plan:
    """Return a plan with the time of its run, by steps that are then forgotten."""
    began = time.perf_counter()  # a run loads the libraries too
    from steelyard.tune.checkpoint import Checkpoints
    from steelyard.tune.crew import Crew
    from steelyard.tune.loop import Loop, Watch

    crew = Crew(recipe.train)
    try:
        with threads(recipe.threads), TemporaryDirectory() as nowhere:
            loop = Loop(
                task,
                recipe,
                sets,
                crew=crew,
                checkpoints=Checkpoints(Path(nowhere)),
                watch=Watch(metrics=lambda line: None, stop=lambda: ""),
            )
            loaded = time.perf_counter() - began
            at = np.linspace(0, plan.num_steps - 1, STEPS).round().astype(int).tolist()
            found = loop.probe(at)
    finally:
        crew.close()
    each_token = found.seconds / found.tokens
    seconds = loaded + found.around + plan.run_tokens * each_token
    seconds += plan.num_evaluations * found.evaluation
    return replace(plan, seconds=seconds, step_seconds=found.seconds / STEPS)
