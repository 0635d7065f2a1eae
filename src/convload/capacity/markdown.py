"""Writes capacity.md: what a search found, for a pull request or a job summary."""

from collections.abc import Sequence

from convload.capacity.figures import objective_line, overload_rows, trial_rows, usl_lines
from convload.report import mermaid
from convload.report.figures import about
from convload.report.markdown import code, plain, rows_as_table
from convload.results.capacity_result import CapacityResult, Trial

_FEWEST_LOADS = 2


def render(result: CapacityResult) -> str:
    """Returns the document; foreign text in it is escaped."""
    parts = [
        f"# Capacity\n\n{plain(result.statement)}",
        "\n".join(f"- {plain(note)}" for note in result.notes),
        plain(result.instances.text) if result.instances else "",
        plain(result.peak.text) if result.peak else "",
        plain(result.generator_need.text) if result.generator_need else "",
        f"Objective: {', '.join(code(gate) for gate in result.objective)}. {plain(objective_line(result))}",
        _charts(result.trials),
        f"## Beyond capacity\n\n{plain(result.overload.text)}\n\n{_table(overload_rows(result))}"
        if result.overload
        else "",
        "## Scalability\n\n" + "\n".join(f"- {plain(line)}" for line in usl_lines(result)),
        f"## Trials\n\n{_table(trial_rows(result))}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _charts(trials: Sequence[Trial]) -> str:
    """Draws the trials by their load, each load once: Mermaid spreads points evenly, whatever lies between them."""
    loads: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.rate):
        # What the generator could not make says nothing of the target.
        if trial.verdict != "generator":
            loads.setdefault(about(trial.rate), []).append(trial)
    if len(loads) < _FEWEST_LOADS:
        return ""
    names = ", ".join(f'"{name}"' for name in loads)
    axis = f'"load of a trial" [{names}]'
    times = mermaid.draw(
        "Response times in ms by the load of a trial, each load once: the upper line is p99, the lower p50; the "
        "highest where a load was tried again; 0 where none was measured.",
        ("Response time, p50 and p99", "ms", axis),
        {
            "p50": [max(trial.response_p50_ms or 0.0 for trial in part) for part in loads.values()],
            "p99": [max(trial.response_p99_ms or 0.0 for trial in part) for part in loads.values()],
        },
    )
    rates = mermaid.draw(
        "Conversations per second by the load of a trial: the upper line is what was achieved, the lower goodput; the "
        "lowest where a load was tried again.",
        ("Achieved and good per second", "per s", axis),
        {
            "achieved": [min(trial.achieved_per_s or 0.0 for trial in part) for part in loads.values()],
            "good": [min(trial.goodput_per_s or 0.0 for trial in part) for part in loads.values()],
        },
    )
    return "\n\n".join(["## By load", *mermaid.blocks([times, rates])])


def _table(rows: list[list[str]]) -> str:
    return rows_as_table(rows[0], [[plain(cell) for cell in row] for row in rows[1:]])
