"""What pipelines rely on: a pipe gets plain text, GitHub is told, exit codes hold; test_pipelines.py runs theirs."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import COMMAND, Cli, clean_environment, summary_of
from tests.report.conftest import Sample
from tests.report.test_github import outputs_in

from convload.results.runlog import FILE_NAME
from convload.results.writing import RunLogWriter


def test_exit_zero_makes_a_failed_gate_0_and_github_is_still_informed(cli: Cli) -> None:
    (cli.folder / "plan.toml").write_text("users = 2\nconversations = 100\n[mock]\nhttp_5xx_share = 0.5\n")
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(cli.folder / "output")}

    done = cli("run", "plan.toml", "--out", "out", "--exit-zero", environment=environment)

    assert done.code == 0, done
    assert summary_of(cli.folder / "out")["verdict"]["exit_code"] == 1
    assert outputs_in((cli.folder / "output").read_text())["exit_code"] == "1"
    errors = [line for line in done.out.splitlines() if line.startswith("::error ")]
    assert [line.partition("::")[2].partition("::")[0] for line in errors] == ["error title=convload%3A errors <= 1%25"]
    assert done.out.strip().splitlines()[-1].startswith("Fail: ")


def test_judging_again_takes_exit_zero_and_baseline_gates(cli: Cli) -> None:
    write_run(cli.folder / "base", failing=False)
    write_run(cli.folder / "new", gates=["errors < 1%"], baseline_gates=["create.p50 <= baseline * 1.1"])
    output = cli.folder / "output"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}

    plain = cli("gate", "new", "--baseline", "base", "--details")
    lenient = cli("gate", "new", "--baseline", "base", "--exit-zero", environment=github)
    as_json = cli("gate", "new", "--exit-zero", "--json", environment=github)

    assert plain.code == 1, plain
    assert "create.p50 <= baseline * 1.1 holds: " in " ".join(plain.out.split())
    assert lenient.code == 0, lenient
    assert lenient.out.startswith("::error title=convload%3A errors < 1%25::")
    assert outputs_in(output.read_text())["folder"] == "new"
    assert [gate["gate"] for gate in json.loads(as_json.out)["gates"]] == ["errors < 1%"]


def test_only_reporting_does_not_hide_wrong_usage_and_github_annotates_it(cli: Cli) -> None:
    done = cli("run", "--users", "none", "--exit-zero", environment={"GITHUB_ACTIONS": "true"})

    assert done.code == 2
    assert done.out.startswith("::error title=convload::--users: ")
    assert done.err.startswith("convload: --users: ")


@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm-256color"}, {"NO_COLOR": "1", "TERM": "xterm-256color"}])
def test_a_pipe_gets_no_control_character_and_the_verdict_last(cli: Cli, environment: dict[str, str]) -> None:
    write_run(cli.folder / "run")

    done = cli("report", "run", environment=environment)

    assert_plain(done.out + done.err)
    assert done.out.splitlines()[-1] == summary_of(cli.folder / "run")["verdict"]["text"]


@pytest.mark.parametrize(("wish", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_turns_colours_off_on_a_terminal(tmp_path: Path, wish: dict[str, str], coloured: bool) -> None:
    write_run(tmp_path / "run")
    ours, theirs = pty.openpty()
    environment = clean_environment() | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)

    with subprocess.Popen(
        [sys.executable, "-m", "convload.cli", "report", "run"],
        cwd=tmp_path,
        env=environment | wish,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
    ) as process:
        os.close(theirs)
        shown = read_all(ours)

    assert process.returncode == 0
    assert b"Fail: " in shown
    assert bool(re.search(rb"\x1b\[(?:\d+;)*[349]\d[;m]", shown)) == coloured


def test_a_reader_that_leaves_early_changes_no_exit_code(cli: Cli) -> None:
    write_run(cli.folder / "run")
    process = cli.start("report", "run")
    assert process.stdout is not None
    process.stdout.close()

    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")
    assert (cli.folder / "run" / "junit.xml").exists()


def test_output_to_a_full_disk_is_one_message_and_changes_no_exit_code(cli: Cli) -> None:
    write_run(cli.folder / "run")

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "report", "run"],
            cwd=cli.folder,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stderr) == (
        0,
        "convload: standard output: No space left on device; the verdict stands\n",
    )


def write_run(folder: Path, *, failing: bool = True, **plan: Any) -> None:
    folder.mkdir()
    log = RunLogWriter(folder / FILE_NAME)
    _, *records = (sample := Sample(failing=failing)).records()
    for record in (sample.manifest(independent=True, **plan), *records):
        log.write(record)
    log.close()


def assert_plain(text: str) -> None:
    assert [c for c in text if ord(c) < 32 and c != "\n"] == []
    assert "\x7f" not in text


def read_all(terminal: int) -> bytes:
    """Reads what comes on a terminal until nobody holds its other end."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:
        pass  # Linux tells the end so
    finally:
        os.close(terminal)
    return b"".join(parts)
