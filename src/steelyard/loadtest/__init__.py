"""Load for a server, and what it does to latency: trials, clients in processes, reports."""

from steelyard.loadtest.bench import Asked, Bench, TrialResult, run_bench
from steelyard.loadtest.drive import Load
from steelyard.loadtest.fleet import Measured, measure
from steelyard.loadtest.plan import Plan, Shape, Trial, check_shape, plan
from steelyard.loadtest.questions import read_questions
from steelyard.loadtest.report import About, report_json
from steelyard.loadtest.samples import Quantiles, Sample, Summary, percentile, summarise
from steelyard.loadtest.wire import Target, request_bytes, target_of

__all__ = [
    "About",
    "Asked",
    "Bench",
    "Load",
    "Measured",
    "Plan",
    "Quantiles",
    "Sample",
    "Shape",
    "Summary",
    "Target",
    "Trial",
    "TrialResult",
    "check_shape",
    "measure",
    "percentile",
    "plan",
    "read_questions",
    "report_json",
    "request_bytes",
    "run_bench",
    "summarise",
    "target_of",
]
