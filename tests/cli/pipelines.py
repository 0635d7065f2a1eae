"""Runs what a pipeline says, as its system does: the shell commands out of its file, in order, in a fresh folder."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import click
from hatchling.builders.wheel import WheelBuilder
from tests.conftest import clean_environment

from convload.cli import convload

ROOT = Path(__file__).parents[2]
# Short, yet enough for every percentile that the plan's gates ask for.
SHORT = {"CONVLOAD_DURATION": "2s", "CONVLOAD_WARMUP": "500ms", "CONVLOAD_EXTEND": "0s"}


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this checkout."""
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return Path(wheel)


class Runner:
    """A machine of a CI system without a network: a Python of its own, whose pip finds what is installed here already.

    Everything is there but convload itself, so that installing it is what a step does and not what was there before.
    """

    def __init__(self, folder: Path) -> None:
        self._installed = folder / "installed"
        self._installed.mkdir()
        for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
            if "convload" not in path.name and path.suffix != ".pth":
                (self._installed / path.name).symlink_to(path)
        self._python = folder / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self._python)], check=True, timeout=60)

    def __call__(self, script: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Runs a script by a shell that stops at the first failure."""
        outside = clean_environment()
        own = {
            "PATH": f"{self._python / 'bin'}:{outside['PATH']}",
            "PYTHONPATH": str(self._installed),
            "PIP_NO_INDEX": "1",
            "PIP_NO_COMPILE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "VIRTUAL_ENV": str(self._python),
        }
        return subprocess.run(
            ["/usr/bin/env", "bash", "-e", "-o", "pipefail", "-c", script],
            cwd=folder,
            env=outside | own | environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def where(self, module: str) -> Path:
        """Returns where this machine would import a module from."""
        done = self(f"python -c 'import {module} as m; print(m.__file__)'", Path(os.sep))
        return Path(done.stdout.strip())


def steps_of(job: dict[str, Any]) -> list[str]:
    """Returns the scripts of a job of GitHub, in order."""
    return [step["run"] for step in job["steps"] if "run" in step]


# Stands for `convload` and `python`: notes how it was called and ends as it is told; a comparison always regressed.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $* $CONVLOAD_BASELINE" | sed 's/ *$//' >> calls
case "$*" in "baseline find"*) echo kept.json ;; run*) exit "$CODE" ;; compare*) exit 1 ;; esac
"""


def calls_of(script: str, folder: Path, code: int, *programs: str, **environment: str) -> tuple[int, list[str]]:
    """Runs a script whose programs are stand-ins; returns its exit code and how they were called."""
    for program in programs:
        path = folder / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)
    done = subprocess.run(
        ["/usr/bin/env", "bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=clean_environment() | {"PATH": f"{folder}:{os.environ['PATH']}", "CODE": str(code)} | environment,
        check=False,
        timeout=30,
    )
    return done.returncode, (folder / "calls").read_text().splitlines()


def parsed(arguments: list[str]) -> click.Context:
    """Has click read a command line, and runs nothing."""
    command = convload.get_command(click.Context(convload), arguments[0])
    assert command is not None, arguments
    return command.make_context(arguments[0], arguments[1:])
