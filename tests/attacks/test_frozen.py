"""A target that stands still has failed; a generator that does proves nothing."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.conftest import Cli, Done, intervals_of, processes_of, summary_of, wait_for

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

WORKER = "convload.load.processes.worker"
LOAD = ("--rate", "60", "--arrivals", "even", "--duration", "6s", "--warmup", "1s", "--out", "out")
A_BUSY_MACHINE_MS = 300
GATES = ("--gate", "create.p95 < 250ms")


@contextmanager
def stopped(pid: int, seconds: float) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        threading.Event().wait(seconds)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def is_under_way(folder: Path) -> bool:
    return len(intervals_of(folder)) >= 2


@pytest.mark.parametrize(("consumers", "seconds"), [("close", 2.5), ("pool", 1.0)])
def test_a_target_that_is_stopped_for_a_second_or_more_fails_the_run(cli: Cli, consumers: str, seconds: float) -> None:
    # In 6 s nobody can tell how far requests depend on each other: it is the standstill that decides.
    needs = {"CONVLOAD_POOL_SIZE": "600"} if consumers == "pool" else {}
    with start_mock(Behaviour()) as mock:
        load = ("run", "--target", mock.url, *LOAD, *GATES, "--consumers", consumers)
        process = cli.start(*load, environment=needs)
        wait_for(lambda: is_under_way(cli.folder / "out"), "two seconds of the run")
        with stopped(mock.pid, seconds):
            pass
        out, err = process.communicate(timeout=60)

    done, summary = Done(process.returncode, out, err), summary_of(cli.folder / "out")
    late = [reason["by_target"] for reason in summary["validity"]["named"] if reason["name"] == "late"]
    # A machine so busy that the generator is late by itself is the one thing that may come between.
    own = summary["generator"]["lateness_p99_ms"] < A_BUSY_MACHINE_MS or not summary["validity"]["valid"]
    assert done.code == 1 or (done.code == 3 and own), done
    assert done.code == 3 or all(late), done


def test_a_worker_that_is_stopped_never_fails_the_target(cli: Cli) -> None:
    process = cli.start("run", *LOAD, *GATES, "--consumers", "close")
    wait_for(lambda: is_under_way(cli.folder / "out"), "two seconds of the run")
    with stopped(processes_of(process.pid, WORKER)[0].pid, 1.8):
        pass
    out, err = process.communicate(timeout=60)

    assert process.returncode == 3, Done(process.returncode, out, err)
    named = [reason["name"] for reason in summary_of(cli.folder / "out")["validity"]["named"]]
    assert {"late", "hub_delay"} & set(named)


def test_a_worker_that_is_starved_of_its_core_never_fails_the_target(cli: Cli) -> None:
    """Three that never rest share the worker's core, more than it can fire at with what is left to it."""
    process = cli.start(
        *("run", "--rate", "3000", "--arrivals", "even", "--duration", "5s", "--warmup", "0s", "--out", "out"),
        *(*GATES, "--consumers", "none"),
        environment={"CONVLOAD_DRAIN": "1s"},
    )
    wait_for(lambda: intervals_of(cli.folder / "out"), "a second of the run")
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(processes_of(process.pid, WORKER)[0].pid, {core})
    with ExitStack() as hogs:
        for _ in range(3):
            hog = hogs.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            hogs.callback(hog.kill)
            os.sched_setaffinity(hog.pid, {core})
        out, err = process.communicate(timeout=60)

    assert process.returncode == 3, Done(process.returncode, out, err)
