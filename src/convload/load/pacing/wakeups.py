"""Measures how late this machine wakes a process that waits for an instant, with the timer that users wait with."""

import argparse
import json
import time

import gevent
from gevent.event import Event

from convload.load.pacing.timer import Timer

APART_S = 0.003
SETTLE_S = 0.05


def measure(count: int) -> tuple[bool, list[float]]:
    """Waits for so many instants, one after the other; returns whether the timer is precise, and each lateness in s."""
    woken = Event()
    lateness_s: list[float] = []
    due_s = 0.0

    def on_due() -> None:
        lateness_s.append(time.monotonic() - due_s)
        woken.set()

    timer = Timer(on_due)
    gevent.sleep(SETTLE_S)
    for _ in range(count):
        woken.clear()
        due_s = time.monotonic() + APART_S
        timer.arm(due_s)
        woken.wait()
    precise = timer.precise
    timer.close()
    return precise, lateness_s


def main() -> None:
    """Runs `python -m convload.load.pacing.wakeups COUNT`; prints what it found as JSON, times in microseconds."""
    parser = argparse.ArgumentParser(prog="convload.load.pacing.wakeups")
    parser.add_argument("count", type=int)
    precise, lateness_s = measure(parser.parse_args().count)
    print(json.dumps({"precise": precise, "lateness_us": [round(1e6 * late, 1) for late in lateness_s]}))  # noqa: T201 -- the answer


if __name__ == "__main__":
    main()
