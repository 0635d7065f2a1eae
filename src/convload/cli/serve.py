"""`convload serve`: shows the runs below a folder in a browser."""

import time
from pathlib import Path

import click

from convload.addresses import parse_address
from convload.cli.options import PATH
from convload.errors import UsageError

EPILOG = """\b
Example:
  convload serve reports
"""
LOOK_S = 0.2


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="[DIR]", default="reports", type=PATH)
@click.option(
    "--bind", metavar="HOST:PORT", default="127.0.0.1:0", show_default=True, help="Listen there; port 0: any free one."
)
def serve(folder: Path, bind: str) -> None:
    """Serve the runs below DIR: an index with their figures, their reports, and comparisons of two.

    The address, which nobody else guesses, is printed; Ctrl-C ends it. Nothing is written.
    """
    from convload.live.runs import Runs  # noqa: PLC0415 -- slow to import, and `--help` needs none of it

    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name one that has run folders below it")
    runs = Runs(folder, *parse_address(bind, "--bind", lowest_port=0))
    click.echo(f"convload: the runs of {folder} are at {runs.address} until Ctrl-C", err=True)
    try:
        while True:
            time.sleep(LOOK_S)
    finally:
        runs.close()
