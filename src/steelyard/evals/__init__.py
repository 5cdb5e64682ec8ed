"""Evaluation: measures, statistics, and the reports made of them."""
