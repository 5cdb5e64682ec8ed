"""Question sets: read from any usual form, checked, made from a home, reviewed."""

from steelyard.datasets.clusters import clusters
from steelyard.datasets.read import read_set
from steelyard.datasets.trec import read_qrels, read_run, write_qrels, write_run
from steelyard.datasets.write import export_set, write_set

__all__ = [
    "clusters",
    "export_set",
    "read_qrels",
    "read_run",
    "read_set",
    "write_qrels",
    "write_run",
    "write_set",
]
