"""Runs convload the way a user does: as a command, in a folder of its own, with every child reaped."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings
from tests.run_logs import Make

from convload.machine import SINGLE_THREADED
from convload.results import runlog
from convload.results.run import Run
from convload.results.runlog import Interval

# A machine that is busy makes an example slow, not wrong; what hangs is ended by pytest's own time-out.
settings.register_profile("convload", deadline=None)
settings.load_profile("convload")

# All that tests start inherits it: some hundred runs of four processes start no threads that none of them uses.
for name, value in SINGLE_THREADED.items():
    os.environ.setdefault(name, value)

# Some hundred processes would each compile convload anew where the environment forbids Python to keep what it compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

COMMAND_TIMEOUT_S = 90
COMMAND = [sys.executable, "-m", "convload.cli"]


class Cli:
    """The command line, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str, environment: dict[str, str] | None = None) -> "Done":
        """Runs a command to its end."""
        process = self.start(*arguments, environment=environment)
        out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
        return Done(process.returncode, out, err)

    def start(
        self, *arguments: str, prefix: tuple[str, ...] = (), environment: dict[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Starts a command; whatever is left of it and its children is killed when the test ends."""
        process = subprocess.Popen(
            [*prefix, *COMMAND, *arguments],
            cwd=self.folder,
            env=clean_environment() | {"XDG_CACHE_HOME": str(self.folder / "cache")} | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
                process.kill()
            process.communicate()


class Done:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


def clean_environment() -> dict[str, str]:
    """Returns the environment without what would change a run."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CONVLOAD_", "LOCUST_"))}


def summary_of(folder: Path) -> Any:
    """Returns the summary of a run folder."""
    return json.loads((folder / "summary.json").read_text())


def wait_for(reached: Callable[[], Any], what: str, timeout_s: float = 30) -> Any:
    """Waits for a condition and returns what it gave."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not (found := reached()):
        assert time.monotonic() < deadline_s, f"{what} within {timeout_s:g} s"
        pause.wait(0.05)
    return found


def intervals_of(folder: Path) -> list[Interval]:
    """Returns the intervals that a run log holds so far."""
    path = folder / runlog.FILE_NAME
    if not path.exists() or not path.stat().st_size:
        return []
    return Run(runlog.read(folder)).intervals


def processes_of(parent: int, module: str) -> list[psutil.Process]:
    """Returns the child processes of a run that run a module."""
    return [child for child in psutil.Process(parent).children(recursive=True) if module in child.cmdline()]


def listening(process: "subprocess.Popen[str]") -> str:
    """Returns the address that a run tells to the workers it waits for."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"convload worker (\S+:\d+)", line):
            return found[1]
    raise AssertionError("it ended without a word of where it listens")


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command line in the test's own folder."""
    command = Cli(tmp_path)
    yield command
    command.end()


@pytest.fixture
def make() -> Make:
    return Make()
