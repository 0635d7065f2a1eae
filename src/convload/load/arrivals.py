"""Hands arrivals to users when they are due: the open model, where the schedule does not wait for the target.

Users park here, first in, first out. When an arrival is due the timer's callback switches straight into the user that
has waited longest. When all users are busy the arrival waits, and its wait counts: a user that becomes free takes the
oldest one, whose due instant is in the past. Nothing is dropped; what nobody took by the end is `unsent`.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gevent import get_hub, getcurrent
from gevent.event import Event

from convload.load.timer import Timer
from convload.schedule import Times


class OpenPacing:
    """One worker's arrivals.

    Args:
        blocks: the due times in seconds from the start, rising, block by block.
        ends_s: when the schedule ends, in seconds from the start.
        max_users: how many users there may be.
        grow: starts that many more users.
        variants: the variant of each arrival, where the schedule names them.
    """

    def __init__(
        self,
        blocks: Iterator[Times],
        ends_s: float,
        max_users: int,
        grow: Callable[[int], None],
        variants: Sequence[str] = (),
    ) -> None:
        self._variants = variants
        self._blocks = blocks
        self._max_users = max_users
        self._grow = grow
        self._parked: deque[Any] = deque()
        self._timer = Timer(self._hand_out)
        self._block: list[float] = []
        self._at = 0
        self._next_s: float | None = None
        self._armed_s = -1.0
        self._growing = 0
        self._ends_s = ends_s
        self._started_s = float("inf")
        self.stop_s = float("inf")
        self.stopped = Event()
        self.in_progress = 0
        self.taken = 0
        self.dry = ""

    @property
    def precise(self) -> bool:
        """Whether users are woken by the kernel's timer."""
        return self._timer.precise

    def start(self, started_s: float) -> None:
        """Sets the instant that the schedule counts from, a reading of `time.monotonic`."""
        self._started_s = started_s
        self.stop_s = started_s + self._ends_s
        self._next_s = self._load()
        self._arm()

    def take(self) -> float | None:
        """Waits for the next arrival and returns when it was due; None when there are no more."""
        next_s = self._next_s
        if next_s is not None and next_s <= time.monotonic() and not self.stopped.is_set():
            self._advance()
            return next_s
        if self.stopped.is_set():
            return None
        self._parked.append(getcurrent())
        self._arm()
        due_s: float | None = get_hub().switch()
        return due_s

    def _hand_out(self) -> None:
        """Gives each arrival that is due to the user that has waited longest; runs in the hub's greenlet."""
        self._armed_s = -1.0
        while self._next_s is not None and self._next_s <= time.monotonic():
            if not self._parked:
                self._call_for_more()
                return  # the first user that becomes free takes it
            due_s = self._next_s
            self._advance()
            self._parked.popleft().switch(due_s)
        self._arm()

    def _call_for_more(self) -> None:
        wanted = min(self.backlog - self._growing, self._max_users - self.in_progress - self._growing)
        if wanted > 0:
            self._growing += wanted
            self._grow(wanted)

    def _arm(self) -> None:
        if self._next_s is not None and self._next_s != self._armed_s:
            self._armed_s = self._next_s
            self._timer.arm(self._next_s)

    def _advance(self) -> None:
        self.taken += 1
        self._at += 1
        self._next_s = self._load()

    def _load(self) -> float | None:
        while self._at >= len(self._block):
            block = next(self._blocks, None)
            if block is None:
                self._block = []
                return None
            self._block, self._at = (block + self._started_s).tolist(), 0
        return self._block[self._at]

    @property
    def backlog(self) -> int:
        """Arrivals that are due and that no user has taken, as far as the present block tells."""
        if self._next_s is None:
            return 0
        return bisect_right(self._block, min(time.monotonic(), self.stop_s), self._at) - self._at

    @property
    def busy(self) -> int:
        """Users that hold a conversation."""
        return self.in_progress - len(self._parked)

    def stop(self) -> None:
        """Ends the handing out; parked users go home."""
        self.stop_s = min(self.stop_s, time.monotonic())
        self.stopped.set()
        run_soon = get_hub().loop.run_callback
        while self._parked:
            # Not a switch from here: the caller is a greenlet that a user would not come back to.
            run_soon(self._parked.popleft().switch, None)

    def settle(self) -> int:
        """Ends the handing out and returns how many arrivals were due and never sent."""
        unsent = 0
        while self._next_s is not None and self._next_s <= self.stop_s:
            due = bisect_right(self._block, self.stop_s, self._at)
            unsent += due - self._at
            self._at = due
            self._next_s = self._load()
        self._next_s = None
        self.stop()
        self._timer.close()
        return unsent

    @property
    def variant(self) -> str:
        """The variant of the arrival that was taken last, "" for one of the mix."""
        return self._variants[self.taken - 1] if self._variants else ""

    @property
    def offered(self) -> int:
        """Arrivals that were due so far."""
        return self.taken + self.backlog

    def think_s(self) -> float:
        """Returns no think time: an open load has its schedule."""
        return 0.0

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end."""
        self.stopped.wait(seconds)

    def run_dry(self, why: str) -> None:
        """Stops because something that the plan counts on is used up; `dry` then says what."""
        self.dry = why
        self.stop()

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Counts a user in while it may take arrivals."""
        self.in_progress += 1
        self._growing = max(self._growing - 1, 0)
        try:
            yield
        finally:
            self.in_progress -= 1
