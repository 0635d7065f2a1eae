"""Writes summary.json, format convload/summary/1: what a pipeline reads."""

import json
from typing import Any

import msgspec

from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import Difference
from convload.comparison.two_targets import Turns
from convload.results.summary import FORMAT


def render(conclusion: Conclusion) -> str:
    """Returns the whole document, indented, keys in a fixed order, in ASCII."""
    manifest = conclusion.manifest
    document = {
        "format": FORMAT,
        "verdict": conclusion.verdict,
        "aborted": conclusion.aborted,
        "validity": conclusion.validity,
        **msgspec.structs.asdict(conclusion.summary),
        "turns": conclusion.turns and turns_as_json(conclusion.turns),
        "drift": conclusion.drift,
        "recoveries": conclusion.recoveries,
        "gates": conclusion.gates,
        "manifest": {
            "plan": manifest.plan,
            "versions": manifest.versions,
            "machine": manifest.machine,
            "started": manifest.started,
            "notes": manifest.notes,
        },
    }
    return json.dumps(msgspec.to_builtins(document), indent=2) + "\n"


def turns_as_json(turns: Turns) -> dict[str, Any]:
    """Returns the comparison of two targets; its windows one by one are for the chart alone."""
    told = {key: value for key, value in msgspec.structs.asdict(turns).items() if key not in {"turns", "figures"}}
    return told | {"differences": [_difference(one) for one in turns.differences], "steps": turns.figures}


def _difference(one: Difference) -> dict[str, Any]:
    """Names the sides as the targets are named; what is of repeated runs is left out."""
    row = msgspec.structs.asdict(one)
    names = {"base": "a", "new": "b"}
    return {names.get(key, key): value for key, value in row.items() if key != "p"}
