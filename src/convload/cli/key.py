"""`convload key`: what a run and its workers on other machines prove themselves with."""

import os
from pathlib import Path

import click

from convload.cli.options import PATH
from convload.errors import UsageError
from convload.load.processes.keys import new_key

EPILOG = """\b
Examples:
  convload key new --out worker.key     a file that only you read; copy it to each machine
  convload key new                      for the secrets of a pipeline, as CONVLOAD_WORKER_KEY
"""


@click.group()
def key() -> None:
    """Make the key of runs whose workers are on other machines, as in `convload key new --out worker.key`."""


@key.command(epilog=EPILOG)
@click.option("--out", metavar="FILE", type=PATH, help="A new file for it, in place of printing it.")
def new(out: Path | None) -> int:
    """Make a new key.

    Who has it can take part in a run that waits for workers, and make workers fire that wait for a run.
    """
    if out is None:
        click.echo(new_key())
        return 0
    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(f"--out {out}: is there already, and a key is not overwritten") from error
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from error
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(new_key() + "\n")
    click.echo(f"convload: {out}: a new key, readable by you alone", err=True)
    return 0
