"""Prints the end of a run on the terminal: the verdict first and last, the figures between."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convload.report import figures
from convload.report.foreign import brief, visible
from convload.results.summary import Requests
from convload.results.verdict import Conclusion

_STYLES = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "interrupted": "bold yellow",
}
_COLUMNS = ("p50", "p95", "p99", "max")
_DETAIL = 120


def print_conclusion(conclusion: Conclusion, console: Console) -> None:
    """Prints the whole conclusion; foreign text is shown as it is, never as markup or control sequence."""
    summary = conclusion.summary
    _print_verdict(console, conclusion)
    target = f"Target {summary.target}, seed {summary.seed}"
    _print_lines(console, [figures.setting(summary), target, figures.achieved(summary)])
    _print_lines(console, [figures.MODEL_NOTES.get(summary.model, "")], "dim")
    _print_requests(console, "Steps", summary.steps)
    _print_requests(console, "Variants of conversation.create", summary.variants)
    _print_errors(console, conclusion)
    _print_gates(console, conclusion)
    _print_counts(console, conclusion)
    _print_verdict(console, conclusion)


def _print_verdict(console: Console, conclusion: Conclusion) -> None:
    verdict = conclusion.verdict
    console.print(Text(visible(verdict.text), style=_STYLES[verdict.outcome]))


def _print_lines(console: Console, lines: Sequence[str], style: str = "") -> None:
    for line in lines:
        console.print(Text(visible(line), style=style))


def _print_requests(console: Console, title: str, rows: dict[str, Requests]) -> None:
    if not rows:
        return
    table = _table(f"{title} (times in ms, of successful requests)", ["", "count", "failed", *_COLUMNS])
    for name, row in rows.items():
        table.add_row(
            Text(brief(name)),
            figures.count(row.count),
            Text(figures.count(row.count - row.ok), style="red" if row.ok < row.count else ""),
            *(figures.milliseconds(row.response_ms.get(column)) for column in _COLUMNS),
        )
    console.print(table)


def _print_errors(console: Console, conclusion: Conclusion) -> None:
    table = _table("Errors", ["step", "kind", "count", "a sample of it"], left=("step", "kind", "a sample of it"))
    for step, row in conclusion.summary.steps.items():
        for kind, count in row.errors.items():
            details = (s.detail for s in conclusion.samples if (s.step, s.outcome) == (step, kind))
            detail = brief(next(details, ""), _DETAIL)
            table.add_row(Text(brief(step)), Text(brief(kind)), figures.count(count), Text(detail))
    if table.row_count:
        console.print(table)


def _print_gates(console: Console, conclusion: Conclusion) -> None:
    table = _table(
        "Gates", ["gate", "outcome", "value", f"{figures.CONFIDENCE_WORDS} interval"], left=("gate", "outcome")
    )
    for gate in conclusion.gates:
        built_in = " (built in)" if gate.builtin else ""
        outcome = Text(gate.outcome, style=_STYLES[gate.outcome])
        table.add_row(Text(brief(gate.gate) + built_in), outcome, figures.gate_value(gate), figures.gate_interval(gate))
    console.print(table)


def _print_counts(console: Console, conclusion: Conclusion) -> None:
    chain = ", ".join(f"{count} {name}" for name, count in figures.reconciliation(conclusion.summary))
    generator = conclusion.summary.generator
    share, memory = figures.core_share(generator.cpu_share), figures.mebibytes(generator.memory_bytes)
    console.print()
    _print_lines(
        console,
        [
            *(f"Not valid: {reason}" for reason in conclusion.validity.reasons),
            f"Create requests of the whole run: {chain}",
            f"Generator: busiest worker {share}, memory {memory}",
            *(f"Note: {note}" for note in conclusion.summary.notes),
        ],
    )


def _table(title: str, columns: Sequence[str], left: Sequence[str] = ("",)) -> Table:
    """Makes a table whose `left` columns hold words and may wrap; the others hold figures and stay whole."""
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for column in columns:
        words = column in left
        table.add_column(column, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    return table
