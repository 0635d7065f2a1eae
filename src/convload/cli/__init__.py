"""The command line: one module a verb, each error one line on standard error and an exit code of the table."""

import os
import sys
from importlib import import_module

import click

from convload import __version__
from convload.errors import ConvloadError, ExitCode

VERBS = (
    "run",
    "worker",
    "mock",
    "payloads",
    "report",
    "gate",
    "baseline",
    "compare",
    "history",
    "capacity",
    "doctor",
    "init",
)


class Verbs(click.Group):
    """Imports a verb when it is asked for, so that each starts as fast as its own imports allow."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Returns the verbs in the order of the help text."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- as above
        """Returns a verb, None if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(f"convload.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="convload %(version)s")
def convload() -> None:
    """Load and performance testing of the create-conversation call of LivePerson's Connector API.

    Exit codes: 0 pass, 1 a gate failed, 2 wrong usage or configuration, 3 inconclusive, 4 target not usable,
    130 interrupted with results kept.
    """


def main() -> None:
    """Runs the command line and ends the process."""
    try:
        code = convload.main(prog_name="convload", standalone_mode=False)
    except ConvloadError as error:
        _show(error)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    sys.exit(int(code or 0))


def _show(error: ConvloadError) -> None:
    if os.environ.get("GITHUB_ACTIONS") != "true":
        for problem in error.problems:
            click.echo(f"convload: {problem}", err=True)
        return
    from convload.report import github  # noqa: PLC0415 -- the reports are slow to import and an error is rare

    for problem in error.problems:
        click.echo(github.defused(f"convload: {problem}"), err=True)
        click.echo(github.problem(problem))
