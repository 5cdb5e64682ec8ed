"""What a finished training run has made: registered, weighed, and served if the gate is green."""

from collections.abc import Mapping
from pathlib import Path

from steelyard.arms.weighing import Scales
from steelyard.cli.registry_promote import rules_of, weigh_here
from steelyard.core.registry import Evaluation, Version
from steelyard.datasets import find_set, read_set
from steelyard.evals.records import Records, records_path
from steelyard.evals.statistics import Margin
from steelyard.flows.promote import Order, Promoted, register_and_promote
from steelyard.flows.registry import Registry
from steelyard.flows.tune import ready
from steelyard.flows.tuned import check_kind, draft_of, finished, held_out, held_out_of
from steelyard.settings import option_value
from steelyard.store import DATABASE, Store
from steelyard.tune import Recipe


def check_promotable(home: Path, recipe: Recipe, *, data: str, allow_leaks: bool) -> None:
    """Complain before hours of training, not after them.

    Raises:
        InputError: the kind is not served, or there are no questions to weigh it on.
    """
    check_kind(recipe.kind)
    if data:
        read_set(find_set(home, data))
    else:
        held_out(home, ready(home, recipe, allow_leaks=allow_leaks).recipe)


def promote_run(
    home: Path,
    named: str,
    order: Order,
    *,
    data: str = "",
    name: str = "",
    demands: Mapping[str, float] | None = None,
    margins: tuple[Margin, ...] = (),
) -> Promoted:
    """Return what became of a finished run's artefact; `data` "": weighed on what it held out."""
    run = finished(home, named)
    check_kind(run.status().kind)
    questions = read_set(find_set(home, data)) if data else held_out_of(home, run)
    home = home.expanduser().absolute()
    with Store.open(home / DATABASE) as store, Records(records_path(home)) as records:
        registry = Registry(home, store, option_value=option_value)

        def weigh(version: Version) -> Evaluation:
            rules = rules_of(version, questions, "", demands, margins)
            return weigh_here(registry, version, Scales(questions, rules, records))

        return register_and_promote(registry, draft_of(run, name=name), order, weigh=weigh)
