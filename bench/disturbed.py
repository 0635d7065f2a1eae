"""A generator that is disturbed from outside, at a target that is not: what it tells, and what its gates make of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
from bench.figures import Figure
from bench.tools import SLACK_S, TOOL_CORE

from convload.comparison.conclusion import Conclusion, conclude
from convload.contract.steps import CREATE
from convload.judging.gate_result import FAIL
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour
from convload.results import runlog

SECONDS = int(os.environ.get("DISTURBED_SECONDS", "40"))
WARMUP_S = 2
RATE = 200
SERVICE = "constant(1ms)"
WORKER = "convload.load.processes.worker"
STOP_S, STOPS_PER_S = 0.008, 60
LONG_STOP_S = 0.18
HOGS = 3
LIMITS_MS = {"p50": 2, "p99": 5}
"""Of a target that takes 1 ms, and so meets them: what fails for it fails for the generator."""

Disturb = Callable[[psutil.Process, threading.Event], None]


def disturbed(folder: Path) -> list[Figure]:
    """Returns what each disturbance does to p50 and p99, and how many of two gates failed for it."""
    with start_mock(Behaviour(auth=False, servers=8, service_time=SERVICE)) as mock:
        return [
            figure
            for name, disturb in DISTURBANCES.items()
            for figure in _figures(name, _run(folder / name.replace(" ", "-"), mock.url, disturb))
        ]


def _figures(name: str, done: Conclusion) -> list[Figure]:
    gates = "; ".join(f"{gate.gate}: {gate.outcome}, {gate.undelayed} to {gate.value} ms" for gate in done.gates)
    failed = sum(gate.outcome == FAIL for gate in done.gates)
    said = f"{'valid' if done.validity.valid else 'not valid'}; {gates}"
    times = done.summary.steps[CREATE].response_ms
    return [
        *(Figure(f"{name}: response {each}", times[each], "ms") for each in LIMITS_MS),
        Figure(f"{name}: gates that fail", failed, at_most=0, note=said),
    ]


def _run(out: Path, url: str, disturb: Disturb) -> Conclusion:
    command = [sys.executable, "-m", "convload.cli", "run", "--target", url, "--rate", str(RATE), "--consumers", "none"]
    command += ["--duration", f"{SECONDS}s", "--warmup", f"{WARMUP_S}s", "--out", str(out)]
    for name, limit in LIMITS_MS.items():
        command += ["--gate", f"create.{name} < {limit}ms"]
    over = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        disturbing = threading.Thread(target=disturb, args=(_worker_of(process.pid, out), over))
        disturbing.start()
        over.wait(WARMUP_S + SECONDS)
        over.set()
        disturbing.join()
        process.wait(SLACK_S)
    return conclude(runlog.read(out))


def _worker_of(parent: int, out: Path) -> psutil.Process:
    """Waits for the start of the run, and returns the process that fires."""
    deadline_s = time.monotonic() + SLACK_S
    log = out / runlog.FILE_NAME
    while not log.exists() or b'"record":"started"' not in log.read_bytes():
        assert time.monotonic() < deadline_s, "the run did not start"
        time.sleep(0.05)
    [worker] = [one for one in psutil.Process(parent).children(recursive=True) if WORKER in one.cmdline()]
    return worker


def left_alone(_worker: psutil.Process, over: threading.Event) -> None:
    """Disturbs nothing."""
    over.wait()


def often_stopped(worker: psutil.Process, over: threading.Event) -> None:
    """Stops it for 8 ms, 60 times a second."""
    while not over.wait(1 / STOPS_PER_S - STOP_S):
        _stop(worker, STOP_S)


def once_stopped(worker: psutil.Process, over: threading.Event) -> None:
    """Stops it for 180 ms in the middle of the run."""
    over.wait(SECONDS / 2)
    _stop(worker, LONG_STOP_S)


def _stop(worker: psutil.Process, seconds: float) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(worker.pid, signal.SIGCONT)


def starved(worker: psutil.Process, over: threading.Event) -> None:
    """Has three processes that never rest share its core."""
    worker.cpu_affinity([TOOL_CORE])
    with ExitStack() as hogs:
        for _ in range(HOGS):
            hog = hogs.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            hogs.callback(hog.kill)
            os.sched_setaffinity(hog.pid, {TOOL_CORE})
        over.wait()


DISTURBANCES: dict[str, Disturb] = {
    "left alone": left_alone,
    "stopped for 8 ms, 60 times a second": often_stopped,
    "stopped once for 180 ms": once_stopped,
    "three others on its core": starved,
}
