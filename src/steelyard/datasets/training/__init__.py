"""Training rows: read from any usual form, checked, kept as versions that never change."""

from steelyard.datasets.training.forms import FORMS
from steelyard.datasets.training.read import Flag, ReadFile, ReadRows, read_files
from steelyard.datasets.training.write import forms_of, write_training

__all__ = [
    "FORMS",
    "Flag",
    "ReadFile",
    "ReadRows",
    "forms_of",
    "read_files",
    "write_training",
]
