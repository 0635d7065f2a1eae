"""The command line: one module a verb, each error one line on standard error and an exit code of the table."""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module

import click

from convload import __version__, machine
from convload.cli.streams import flush_streams, make_streams_last
from convload.errors import ConvloadError, ExitCode

VERBS = (
    "run",
    "worker",
    "key",
    "mock",
    "payloads",
    "plan",
    "report",
    "export",
    "gate",
    "baseline",
    "compare",
    "history",
    "serve",
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the verb that is asked for; a usage error names the one that was meant, or all."""
        if args[0] not in VERBS and not args[0].startswith("-"):
            from convload.mistakes import suggest  # noqa: PLC0415 -- a mistake is rare

            ctx.fail(f"No such command '{args[0]}'{suggest(args[0], VERBS)}")
        return super().resolve_command(ctx, args)


def _show_man(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from convload.cli.man import page  # noqa: PLC0415 -- it asks every verb for its help, which imports them all

    click.echo(page(convload), nl=False)
    context.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="convload %(version)s")
@click.option(
    "--man", is_flag=True, is_eager=True, expose_value=False, callback=_show_man, help="Print the manual page in roff."
)
def convload() -> None:
    """Load and performance testing of the create-conversation call of LivePerson's Connector API.

    Exit codes: 0 pass, 1 a gate failed, 2 wrong usage or configuration, 3 inconclusive, 4 target not usable,
    70 an error of convload itself, 130 interrupted with results kept.
    """


def main() -> None:
    """Runs the command line and ends the process."""
    os.environ.update(machine.SINGLE_THREADED | os.environ)  # what the user has set himself counts
    make_streams_last()
    sys.exit(exit_code_of(lambda: convload.main(prog_name="convload", standalone_mode=False)))


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Runs a command; shows what it raises in one line a problem, and returns the exit code of the table."""
    try:
        code = command()
        flush_streams()
    except ConvloadError as error:
        _show(error)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 -- whatever was not foreseen is a fault of convload, and says so
        _show(InternalError(error))
        code = ExitCode.INTERNAL
    return int(code or 0)


class InternalError(ConvloadError):
    """Something that nobody foresaw; what a developer needs stands in a file of its own."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        super().__init__(f"internal error: {what}; {_write_crash_file(error)}")


def _write_crash_file(error: Exception) -> str:
    """Writes the traceback where only this user reads it; it names files and lines, and no value of anything."""
    frames = "".join(traceback.format_exception(error))
    try:
        fd, path = tempfile.mkstemp(prefix="convload-crash-", suffix=".txt")
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(f"{json.dumps(machine.versions())}\n{json.dumps(machine.facts())}\n\n{frames}")
    except OSError as failed:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"at {last.filename}:{last.lineno} (no crash file: {failed.strerror}); please report it"
    return f"please report it with {path}"


def _show(error: ConvloadError) -> None:
    from convload.report import document, runner  # noqa: PLC0415 -- they are slow to import and an error is rare

    for problem in error.problems:
        click.echo(runner.defused(document.visible(f"convload: {problem}")), err=True)
        if runner.is_here(os.environ):
            click.echo(runner.problem(problem))
