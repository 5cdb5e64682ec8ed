"""Reports: as JSON, Markdown, words, and one HTML file that holds everything."""

from steelyard.evals.report.markdown import report_markdown
from steelyard.evals.report.page import page_policy, report_page, write_page
from steelyard.evals.report.verdicts import ArmVerdict, arm_verdicts
from steelyard.evals.report.wire import report_from_json, report_json

__all__ = [
    "ArmVerdict",
    "arm_verdicts",
    "page_policy",
    "report_from_json",
    "report_json",
    "report_markdown",
    "report_page",
    "write_page",
]
