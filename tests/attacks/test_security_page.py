"""What SECURITY.md names is there: files, commands, options, variables, targets of make."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from convload.cli import VERBS, convload
from convload.load.processes.rules import ALLOW_HOSTS
from convload.plan.sources import CREDENTIALS, WORKER_KEY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()


def options() -> Iterator[str]:
    context = click.Context(convload)
    for verb in VERBS:
        command = convload.get_command(context, verb)
        assert command is not None
        commands = command.commands.values() if isinstance(command, click.Group) else [command]
        yield from (name for one in commands for param in one.params for name in param.opts)


def test_every_option_and_variable_of_the_page_exists() -> None:
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= {*options(), "--version"}
    assert set(re.findall(r"CONVLOAD_[A-Z_]+", PAGE)) <= {*CREDENTIALS, WORKER_KEY, ALLOW_HOSTS}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)]+)\)|`((?:src|tests)/[\w/.]+)`", PAGE))))
def test_every_file_of_the_page_exists(path: tuple[str, str]) -> None:
    assert (ROOT / (path[0] or path[1])).exists()


def test_every_make_target_of_the_page_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert [one for one in re.findall(r"`make ([a-z]+)", PAGE) if f"\n{one}:" not in makefile] == []


def test_every_exit_code_of_the_page_is_that_of_the_command_line() -> None:
    assert "Exit codes: 0 pass, 1 a gate failed, 2 wrong usage" in str(convload.help)
    assert "A gate that failed is exit code 1; wrong usage, no evidence, an unusable target and a fault" in PAGE
