"""`convload init`: a workspace with plans, payloads, locustfiles and pipelines of one's own."""

import shlex
from pathlib import Path

import click

from convload.cli.workspace import Written, lay_out

EPILOG = """\b
Example:
  convload init load-tests && cd load-tests && convload run plans/gate.toml
"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Also into a folder with content; names each file that it replaces.")
def init(folder: Path, force: bool) -> None:
    """Write a workspace into DIR: locustfiles/, payloads/, plans/, reports/ and pipelines for CI systems.

    It works as it is, against the embedded mock; its README says what to change first.
    """
    for line in _told(folder, lay_out(folder, force=force)):
        click.echo(line)


def _told(folder: Path, written: Written) -> list[str]:
    tops = sorted({place.split("/")[0] + "/" * ("/" in place) for place in written.created})
    replaced = [f"convload: {folder / place}: replaced; its content differed" for place in written.replaced]
    created = f"convload: {folder}: {len(written.created)} files written: {', '.join(tops)}" if tops else ""
    if not written.created and not written.replaced:
        created = f"convload: {folder}: everything is there already"
    next_step = f"convload: try it: cd {shlex.quote(str(folder))} && convload run plans/gate.toml"
    return [*replaced, *([created] if created else []), next_step]
