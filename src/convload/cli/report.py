"""`convload report`: makes the reports of finished runs again."""

from pathlib import Path

import click

from convload.cli.ending import details_option, show_run
from convload.cli.options import PATH
from convload.report.folder import write_all

EPILOG = """\b
Examples:
  convload report reports/latest
  convload report reports/latest --with reports/before
"""


@click.command(epilog=EPILOG)
@click.argument("run", nargs=-1, required=True, type=PATH)
@click.option(
    "--with",
    "other",
    metavar="RUN",
    type=PATH,
    help="Another run, whose charts lie over its own in report.html.",
)
@details_option
def report(run: tuple[Path, ...], other: Path | None, *, details: bool) -> None:
    """Render the reports of run folders again, from their run logs alone."""
    for folder in run:
        show_run(write_all(folder, other), folder, details=details)
