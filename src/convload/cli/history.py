"""`convload history`: how the figures of a plan went over many runs, and where they changed."""

from pathlib import Path

import click
from rich.console import Console

from convload.cli.compare import minimum_of, minimum_options
from convload.cli.options import PATH, file_option
from convload.comparison.history import follow
from convload.report import html, terminal
from convload.report.data_files import render_json
from convload.report.folder import write_text
from convload.report.history import document
from convload.report.index import page, read_runs

EPILOG = """\b
Examples:
  convload history reports --html history.html
  convload history reports --index reports/index.html
"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=PATH)
@minimum_options(
    "Smallest change that counts, of the level before.",
    "Smallest change of a time that counts; both must be reached.",
)
@file_option("--html", "Write a page with charts.")
@file_option("--json", "Write it there as JSON.")
@file_option("--index", "Write a page with all runs below DIR, of all plans, each linked to its report.")
def history(
    folder: Path,
    min_relative: str,
    min_absolute: str,
    html_file: Path | None,
    json_file: Path | None,
    index_file: Path | None,
) -> None:
    """Follow the figures of a plan over all runs below DIR, and mark where their level changed.

    All runs that are like the newest sound one are followed, in the order they were started; the others are listed
    with the reason. A change of level is looked for from ten runs on.
    """
    minimum = minimum_of(min_relative, min_absolute)
    if index_file is not None:
        write_text(index_file, page(read_runs(folder), folder, place=index_file.parent))
    found = follow(folder, minimum)
    for path, render in ((html_file, lambda one: html.render(document(one))), (json_file, render_json)):
        if path is not None:
            write_text(path, render(found))
    terminal.show(document(found), Console())
