"""Hands arrivals to users when they are due: the open model, where the schedule does not wait for the target.

Users park here. When an arrival is due the timer's callback switches straight into the user that parked last: so no
more connections are in use than are needed, and theirs are what the processor's caches hold; taking turns among
thousands makes each request half as dear again. When all users are busy the arrival waits, and its wait counts: a user
that becomes free takes the oldest one, whose due instant is in the past. Nothing is dropped; what nobody took by the
end is `unsent`.

A process that was stopped for some seconds and goes on may have been given up, and others may have its arrivals. So it
holds its fire for a moment, in which the message that says so comes.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, NamedTuple

import gevent
import numpy as np
import numpy.typing as npt
from gevent import get_hub, getcurrent
from gevent.event import Event

from convload.load.pacing.timer import Timer
from convload.plan.schedule import Times

ASLEEP_S = 2.0
"""A process that has not run for so long may have been given up."""

HOLD_S = 0.5
"""For the message that says so to come: by then it has long been sent."""

BEAT_S = 0.5

BEHIND_S = 0.002
"""When the event loop comes to a due arrival later than this, it is the generator that is slow. More users would make
it slower still: each request on another connection is dearer, the backlog grows, and more users are called for."""

MOST_AT_ONCE = 10
NEW_USER_S = 0.0005
"""A user that is added, with its connection, costs as much as some requests. When a target stands still for a moment,
an arrival each would add hundreds that are not needed when it goes on; so no more come than take half of a core."""


class Block(NamedTuple):
    """Some arrivals, at least one: when they are due in seconds from the start, rising, and the variant of each."""

    times: Times
    variants: npt.NDArray[np.object_]

    def cut(self, at: int) -> tuple["Block", "Block"]:
        """Returns the arrivals before number `at`, and the others."""
        return Block(self.times[:at], self.variants[:at]), Block(self.times[at:], self.variants[at:])


NOTHING = Block(np.empty(0), np.empty(0, dtype=object))


def merged(streams: Sequence[Iterator[Block]]) -> Iterator[Block]:
    """Yields the arrivals of several streams in rising order."""
    heads = [(head, stream) for stream in streams if (head := next(stream, None)) is not None]
    while heads:
        until_s = min(head.times[-1] for head, _ in heads)
        parts, left = [], []
        for head, stream in heads:
            part, rest = head.cut(int(np.searchsorted(head.times, until_s, side="right")))
            parts.append(part)
            following = rest if len(rest.times) else next(stream, None)
            if following is not None:
                left.append((following, stream))
        heads = left
        times = np.concatenate([part.times for part in parts])
        order = np.argsort(times, kind="stable")
        yield Block(times[order], np.concatenate([part.variants for part in parts])[order])


class OpenPacing:
    """One worker's arrivals.

    Args:
        blocks: the arrivals, in rising order.
        ends_s: when the schedule ends, in seconds from the start.
        max_users: how many users there may be.
        grow: starts that many more users.

    Attributes:
        variant: the variant of the arrival that was taken last, "" for one of the mix.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        ends_s: float,
        max_users: int,
        grow: Callable[[int], None],
    ) -> None:
        self._blocks = blocks
        self._loaded = NOTHING
        self._max_users = max_users
        self._grow = grow
        self._parked: deque[Any] = deque()
        self._timer = Timer(self._hand_out)
        self._block: list[float] = []
        self._variants: list[str] = []
        self._at = 0
        self._next_s: float | None = None
        self._armed_s = -1.0
        self._expected_s = 0.0  # when the timer should call
        self._look_again_s = 0.0
        self._growing = 0
        self._ends_s = ends_s
        self._started_s = float("inf")
        self.stop_s = float("inf")
        self.stopped = Event()
        self.in_progress = 0
        self.taken = 0
        self.dry = ""
        self.variant = ""
        self._awake_s = self._held_s = 0.0
        self._beating: gevent.Greenlet | None = None

    @property
    def precise(self) -> bool:
        """Whether users are woken by the kernel's timer."""
        return self._timer.precise

    def start(self, started_s: float) -> None:
        """Sets the instant that the schedule counts from, a reading of `time.monotonic`."""
        self._started_s = started_s
        self.stop_s = started_s + self._ends_s
        self._next_s = self._load()
        self._awake_s = time.monotonic()
        self._beating = gevent.spawn(self._beat)
        self._arm()

    def take_over(self, blocks: Iterator[Block], max_users: int) -> None:
        """Adds arrivals of a lost worker to this one's."""
        if self.stopped.is_set():
            return
        _, rest = self._loaded.cut(self._at)
        own = chain([rest], self._blocks) if len(rest.times) else self._blocks
        self._blocks = merged([own, blocks])
        self._loaded, self._block, self._at = NOTHING, [], 0
        self._next_s = self._load()
        self._max_users = max_users
        self._arm()

    def go_on(self, blocks: Iterator[Block], ends_s: float) -> None:
        """Adds arrivals behind the last one; the schedule now ends at `ends_s` from the start."""
        if self.stopped.is_set():
            return
        self._blocks = chain(self._blocks, blocks)
        if self._next_s is None:
            self._next_s = self._load()
        self.end_at(ends_s)
        self._arm()

    def end_at(self, ends_s: float) -> None:
        """Moves the end of the schedule, in seconds from the start."""
        self.stop_s = self._started_s + ends_s

    def take(self) -> float | None:
        """Waits for the next arrival and returns when it was due; None when there are no more."""
        next_s, now_s = self._next_s, time.monotonic()
        if next_s is not None and next_s <= now_s and not self._is_held(now_s) and not self.stopped.is_set():
            self._advance()
            if self.in_progress + self._growing < self._max_users:
                self._arm()  # nobody may be parked when the next one is due, and then more users are needed
            return next_s
        return None if self.stopped.is_set() else self._park()

    def _park(self) -> float | None:
        waiting = getcurrent()
        self._parked.append(waiting)
        self._arm()
        try:
            due_s: float | None = get_hub().switch()
        except BaseException:
            with suppress(ValueError):
                self._parked.remove(waiting)  # a user that is killed takes no arrival with it
            raise
        return due_s

    def _hand_out(self) -> None:
        """Gives each arrival that is due to the user that parked last; runs in the hub's greenlet."""
        self._armed_s = -1.0
        while self._next_s is not None and self._next_s <= (now_s := time.monotonic()):
            if self._is_held(now_s):  # looked at anew each time: the process may have been stopped within this loop
                self._armed_s = self._held_s
                self._timer.arm(self._held_s)
                return
            if not self._parked:
                self._call_for_more(now_s)
                return  # the first user that becomes free takes it
            due_s = self._next_s
            self._advance()
            self._parked.pop().switch(due_s)
        self._arm()

    def _is_held(self, now_s: float) -> bool:
        """Tells whether this process holds its fire; whatever runs first after a sleep notices it."""
        if now_s - self._awake_s > ASLEEP_S:
            self._held_s = now_s + HOLD_S
        self._awake_s = now_s
        return now_s < self._held_s

    def _beat(self) -> None:
        while True:
            gevent.sleep(BEAT_S)
            self._is_held(time.monotonic())

    def _call_for_more(self, now_s: float) -> None:
        """Grows, unless it is the generator that is behind, and looks again when those that come should be there."""
        room = self._max_users - self.in_progress - self._growing
        wanted = min(self.backlog - self._growing, room, MOST_AT_ONCE)
        if wanted <= 0:
            return
        pause_s = BEHIND_S
        if now_s - self._expected_s <= BEHIND_S:
            self._growing += wanted
            self._grow(wanted)
            pause_s = wanted * NEW_USER_S
        # If it is the target that does not answer, no user may become free for long.
        self._expected_s = self._armed_s = self._look_again_s = now_s + pause_s
        self._timer.arm(self._armed_s)

    def _arm(self) -> None:
        if self._next_s is None or self._next_s == self._armed_s:
            return
        now_s = time.monotonic()
        if self._next_s <= now_s < self._look_again_s:
            return  # to ask again with each arrival of a backlog is what a generator that is behind cannot afford
        self._armed_s = self._next_s
        self._expected_s = max(self._next_s, now_s)
        self._timer.arm(self._next_s)

    def _advance(self) -> None:
        self.variant = self._variants[self._at]
        self.taken += 1
        self._at += 1
        self._next_s = self._load()

    def _load(self) -> float | None:
        while self._at >= len(self._block):
            block = next(self._blocks, None)
            if block is None:
                self._loaded, self._block, self._at = NOTHING, [], 0
                return None
            self._loaded, self._at = block, 0
            self._block, self._variants = (block.times + self._started_s).tolist(), block.variants.tolist()
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
        if self._beating is not None:
            self._beating.kill(block=False)
        return unsent

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
