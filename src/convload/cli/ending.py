"""Ends a verb that found something: tells the CI system, prints it, returns the exit code."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import click
from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.errors import ExitCode, UsageError
from convload.report import github, runner
from convload.report.run import print_run

_REPORTED_ONLY = (ExitCode.GATE_FAILED, ExitCode.INCONCLUSIVE)

exit_zero_option = click.option(
    "--exit-zero",
    is_flag=True,
    help="Report only: end with 0 also where a gate failed or the run is inconclusive.",
)
details_option = click.option("--details", is_flag=True, help="Print all of the report, not its ten lines.")

Print = Callable[[Console], None]


def end(
    conclusion: Conclusion, folder: Path, *, exit_zero: bool, details: bool = False, print_it: Print | None = None
) -> int:
    """Tells a person and the CI system of a run; returns the exit code. `print_it` prints it in another way."""
    tell_ci(lambda: github.run_report(conclusion, folder))
    if print_it is None:
        show_run(conclusion, folder, details=details)
    else:
        show(print_it)
    return exit_code(conclusion, exit_zero=exit_zero)


def show_run(conclusion: Conclusion, folder: Path | None, *, details: bool) -> None:
    """Prints the conclusion of a run, and where its report is, if it has one."""
    show(lambda console: print_run(conclusion, console, folder, details=details))


def exit_code(conclusion: Conclusion, *, exit_zero: bool) -> int:
    """Returns what the shell is told.

    With `exit_zero` a verdict never fails the command; wrong usage, an unusable target and Ctrl-C still do.
    """
    code = conclusion.verdict.exit_code
    return int(ExitCode.PASS if exit_zero and code in _REPORTED_ONLY else code)


def tell_ci(report: Callable[[], github.StepReport]) -> None:
    """Tells the CI system, where there is one, what was found."""
    if runner.is_here(os.environ):
        _guarded(lambda: _publish(report()))


def show(print_it: Print) -> None:
    """Prints what was found; a reader that leaves or a full disk loses what is printed and nothing else."""
    out = cast("TextIO", runner.Defused(sys.stdout)) if runner.is_here(os.environ) else sys.stdout
    _guarded(lambda: print_it(Console(file=out)))


def _publish(report: github.StepReport) -> None:
    for problem in github.publish(report, os.environ, sys.stdout):
        click.echo(f"convload: {runner.defused(problem)}", err=True)


def _guarded(write: Callable[[], None]) -> None:
    try:
        write()
        sys.stdout.flush()
    except UsageError as error:  # the stream's own; it drops what comes from now on
        click.echo(f"convload: {error}; the verdict stands", err=True)
