"""Writes what programs read: summary.json, intervals.csv and errors.jsonl."""

import csv
import io
import json
from typing import Any

import msgspec

from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import Difference
from convload.comparison.two_targets import TargetComparison
from convload.results.series import Second
from convload.results.summary import FORMAT

_TIMES = ("p50", "p90", "p99", "max")


def summary_json(conclusion: Conclusion) -> str:
    """Returns what a pipeline reads, format convload/summary/1, indented, keys in a fixed order, in ASCII."""
    manifest = conclusion.manifest
    document = {
        "format": FORMAT,
        "verdict": conclusion.verdict,
        "aborted": conclusion.aborted,
        "validity": conclusion.validity,
        **msgspec.structs.asdict(conclusion.summary),
        "turns": conclusion.target_comparison and turns_as_json(conclusion.target_comparison),
        "drift": conclusion.drift,
        "recoveries": conclusion.recoveries,
        "gates": conclusion.gates,
        "requests": conclusion.kept_requests,
        "manifest": {
            "plan": manifest.plan,
            "versions": manifest.versions,
            "machine": manifest.machine,
            "started": manifest.started,
            "notes": manifest.notes,
            "origin": manifest.origin,
        },
    }
    return render_json(document)


def render_json(document: object) -> str:
    """Returns the whole document in its own format, indented, in ASCII."""
    return json.dumps(msgspec.to_builtins(document), indent=2) + "\n"


def turns_as_json(turns: TargetComparison) -> dict[str, Any]:
    """Returns the comparison of two targets; its windows one by one are for the chart alone."""
    document = msgspec.structs.asdict(turns)
    del document["compared"], document["figures"]
    return document | {"differences": [_difference(one) for one in turns.differences], "steps": turns.figures}


def intervals_csv(conclusion: Conclusion) -> str:
    """Returns a row a second of create requests, of all workers and phases; empty: nothing was measured.

    Each error kind has a column, after the fixed ones.
    """
    kinds = sorted({kind for row in conclusion.series for kind in row.errors_per_s})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["t_s", "phase", "offered_per_s", "requests_per_s", "ok_per_s", "users", "in_flight", "backlog"]
        + ["cpu_share", "hub_delay_ms", "files_free"]
        + [f"{clock}_{name}_ms" for clock in ("response", "service", "lateness") for name in _TIMES]
        + [f"{kind}_per_s" for kind in kinds]
    )
    table.writerows(_row(second, kinds) for second in conclusion.series)
    return text.getvalue()


def errors_jsonl(conclusion: Conclusion) -> str:
    """Returns a sample a line in the order of time; ASCII, so that a terminal shows and never obeys it."""
    return "".join(json.dumps(msgspec.to_builtins(sample)) + "\n" for sample in conclusion.samples)


def _difference(one: Difference) -> dict[str, Any]:
    """Names the sides as the targets are named; what is of repeated runs is left out."""
    row = msgspec.structs.asdict(one)
    names = {"base": "a", "new": "b"}
    return {names.get(key, key): value for key, value in row.items() if key != "p"}


def _row(row: Second, kinds: list[str]) -> list[object]:
    return [
        *(row.t_s, row.phase, row.offered_per_s, row.requests_per_s, row.ok_per_s),
        *(row.users, row.in_flight, row.backlog, row.cpu_share, row.hub_delay_ms, row.files_free),
        *(times.get(name, "") for times in (row.response_ms, row.service_ms, row.lateness_ms) for name in _TIMES),
        *(row.errors_per_s.get(kind, 0.0) for kind in kinds),
    ]
