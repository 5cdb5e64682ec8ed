"""Reports: as JSON, Markdown, words, and one HTML file that holds everything."""

from steelyard.evals.report.blocks import item_json, shown_documents
from steelyard.evals.report.figures import is_quality, is_retrieval
from steelyard.evals.report.markdown import report_markdown
from steelyard.evals.report.page import page_digest, page_policy, report_page, write_page
from steelyard.evals.report.pairs import Side, item_rows
from steelyard.evals.report.summary import comparison_json, summary_json
from steelyard.evals.report.verdicts import ArmVerdict, arm_verdicts, baseline_of, weighed
from steelyard.evals.report.wire import report_from_json, report_json

__all__ = [
    "ArmVerdict",
    "Side",
    "arm_verdicts",
    "baseline_of",
    "comparison_json",
    "is_quality",
    "is_retrieval",
    "item_json",
    "item_rows",
    "page_digest",
    "page_policy",
    "report_from_json",
    "report_json",
    "report_markdown",
    "report_page",
    "shown_documents",
    "summary_json",
    "weighed",
    "write_page",
]
