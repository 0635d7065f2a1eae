"""A target that stands still for a second in a steady open load: what is told against what must have been."""

import math
import os
import signal
import threading
import time
from pathlib import Path

from bench.figures import Figure
from bench.tools import Run, convload, pinned_mock

from convload.results.runlog import FILE_NAME

RATE = 500
SECONDS = 10
WARMUP_S = 1
IN_FLIGHT = 20
"""Few, so that most arrivals of the frozen second wait for a free user: their service times do not show the wait."""

CLOSED_S = 2
"""How long to measure how fast it catches up: as fast as a closed load of so many users goes."""

FREEZE_AFTER_S = 4.0
FREEZE_S = 1.0
PERCENTILES = (95.0, 99.0, 100.0)


def freeze(folder: Path) -> list[Figure]:
    """Response p95, p99 and maximum against the arithmetic, and the service percentiles of a tool that omits."""
    frozen: list[float] = []
    with pinned_mock() as mock:
        freezer = threading.Thread(target=_freeze_when_under_way, args=(mock.pid, folder, frozen))
        freezer.start()
        options = ["--rate", str(RATE), "--arrivals", "even", "--max-in-flight", str(IN_FLIGHT)]
        found = convload(mock.url, folder / "frozen", *options, seconds=SECONDS)
        freezer.join()
        closed = convload(mock.url, folder, "--users", str(IN_FLIGHT), seconds=CLOSED_S)
    from_s, to_s = (at_s - found.started_unix_s for at_s in frozen)
    expected_us = _expected_us(found, from_s, to_s, 1 / closed.requests_per_s)
    response_us = found.create.response.percentiles(PERCENTILES)
    service_us = found.create.service.percentiles(PERCENTILES)
    figures = []
    for q, told, naive, true in zip(PERCENTILES, response_us, service_us, expected_us, strict=True):
        name = "max" if q == PERCENTILES[-1] else f"p{q:g}"
        note = f"{told / 1000:.1f} ms told, {true / 1000:.1f} ms by arithmetic"
        off = abs(told - true) / true * 100
        figures.append(Figure(f"1 s freeze, response {name} off", off, "%", at_most=5, note=note))
        figures.append(Figure(f"1 s freeze, service {name}, all that a naive tool tells", naive / 1000, "ms"))
    return figures


def _freeze_when_under_way(pid: int, folder: Path, frozen: list[float]) -> None:
    """Stops the mock for a second, some seconds after the run log says that the run has started."""
    deadline_s = time.monotonic() + 60
    while b'"record":"started"' not in b"".join(one.read_bytes() for one in folder.glob(f"frozen/*/{FILE_NAME}")):
        assert time.monotonic() < deadline_s, "the run did not start"
        time.sleep(0.05)
    time.sleep(FREEZE_AFTER_S)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(pid, number)
        frozen.append(time.time())
        time.sleep(FREEZE_S if number == signal.SIGSTOP else 0)


def _expected_us(found: Run, from_s: float, to_s: float, each_s: float) -> list[float]:
    """Returns the percentiles of an ideal target: what is due in the freeze waits for its end and for its turn.

    `each_s` is the time between two answers while it catches up; the rest follows Lindley's recursion.
    """
    usual_s = max(found.create.response.percentile(50) / 1e6 - each_s, 0.0)
    free_s, response_s = 0.0, []
    for number in range(RATE * SECONDS):
        due_s = WARMUP_S + number / RATE
        begins_s = max(to_s if from_s <= due_s < to_s else due_s, free_s)
        free_s = begins_s + each_s
        response_s.append(free_s + usual_s - due_s)
    response_s.sort()
    return [response_s[math.ceil(q / 100 * len(response_s)) - 1] * 1e6 for q in PERCENTILES]
