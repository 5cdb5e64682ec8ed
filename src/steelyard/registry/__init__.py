"""Versions of what is served: their content on disk, their identity, what they are bound to."""

from steelyard.registry.artefacts import (
    Manifest,
    artefact_faults,
    artefact_folder,
    artefact_ids,
    check_artefact,
    keep_artefact,
    read_manifest,
)
from steelyard.registry.bindings import BaseCheck, check_adapter, check_base_of
from steelyard.registry.card import model_card, score_text
from steelyard.registry.identity import (
    expanded,
    marked,
    options_id,
    together,
    usual_options,
    version_id,
)

__all__ = [
    "BaseCheck",
    "Manifest",
    "artefact_faults",
    "artefact_folder",
    "artefact_ids",
    "check_adapter",
    "check_artefact",
    "check_base_of",
    "expanded",
    "keep_artefact",
    "marked",
    "model_card",
    "options_id",
    "read_manifest",
    "score_text",
    "together",
    "usual_options",
    "version_id",
]
