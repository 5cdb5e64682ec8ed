"""Training rows: read from any usual form, checked, kept as versions that never change."""

from steelyard.datasets.training.canonical import row_fields, sha256_of
from steelyard.datasets.training.check import check
from steelyard.datasets.training.diff import Difference, diff
from steelyard.datasets.training.duplicates import THRESHOLD, Deduplicated, Duplicate, deduplicate
from steelyard.datasets.training.forms import FORMS
from steelyard.datasets.training.heldout import held_out_set
from steelyard.datasets.training.leaks import (
    EvaluationQuestion,
    Leak,
    digest_of,
    evaluation_questions,
    find_leaks,
)
from steelyard.datasets.training.read import Flag, ReadFile, ReadRows, flags_of, read_files
from steelyard.datasets.training.reviewing import (
    KEEPS,
    ReviewedRow,
    decide_rows,
    keep_reviewed,
    row_queue,
)
from steelyard.datasets.training.splits import BY, Shares, Splits, split_rows
from steelyard.datasets.training.texts import first_text, texts_of
from steelyard.datasets.training.versions import (
    IndexedRow,
    Kept,
    Version,
    find_version,
    is_version,
    keep,
    read_index,
    read_kept,
    versions,
)
from steelyard.datasets.training.write import export_version, forms_of, write_training

__all__ = [
    "BY",
    "FORMS",
    "KEEPS",
    "THRESHOLD",
    "Deduplicated",
    "Difference",
    "Duplicate",
    "EvaluationQuestion",
    "Flag",
    "IndexedRow",
    "Kept",
    "Leak",
    "ReadFile",
    "ReadRows",
    "ReviewedRow",
    "Shares",
    "Splits",
    "Version",
    "check",
    "decide_rows",
    "deduplicate",
    "diff",
    "digest_of",
    "evaluation_questions",
    "export_version",
    "find_leaks",
    "find_version",
    "first_text",
    "flags_of",
    "forms_of",
    "held_out_set",
    "is_version",
    "keep",
    "keep_reviewed",
    "read_files",
    "read_index",
    "read_kept",
    "row_fields",
    "row_queue",
    "sha256_of",
    "split_rows",
    "texts_of",
    "versions",
    "write_training",
]
