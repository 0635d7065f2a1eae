"""Tells GitHub Actions what a capacity search found."""

from pathlib import Path

from convload.capacity.markdown import render
from convload.errors import ExitCode
from convload.report.github import Told, commands, stated
from convload.report.untrusted import visible
from convload.results.capacity_result import CapacityResult

OUTCOMES = {
    ExitCode.PASS: "pass",
    ExitCode.GATE_FAILED: "fail",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.INTERRUPTED: "interrupted",
}
_ANNOTATIONS = {"pass": "notice", "fail": "error"}


def told(result: CapacityResult, folder: Path) -> Told:
    """Returns the answer as an annotation, capacity.md, and the outputs; a bound that is open is empty."""
    outcome, bounds = OUTCOMES[result.exit_code], result.capacity_per_s
    return Told(
        annotations=commands(_ANNOTATIONS.get(outcome, "warning"), [("capacity", result.statement)]),
        summary=render(result),
        outputs={
            "outcome": outcome,
            "exit_code": str(int(result.exit_code)),
            "text": visible(result.statement),
            "capacity_low": stated(bounds.low),
            "capacity_high": stated(bounds.high),
            "limited_by": result.limited_by,
            "goodput": stated(result.goodput_per_s),
            "folder": str(folder),
            "report": str(folder / "report.html"),
        },
        whole="capacity.md of the run folder",
    )
