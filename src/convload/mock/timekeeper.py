"""Runs a waiting line in real time: one kernel timer in the event loop, set for the next departure."""

import asyncio
import math
import time

from convload.mock.waiting_line import Visit, WaitingLine
from convload.timerfd import TimerFd


class Timekeeper:
    """Lets requests into a line now, and wakes it when the next one is due to leave.

    The loop's own timers count whole milliseconds, too coarse for waits of a few; they serve where the kernel has no
    timerfd.

    Args:
        line: on the clock of `time.monotonic`.
        loop: that runs the server.
        kernel: whether the kernel's timer may be used.
    """

    def __init__(self, line: WaitingLine, loop: asyncio.AbstractEventLoop, *, kernel: bool = True) -> None:
        self._line = line
        self._loop = loop
        self.counts = line.counts
        self._timer = TimerFd() if kernel else None
        self._handle: asyncio.TimerHandle | None = None
        self._armed_s = math.inf
        if self._timer is not None and self._timer.fd >= 0:
            loop.add_reader(self._timer.fd, self._on_readable)
        else:
            self._timer = None

    def enter(self, service_s: float) -> Visit | None:
        """Takes in a request; None where it is shed."""
        visit = self._line.arrive(time.monotonic(), service_s)
        self._arm()
        return visit

    def close(self) -> None:
        """Ends the timer; nobody leaves any more."""
        if self._timer is not None:
            self._loop.remove_reader(self._timer.fd)
            self._timer.close()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        due_s = self._line.next_due_s
        if due_s in (self._armed_s, math.inf):
            return
        self._armed_s = due_s
        if self._timer is not None:
            self._timer.set(due_s)
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(due_s - time.monotonic(), 0.0), self._wake)

    def _on_readable(self) -> None:
        assert self._timer is not None  # noqa: S101 -- only its own descriptor calls this
        self._timer.clear()
        self._wake()

    def _wake(self) -> None:
        self._armed_s = math.inf
        self._line.advance(time.monotonic())
        self._arm()
