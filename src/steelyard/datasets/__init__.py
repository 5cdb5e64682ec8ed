"""Question sets: read from any usual form, checked, made from a home, reviewed."""

from steelyard.datasets.asked import prompt_for, question_of_reply
from steelyard.datasets.bind import bind, with_documents
from steelyard.datasets.clusters import clusters
from steelyard.datasets.decisions import Decision, Verdict
from steelyard.datasets.logged import RatedAnswer, questions_of_log
from steelyard.datasets.read import read_set
from steelyard.datasets.review import (
    Added,
    Made,
    ReviewItem,
    SetSummary,
    add_questions,
    decide,
    find_set,
    is_set,
    list_sets,
    queue,
    set_folder,
)
from steelyard.datasets.synthesise import synthesise
from steelyard.datasets.trec import read_qrels, read_run, write_qrels, write_run
from steelyard.datasets.write import FORMS, export_set, write_set

__all__ = [
    "FORMS",
    "Added",
    "Decision",
    "Made",
    "RatedAnswer",
    "ReviewItem",
    "SetSummary",
    "Verdict",
    "add_questions",
    "bind",
    "clusters",
    "decide",
    "export_set",
    "find_set",
    "is_set",
    "list_sets",
    "prompt_for",
    "question_of_reply",
    "questions_of_log",
    "queue",
    "read_qrels",
    "read_run",
    "read_set",
    "set_folder",
    "synthesise",
    "with_documents",
    "write_qrels",
    "write_run",
    "write_set",
]
