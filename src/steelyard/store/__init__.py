"""SQLite as the only truth: documents, chunks, vectors, access, keys and logs."""

from steelyard.store.codec import text_hash
from steelyard.store.filters import compile_filter
from steelyard.store.pseudonyms import Pseudonyms
from steelyard.store.records import (
    OPERATOR,
    ApiKey,
    ClaimedEmbedder,
    Commit,
    Counts,
    Deletion,
    DocumentPage,
    Experiment,
    Exposure,
    HeldEmbedder,
    KeptTokens,
    LoggedAnswer,
    Pending,
    Reading,
    Replacement,
    Span,
    Submission,
    Switch,
    Ticket,
    UnembeddedChunk,
    UnreadChunk,
    UsedAnswer,
)
from steelyard.store.store import DATABASE, Store
from steelyard.store.versions import Registered, ServedVersions

__all__ = [
    "DATABASE",
    "OPERATOR",
    "ApiKey",
    "ClaimedEmbedder",
    "Commit",
    "Counts",
    "Deletion",
    "DocumentPage",
    "Experiment",
    "Exposure",
    "HeldEmbedder",
    "KeptTokens",
    "LoggedAnswer",
    "Pending",
    "Pseudonyms",
    "Reading",
    "Registered",
    "Replacement",
    "ServedVersions",
    "Span",
    "Store",
    "Submission",
    "Switch",
    "Ticket",
    "UnembeddedChunk",
    "UnreadChunk",
    "UsedAnswer",
    "compile_filter",
    "text_hash",
]
