"""Prints the end of a capacity search on the terminal: the answer first and last, the figures between."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convload.capacity.figures import objective_line, overload_rows, trial_rows, usl_lines
from convload.errors import ExitCode
from convload.report.untrusted import visible
from convload.results.capacity_result import CapacityResult

_STYLES = {ExitCode.PASS: "bold green", ExitCode.GATE_FAILED: "bold red"}


def print_capacity(result: CapacityResult, console: Console) -> None:
    """Prints the whole result; foreign text is shown as it is, never as markup or control sequence."""
    _print_answer(result, console)
    _print_table("Trials", trial_rows(result), console)
    if result.overload:
        _print_table("Beyond capacity", overload_rows(result), console)
        _print_line(result.overload.text, console)
    for line in [*usl_lines(result), objective_line(result), *result.notes]:
        _print_line(line, console)
    for part in (result.peak, result.instances, result.generator_need):
        if part is not None:
            _print_line(part.text, console)
    _print_answer(result, console)


def _print_answer(result: CapacityResult, console: Console) -> None:
    style = _STYLES.get(result.exit_code, "bold yellow")
    # Never folded: the last line of the output is the whole sentence, for whoever reads it with `tail -1`.
    console.print(Text(visible(result.statement), style=style), soft_wrap=True)


def _print_line(line: str, console: Console) -> None:
    console.print(Text(visible(line)))


def _print_table(title: str, rows: list[list[str]], console: Console) -> None:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for name in rows[0]:
        table.add_column(name, justify="left" if name in {"outcome", "broke", "by"} else "right", overflow="fold")
    for row in rows[1:]:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)
