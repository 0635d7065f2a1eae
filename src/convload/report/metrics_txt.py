"""Writes metrics.txt: the key figures as OpenMetrics text, which GitLab shows in a merge request."""

from collections.abc import Iterator

from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN
from convload.comparison.two_targets import TargetComparison
from convload.contract.steps import CREATE
from convload.judging.gate_result import PASS
from convload.outputs.openmetrics import CLOCKS_SAID, Family, Sample, write
from convload.plan.facts import OPEN
from convload.report import figures
from convload.report.document import visible
from convload.results.histogram import PERCENTILES
from convload.results.summary import Requests

_Family = tuple[str, str, str, list[Sample]]
"""Name, type, help and samples."""

_UNITS = ("milliseconds", "ratio")
_QUANTILES = {name: f"{percent / 100:g}" for name, percent in PERCENTILES.items()} | {"max": "1"}


def render(conclusion: Conclusion) -> str:
    """Returns the exposition; a figure that was not measured is left out.

    The format is OpenMetrics 1.0: families one after the other, `# EOF` at the end. Maximum is the quantile 1.
    """
    return write(_made(*family) for family in _families(conclusion))


def _families(conclusion: Conclusion) -> Iterator[_Family]:
    summary = conclusion.summary
    yield from _singles(conclusion)
    yield from _times("convload_create", [({}, summary.steps)], summary.model)
    counts = _counts({}, summary.steps)
    yield "convload_requests", "counter", "Measured requests by step and outcome.", counts
    values = [("", {"gate": gate.gate}, gate.value) for gate in conclusion.gates if gate.value is not None]
    yield "convload_gate_value", "gauge", "The value of each gate, in the unit of its limit.", values
    worth = [
        ("", {"gate": gate.gate}, float(gate.worth))
        for gate in conclusion.gates
        if gate.worth is not None and figures.knows_worth(gate)
    ]
    text = "How many independent requests those are worth that a gate looks at."
    yield "convload_gate_worth", "gauge", text, worth
    passed = [("", {"gate": gate.gate}, float(gate.outcome == PASS)) for gate in conclusion.gates]
    yield "convload_gate_passed", "gauge", "1 where a gate holds, 0 where it fails or is undecided.", passed
    notes: list[Sample] = [("", {"text": note}, 1.0) for note in dict.fromkeys(summary.notes)]
    yield "convload_note", "gauge", "1 for each note that a reader of the figures must know.", notes
    if conclusion.target_comparison is not None:
        yield from _turns(conclusion.target_comparison, summary.model)


def _singles(conclusion: Conclusion) -> Iterator[_Family]:
    summary, create = conclusion.summary, conclusion.summary.steps.get(CREATE)
    failed = (create.count - create.ok) / create.count if create and create.count else None
    singles = {
        "exit_code": (float(conclusion.verdict.exit_code), "0 pass, 1 a gate failed, 3 inconclusive, 130 interrupted."),
        "create_rate": (summary.achieved_rate, "Create requests per second."),
        "create_offered_rate": (summary.offered_rate, "Arrivals per second that came due."),
        "create_failed_ratio": (failed, "Share of measured create requests that failed."),
        "create_unsent": (float(summary.unsent), "Arrivals that were due and never sent."),
    }
    for name, (value, text) in singles.items():
        yield f"convload_{name}", "gauge", text, [] if value is None else [("", {}, value)]


def _turns(turns: TargetComparison, model: str) -> Iterator[_Family]:
    """Yields the comparison of two targets, and the figures of each; those above are of both together."""
    outcomes: list[Sample] = [
        ("", {"outcome": outcome}, float(outcome == turns.outcome)) for outcome in (IMPROVED, SAME, REGRESSED, UNKNOWN)
    ]
    yield "convload_comparison_outcome", "gauge", "1 at what the comparison of B with A came to.", outcomes
    yield "convload_comparison_pairs", "gauge", "Pairs of windows that were compared.", [("", {}, float(turns.pairs))]
    differences: list[Sample] = [
        ("", {"step": one.step, "statistic": one.statistic, "bound": bound}, value)
        for one in turns.differences
        for bound, value in (("low", one.low), ("point", one.difference), ("high", one.high))
        if value is not None
    ]
    text = "B less A with its interval: times in ms, errors in percentage points, rates per second."
    yield "convload_comparison_difference", "gauge", text, differences
    sides = [({"target": target}, steps) for target, steps in turns.figures.items()]
    yield from _times("convload_target_create", sides, model)
    counts = [sample for labels, steps in sides for sample in _counts(labels, steps)]
    yield "convload_target_requests", "counter", "Measured requests by target, step and outcome.", counts
    failed: list[Sample] = [
        ("", labels, (create.count - create.ok) / create.count)
        for labels, steps in sides
        if (create := steps.get(CREATE)) and create.count
    ]
    yield "convload_target_create_failed_ratio", "gauge", "Share of a target's create requests that failed.", failed


def _counts(labels: dict[str, str], steps: dict[str, Requests]) -> list[Sample]:
    return [
        ("_total", labels | {"step": step, "outcome": outcome}, float(count))
        for step, row in steps.items()
        for outcome, count in {"ok": row.ok, **row.errors}.items()
    ]


def _times(prefix: str, sides: list[tuple[dict[str, str], dict[str, Requests]]], model: str) -> Iterator[_Family]:
    """Yields a family of each clock that the model has, with the creates of each side."""
    for clock, text in list(CLOCKS_SAID.items())[: None if model == OPEN else 1]:
        samples = [
            sample
            for labels, steps in sides
            if (create := steps.get(CREATE)) is not None
            for sample in _quantiles(labels, create, clock)
        ]
        yield f"{prefix}_{clock}_milliseconds", "summary", f"{text}, of successful creates.", samples


def _quantiles(labels: dict[str, str], create: Requests, clock: str) -> list[Sample]:
    times = {"response": create.response_ms, "service": create.service_ms, "lateness": create.lateness_ms}[clock]
    samples: list[Sample] = [
        ("", labels | {"quantile": q}, times[name]) for name, q in _QUANTILES.items() if name in times
    ]
    return [*samples, ("_count", labels, float(create.ok))]


def _made(name: str, kind: str, text: str, samples: list[Sample]) -> Family:
    """Makes every label visible: gates and targets are written by people, and a line break would end the line."""
    shown: list[Sample] = [
        (suffix, {key: visible(word) for key, word in labels.items()}, value) for suffix, labels, value in samples
    ]
    return Family(name, kind, text, shown, next((unit for unit in _UNITS if name.endswith(f"_{unit}")), ""))
