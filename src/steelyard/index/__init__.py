"""The index: dense and lexical shadows of the truth, searched as one.

>>> shadows = Shadows.open(directory, feed, dim=384, fingerprint=embedder.fingerprint)
>>> shadows.view().dense(vector, k=50, allowed=Allowed())
"""

import steelyard.infra.native  # noqa: F401  (before usearch)
from steelyard.index.options import IndexOptions
from steelyard.index.shadows import Shadows
from steelyard.index.view import View

__all__ = ["IndexOptions", "Shadows", "View"]
