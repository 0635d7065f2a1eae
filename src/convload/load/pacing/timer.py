"""A timer that wakes within tens of microseconds, where libev rounds to a millisecond.

Where the kernel has no timerfd, gevent's own timer serves, and `precise` says so. As a program the module measures how
late this machine wakes a process, with the timer that users wait with.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import get_hub
from gevent.event import Event

from convload.timerfd import TimerFd

_READABLE = 1
_BEFORE_SOCKETS = 2
"""The highest priority of libev: looked at in each turn of its loop, however much the sockets have to say."""

NEAR_S = 0.00005
"""An instant nearer than this is not worth the kernel's timer: to set it, to sleep and to be woken takes about as long,
in a virtual machine longer: 15 µs for the setting alone was measured in one. The loop goes on turning instead, and
sees to its sockets meanwhile."""

EARLY_S = 0.00008
WORTH_EARLY = 8
"""The kernel is asked to wake the process a little before the instant, and the loop turns for the rest: being woken
takes some 50 µs and would be lateness. That costs processor time, so only where the wait is so many times longer."""

APART_S = 0.003
SETTLE_S = 0.05


class Timer:
    """Calls `on_due` in the hub's greenlet at an instant of `time.monotonic`; one instant at a time.

    Args:
        on_due: what to call.
        kernel: whether the kernel's timer may be used, where there is one.

    Attributes:
        precise: whether it is used.
    """

    def __init__(self, on_due: Callable[[], None], *, kernel: bool = True) -> None:
        self._on_due = on_due
        self._timer = TimerFd() if kernel else None
        self.precise = self._timer is not None and self._timer.fd >= 0
        self._due_s = math.inf
        self._is_set = False
        self._watcher: Any = None
        self._turning: Any = get_hub().loop.idle(priority=_BEFORE_SOCKETS)
        if self.precise and self._timer is not None:
            self._watcher = get_hub().loop.io(self._timer.fd, _READABLE)
            self._watcher.start(self._on_readable)

    def arm(self, due_s: float) -> None:
        """Sets the instant, in place of the one that was set; one that has passed is due at once."""
        self._due_s = due_s
        now_s = time.monotonic()
        if due_s - now_s < NEAR_S:
            self._is_set = False
            if not self._turning.active:
                self._turning.start(self._on_turn)
            return
        self._turning.stop()
        if self.precise and self._timer is not None:
            self._is_set = True
            is_far = due_s - now_s > WORTH_EARLY * EARLY_S
            self._timer.set(due_s - EARLY_S if is_far else due_s)
            return
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = get_hub().loop.timer(due_s - now_s)
        # libev counts from the instant at which its loop last woke, which may be milliseconds ago.
        self._watcher.start(self._on_coarse, update=True)

    def _look(self) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s, self._is_set = math.inf, False
            self._on_due()

    def _on_turn(self) -> None:
        self._look()
        if self._due_s == math.inf:
            self._turning.stop()

    def _on_coarse(self) -> None:
        self._look()
        if self._due_s != math.inf and not self._turning.active:
            self.arm(self._due_s)  # it woke a little early

    def _on_readable(self) -> None:
        """Looks whether it is due, or nearly: another instant may have been set after this one had run out."""
        self._look()
        if self._is_set and self._due_s - time.monotonic() <= EARLY_S:
            self._is_set = False
            self._turning.start(self._on_turn)
        # Setting it anew, which is what nearly always happens, also clears what there is to read.
        if not self._is_set and self._timer is not None and self._timer.fd >= 0:
            self._timer.clear()

    def close(self) -> None:
        """Ends the timer."""
        self._turning.close()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._timer is not None:
            self._timer.close()


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
    """Runs `python -m convload.load.pacing.timer COUNT`; prints what it found as JSON, times in microseconds."""
    parser = argparse.ArgumentParser(prog="convload.load.pacing.timer")
    parser.add_argument("count", type=int)
    precise, lateness_s = measure(parser.parse_args().count)
    print(json.dumps({"precise": precise, "lateness_us": [round(1e6 * late, 1) for late in lateness_s]}))  # noqa: T201 -- the answer


if __name__ == "__main__":
    main()
