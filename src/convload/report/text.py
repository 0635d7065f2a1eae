"""Prints the end of a run on the terminal: the verdict first and last, the figures between."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convload.comparison.conclusion import Conclusion
from convload.plan.facts import OPEN
from convload.report import differences, figures, steadiness
from convload.report.untrusted import brief, visible
from convload.results.summary import Requests, Summary

_STYLES = {
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "interrupted": "bold yellow",
}
_CLOSED_COLUMNS = tuple(("response", name) for name in ("p50", "p95", "p99", "max"))
_OPEN_COLUMNS = (*(("response", name) for name in ("p50", "p99", "max")), ("service", "p99"))
_STAGE_COLUMNS = (("response", "p50"), ("response", "p99"), ("service", "p99"))
_DETAIL = 120


def print_conclusion(conclusion: Conclusion, console: Console, folder: Path | None = None) -> None:
    """Prints the whole conclusion; foreign text is shown as it is, never as markup or control sequence.

    `folder` is where the reports are, if they were written.
    """
    summary = conclusion.summary
    _print_verdict(console, conclusion)
    target = f"Target {summary.target}, seed {summary.seed}"
    _print_lines(console, [figures.setting(summary), target, figures.achieved(summary)])
    _print_lines(console, [figures.MODEL_NOTES.get(summary.model, "")], "dim")
    _print_requests(console, "Steps", summary, summary.steps)
    _print_turns(console, conclusion)
    _print_stages(console, summary)
    _print_steadiness(console, conclusion)
    _print_retries(console, summary)
    _print_requests(console, "Variants of conversation.create", summary, summary.variants)
    _print_errors(console, conclusion)
    _print_gates(console, conclusion)
    _print_counts(console, conclusion)
    if folder is not None:
        _print_lines(console, [f"Report: {folder / 'report.html'}"])
    _print_verdict(console, conclusion)


def print_judgement(conclusion: Conclusion, console: Console) -> None:
    """Prints the gates of a run with what each found, and the verdict."""
    _print_gates(console, conclusion)
    _print_differences(console, conclusion)
    console.print()
    said = [f"Not valid: {reason}" for reason in conclusion.validity.reasons]
    messages = [gate.message for gate in conclusion.gates]
    _print_lines(console, [*messages, *filter(None, [figures.aborted(conclusion)]), *said, *figures.asides(conclusion)])
    _print_verdict(console, conclusion)


def _print_verdict(console: Console, conclusion: Conclusion) -> None:
    verdict = conclusion.verdict
    # Never folded: the last line of the output is the whole sentence, for whoever reads it with `tail -1`.
    console.print(Text(visible(verdict.text), style=_STYLES[verdict.outcome]), soft_wrap=True)


def _print_lines(console: Console, lines: Sequence[str], style: str = "") -> None:
    for line in lines:
        console.print(Text(visible(line), style=style))


def _print_requests(console: Console, title: str, summary: Summary, rows: dict[str, Requests]) -> None:
    if not rows:
        return
    columns = _OPEN_COLUMNS if summary.model == OPEN else _CLOSED_COLUMNS
    table = _table(
        f"{title} (times in ms, of successful requests)", ["", "count", "failed", *_heads(columns, summary.model)]
    )
    for name, row in rows.items():
        table.add_row(Text(brief(name)), *_counted(row.count, row.ok), *figures.cells(row, columns))
    console.print(table)
    _print_lines(console, [note for note in [figures.blanks(rows.values(), columns)] if note], "dim")


def _print_turns(console: Console, conclusion: Conclusion) -> None:
    turns = conclusion.turns
    if turns is None:
        return
    rows = {f"{target} {step}": row for target, steps in turns.figures.items() for step, row in steps.items()}
    _print_differences(console, conclusion)
    _print_requests(console, "Steps of each target", conclusion.summary, rows)


def _print_differences(console: Console, conclusion: Conclusion) -> None:
    turns = conclusion.turns
    if turns is None:
        return
    table = _table("A against B", ["", *figures.TURNS_HEADS, "outcome"], left=("", "outcome"))
    for one in turns.differences:
        step, *cells = brief(one.step.removeprefix("conversation.")), *differences.cells(one)
        table.add_row(Text(f"{step} {cells[0]}"), *cells[1:], Text(one.outcome, style=differences.STYLES[one.outcome]))
    console.print(table)
    _print_lines(console, [*figures.turns_facts(turns), *figures.turns_untold(turns)], "dim")


def _print_stages(console: Console, summary: Summary) -> None:
    stages = summary.stages
    if len(stages) < 2:  # noqa: PLR2004 -- one stage is the whole run, which stands above
        return
    heads = ["", "planned\n/s", "offered\n/s", "sent\n/s", "\nfailed", *_heads(_STAGE_COLUMNS, summary.model)]
    table = _table("Stages, conversation.create (times in ms)", heads)
    for name, stage in stages.items():
        rates = [figures.rates(stage), figures.rate(stage.offered_rate), figures.rate(stage.achieved_rate)]
        _, failed = _counted(stage.count, stage.ok)
        table.add_row(Text(brief(name)), *rates, failed, *figures.cells(stage, _STAGE_COLUMNS))
    console.print(table)
    _print_lines(console, [note for note in [figures.blanks(stages.values(), _STAGE_COLUMNS)] if note], "dim")


def _print_steadiness(console: Console, conclusion: Conclusion) -> None:
    parts = {
        "Recovery": (steadiness.RECOVERY_HEADS, steadiness.recovery_rows(conclusion)),
        "Drift": (steadiness.DRIFT_HEADS, steadiness.drift_rows(conclusion)),
    }
    for title, (heads, rows) in parts.items():
        table = _table(title, heads, left=("what", "where", "after stage"))
        for words in rows:
            table.add_row(*(Text(brief(word)) for word in words))
        if rows:
            console.print(table)
    _print_lines(console, [text for text in [steadiness.drift_text(conclusion)] if text], "dim")


def _print_retries(console: Console, summary: Summary) -> None:
    facts = figures.retry_facts(summary)
    if not facts:
        return
    table = _table("Retries", ["", "what was measured"], left=("", "what was measured"))
    for name, value in facts.items():
        table.add_row(Text(name), Text(brief(value)))
    console.print(table)
    _print_lines(console, [figures.RETRY_NOTE], "dim")


def _heads(columns: Sequence[figures.TimeColumn], model: str) -> list[str]:
    """Names the columns; where there are several clocks, the first of each has its name above it."""
    if model != OPEN:
        return [name for _, name in columns]
    clocks = [clock for clock, _ in columns]
    return [f"{clock if clock not in clocks[:at] else ''}\n{name}" for at, (clock, name) in enumerate(columns)]


def _counted(count: int, ok: int) -> tuple[str, Text]:
    return figures.count(count), Text(figures.count(count - ok), style="red" if ok < count else "")


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
        "Gates", ["gate", "outcome", "value", figures.bounds_head(conclusion.gates)], left=("gate", "outcome")
    )
    for gate in conclusion.gates:
        built_in = " (built in)" if gate.builtin else ""
        outcome = Text(gate.outcome, style=_STYLES[gate.outcome])
        table.add_row(Text(brief(gate.gate) + built_in), outcome, figures.gate_value(gate), figures.gate_interval(gate))
    console.print(table)


def _print_counts(console: Console, conclusion: Conclusion) -> None:
    chain = ", ".join(f"{count} {name}" for name, count in figures.reconciliation(conclusion.summary))
    console.print()
    _print_lines(
        console,
        [
            *filter(None, [figures.aborted(conclusion)]),
            *(f"Not valid: {reason}" for reason in conclusion.validity.reasons),
            *figures.asides(conclusion),
            f"Create requests of the whole run: {chain}",
            f"Generator: {_generator(conclusion.summary)}",
            *(f"Note: {note}" for note in conclusion.summary.notes),
        ],
    )


def _generator(summary: Summary) -> str:
    told = ("busiest worker", "memory", "lateness p99", "event loop late by", "ceiling")
    facts = figures.generator_facts(summary)
    return ", ".join(f"{name} {facts[name]}" for name in told if name in facts)


def _table(title: str, columns: Sequence[str], left: Sequence[str] = ("",)) -> Table:
    """Makes a table whose `left` columns hold words and may wrap; the others hold figures and stay whole."""
    table = Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        words = column in left
        table.add_column(column, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    return table


figures_table = _table
"""The same table, for what else is printed."""
