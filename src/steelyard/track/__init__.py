"""Training runs shadowed into MLflow: a local SQLite store that can be made again at any time."""

from steelyard.track.shadow import INSTALL, STORE, Shadow, TrackedRun, open_shadow

__all__ = ["INSTALL", "STORE", "Shadow", "TrackedRun", "open_shadow"]
