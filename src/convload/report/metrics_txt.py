"""Writes metrics.txt: the key figures as OpenMetrics text, which GitLab shows in a merge request."""

from collections.abc import Iterator

from convload.report.foreign import visible
from convload.results.gates.results import PASS
from convload.results.measured import CREATE, OPEN
from convload.results.percentiles import PERCENTILES, Statistics
from convload.results.verdict import Conclusion

_Sample = tuple[str, dict[str, str], float]
"""What follows the family's name, the labels, and the value."""

_Family = tuple[str, str, str, list[_Sample]]
"""Name, type, help and samples; a unit is the end of the name."""

_UNITS = ("milliseconds", "ratio")


def render(conclusion: Conclusion) -> str:
    """Returns the exposition; a figure that was not measured is left out.

    The format is OpenMetrics 1.0: families one after the other, `# EOF` at the end. Maximum is the quantile 1.
    """
    lines = [line for family in _families(conclusion) if family[3] for line in _written(family)]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _families(conclusion: Conclusion) -> Iterator[_Family]:
    summary = conclusion.summary
    create = summary.steps.get(CREATE)
    yield from _singles(conclusion)
    if create is not None:
        yield _times("response", "Due to answered, of successful creates.", create.response_ms, create.ok)
        if summary.model == OPEN:
            yield _times("service", "Sent to answered, of successful creates.", create.service_ms, create.ok)
            yield _times("lateness", "Due to sent, of successful creates.", create.lateness_ms, create.ok)
    counts = [
        ("_total", {"step": step, "outcome": outcome}, float(count))
        for step, row in summary.steps.items()
        for outcome, count in {"ok": row.ok, **row.errors}.items()
    ]
    yield "convload_requests", "counter", "Measured requests by step and outcome.", counts
    values = [("", {"gate": gate.gate}, gate.value) for gate in conclusion.gates if gate.value is not None]
    yield "convload_gate_value", "gauge", "The value of each gate, in the unit of its limit.", values
    passed = [("", {"gate": gate.gate}, float(gate.outcome == PASS)) for gate in conclusion.gates]
    yield "convload_gate_passed", "gauge", "1 where a gate holds, 0 where it fails or is undecided.", passed


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
    for name, (value, told) in singles.items():
        yield f"convload_{name}", "gauge", told, [] if value is None else [("", {}, value)]


def _times(clock: str, told: str, times: Statistics, count: int) -> _Family:
    quantiles = {name: f"{percent / 100:g}" for name, percent in PERCENTILES.items()} | {"max": "1"}
    samples: list[_Sample] = [("", {"quantile": q}, times[name]) for name, q in quantiles.items() if name in times]
    return f"convload_create_{clock}_milliseconds", "summary", told, [*samples, ("_count", {}, float(count))]


def _written(family: _Family) -> Iterator[str]:
    name, kind, told, samples = family
    yield f"# TYPE {name} {kind}"
    yield from (f"# UNIT {name} {unit}" for unit in _UNITS if name.endswith(f"_{unit}"))
    yield f"# HELP {name} {told}"
    for suffix, labels, value in samples:
        yield f"{name}{suffix}{_labels(labels)} {value:.12g}"


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    r"""Escapes a label's value; `visible` has left no line break in it, but perhaps backslashes of its own."""
    return visible(text).replace("\\", "\\\\").replace('"', '\\"')
