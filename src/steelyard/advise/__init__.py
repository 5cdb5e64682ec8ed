"""Weighs ways to answer by cost, quality and waiting: which to take, and what would flip that."""

from steelyard.advise.advice import DRAWS, Advice, advise
from steelyard.advise.capacity import Capacity
from steelyard.advise.capacity_wire import (
    capacity_json,
    capacity_of,
    figures_table,
    limits_table,
)
from steelyard.advise.choosable import choosable
from steelyard.advise.measured import DEFAULTS, Arm, ArmMeasured, Figure, Measured
from steelyard.advise.named import named_scenario, scenario_names, scenario_of_file
from steelyard.advise.onepage import one_page
from steelyard.advise.published_wire import published_json, published_line, published_table
from steelyard.advise.scenario import Choices, Scenario, Throughput, Value
from steelyard.advise.solve import Question
from steelyard.advise.whatif import what_if
from steelyard.advise.wire import advice_json, scenario_json, specs_json
from steelyard.advise.words import title_of, usd

__all__ = [
    "DEFAULTS",
    "DRAWS",
    "Advice",
    "Arm",
    "ArmMeasured",
    "Capacity",
    "Choices",
    "Figure",
    "Measured",
    "Question",
    "Scenario",
    "Throughput",
    "Value",
    "advice_json",
    "advise",
    "capacity_json",
    "capacity_of",
    "choosable",
    "figures_table",
    "limits_table",
    "named_scenario",
    "one_page",
    "published_json",
    "published_line",
    "published_table",
    "scenario_json",
    "scenario_names",
    "scenario_of_file",
    "specs_json",
    "title_of",
    "usd",
    "what_if",
]
