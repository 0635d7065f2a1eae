"""Writes capacity.md: what a search found, for a pull request or a job summary."""

from convload.capacity.figures import objective_line, overload_rows, trial_rows, usl_lines
from convload.capacity.result import CapacityResult
from convload.report.markdown import code, plain


def render(result: CapacityResult) -> str:
    """Returns the document; foreign text in it is escaped."""
    parts = [
        f"# Capacity\n\n{plain(result.statement)}",
        "\n".join(f"- {plain(note)}" for note in result.notes),
        plain(result.instances.text) if result.instances else "",
        plain(result.peak.text) if result.peak else "",
        plain(result.generator_need.text) if result.generator_need else "",
        f"Objective: {', '.join(code(gate) for gate in result.objective)}. {plain(objective_line(result))}",
        f"## Beyond capacity\n\n{plain(result.overload.text)}\n\n{_table(overload_rows(result))}"
        if result.overload
        else "",
        "## Scalability\n\n" + "\n".join(f"- {plain(line)}" for line in usl_lines(result)),
        f"## Trials\n\n{_table(trial_rows(result))}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *([plain(cell) for cell in row] for row in rows[1:])]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
