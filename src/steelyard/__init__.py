"""Steelyard weighs retrieval-augmented generation against fine-tuning, then serves the winner."""

__version__ = "0.1.0"
