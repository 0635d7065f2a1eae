"""Writes summary.json, format convload/summary/1: what a pipeline reads."""

import json

import msgspec

from convload.results.summary import FORMAT
from convload.results.verdict import Conclusion


def render(conclusion: Conclusion) -> str:
    """Returns the whole document, indented, keys in a fixed order, in ASCII."""
    manifest = conclusion.manifest
    document = {
        "format": FORMAT,
        "verdict": conclusion.verdict,
        "aborted": conclusion.aborted,
        "validity": conclusion.validity,
        **msgspec.structs.asdict(conclusion.summary),
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
