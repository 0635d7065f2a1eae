"""Writes errors.jsonl: samples of failed requests, to be shown again by seed and index."""

import json

import msgspec

from convload.comparison.conclusion import Conclusion


def render(conclusion: Conclusion) -> str:
    """Returns one object a line, in the order of time; ASCII, so that a terminal shows and never obeys it."""
    return "".join(json.dumps(msgspec.to_builtins(sample)) + "\n" for sample in conclusion.samples)
