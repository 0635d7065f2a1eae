"""`convload report`: makes the reports of finished runs again."""

from pathlib import Path

import click
from rich.console import Console

from convload.report.folder import write_all
from convload.report.text import print_conclusion

EPILOG = """\b
Example:
  convload report reports/latest
"""


@click.command(epilog=EPILOG)
@click.argument("run", nargs=-1, required=True, type=click.Path(path_type=Path))
def report(run: tuple[Path, ...]) -> None:
    """Render the reports of run folders again, from their run logs alone."""
    console = Console()
    for folder in run:
        print_conclusion(write_all(folder), console, folder)
