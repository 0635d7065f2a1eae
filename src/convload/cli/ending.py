"""Ends a verb that judges a run: prints the conclusion, tells the CI system, returns the exit code."""

import os
import sys
from pathlib import Path
from typing import TextIO, cast

import click
from rich.console import Console

from convload.errors import ExitCode
from convload.report import github
from convload.report.text import print_conclusion
from convload.results.verdict import Conclusion

_REPORTED_ONLY = (ExitCode.GATE_FAILED, ExitCode.INCONCLUSIVE)

exit_zero_option = click.option(
    "--exit-zero",
    is_flag=True,
    help="Report only: end with 0 also where a gate failed or the run is inconclusive.",
)


def end(conclusion: Conclusion, folder: Path, *, exit_zero: bool) -> int:
    """Tells a person and the CI system of a run whose reports are written; returns the exit code.

    With `exit_zero` a verdict never fails the command; wrong usage, an unusable target and Ctrl-C still do.
    """
    if github.is_here(os.environ):
        for problem in github.tell(conclusion, folder, os.environ, sys.stdout):
            click.echo(f"convload: {github.defused(problem)}", err=True)
        console = Console(file=cast("TextIO", github.Defused(sys.stdout)))
    else:
        console = Console()
    print_conclusion(conclusion, console, folder)
    code = conclusion.verdict.exit_code
    return int(ExitCode.PASS if exit_zero and code in _REPORTED_ONLY else code)
