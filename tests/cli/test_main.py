"""What every verb has in common: streams that may go away, and errors that nobody foresaw."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import COMMAND, clean_environment

from convload.cli import exit_code_of


def fail() -> int:
    raise ZeroDivisionError("a\nfault")


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    """Runs convload under a shell, as `$C`."""
    environment = clean_environment() | {"C": " ".join(COMMAND)}
    return subprocess.run(
        ["/bin/bash", "-c", f"set -o pipefail; {line}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_error_that_nobody_foresaw_is_70_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    code = exit_code_of(fail)

    [line] = capsys.readouterr().err.splitlines()
    said, _, path = line.partition("; please report it with ")
    text, mode = Path(path).read_text(), Path(path).stat().st_mode
    Path(path).unlink()
    assert code == 70
    assert said == "convload: internal error: ZeroDivisionError: a"
    assert "in fail" in text
    assert mode & 0o077 == 0


def test_a_misspelt_verb_is_told_which_one_was_meant() -> None:
    done = shell("$C rnu")

    assert done.returncode == 2
    assert "No such command 'rnu', did you mean 'run'?" in done.stderr


def test_a_reader_that_goes_away_changes_no_exit_code() -> None:
    done = shell("$C payloads list | true")

    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "> /dev/null 2>&-"])
def test_a_stream_that_was_never_open_changes_no_exit_code(closed: str) -> None:
    assert shell(f"$C payloads check {closed}").returncode == 0


def test_a_mistake_keeps_its_code_where_nobody_hears_it() -> None:
    assert shell("$C run nope.toml 2>&-").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_standard_output_is_said() -> None:
    done = shell("$C payloads list > /dev/full")

    assert done.returncode == 2
    assert "No space left" in done.stderr


def test_verbs_are_not_slower_to_start_for_it() -> None:
    code = "import sys, convload.cli; sys.exit(bool({'numpy', 'locust', 'scipy', 'rich'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
