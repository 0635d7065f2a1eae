"""Gives arrivals to the users of a class, one to one, and says how many users there must be; see `open`."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gevent import get_hub, getcurrent

from convload.load.pacing.arrivals import Block, Cursor
from convload.load.pacing.timer import NEAR_S, Timer

ASLEEP_S = 2.0
"""A process that has not run for so long may have been given up."""

HOLD_S = 0.5
"""For the message that says so to come: by then it has long been sent."""

BEHIND_S = 0.002
MOST_AT_ONCE = 10
NEW_USER_S = 0.0005
"""`UserGrowth` argues for these three."""

GATHER_S = 0.00015
"""Arrivals that come so densely that no sleep between two of them is worth the kernel's timer are handed out together,
at most so late: to turn the loop until the next one takes all of a core. Where the timer is coarse it does turn."""

DENSE = 32
"""Arrivals that are looked at for that: those of 30,000/s are dense, also by chance, and no burst of 10,000/s is."""

NEVER_S = -1.0

Clock = Callable[[], float]
MakeTimer = Callable[[Callable[[], None]], Timer]


class StandStill:
    """Notices that the process did not run for some seconds, and holds its fire for a moment then.

    Whatever runs first after a sleep asks `holds`, be it only the beat: so the sleep is seen before anything is sent.
    """

    def __init__(self) -> None:
        self._awake_s = float("inf")
        self.until_s = 0.0

    def holds(self, now_s: float) -> bool:
        """Tells whether nothing may be sent now, a reading of `time.monotonic`; to be asked all the time."""
        if now_s - self._awake_s > ASLEEP_S:
            self.until_s = now_s + HOLD_S
        self._awake_s = now_s
        return now_s < self.until_s


class Room:
    """How many users there may still be, of all classes together.

    Each class has a place for one that is its own, so that none of its arrivals waits for ever. The others are for who
    needs them first: what a class needs is its rate × its service time, which no share fixed beforehand could know.

    Attributes:
        free: places that are left beside those; negative where there are too few.
    """

    def __init__(self, most: int, classes: int) -> None:
        self.free = most - classes


class UserGrowth:
    """Says how many users of a class are to be added when an arrival has found none free.

    By Little's law a load needs rate × service time of them, and nobody knows the service time beforehand; so one is
    added for each arrival that waits and that none is on its way for. Besides the room two things bound that:

    - When the event loop comes to a due arrival later than `BEHIND_S`, it is the generator that is slow. More users
      would make it slower still: each request on another connection is dearer, the backlog grows, and more users are
      called for. So none are added then.
    - A user that is added, with its connection, costs as much as some requests. When a target stands still for a
      moment, an arrival each would add hundreds that are not needed when it goes on; so no more come than take half of
      a core: at most `MOST_AT_ONCE`, and then none for `NEW_USER_S` each.

    Each answer names the instant of the next look, for if it is the target that does not answer, no user may become
    free for long. No other look is needed once as many are on their way as wait, for they come by themselves, or there
    may be no more; where a class leaves room, the others find it when one of their users comes back.

    Attributes:
        present: users that take part.
        coming: users that were asked for and have not come yet.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self.present = 0
        self.coming = 0

    def more(self, backlog: int, late_s: float) -> tuple[int, float]:
        """Returns how many to add now, and after how many seconds to look again, 0 for never."""
        left = self._room.free if self.present + self.coming else max(self._room.free, 0) + 1
        wanted = min(backlog - self.coming, left, MOST_AT_ONCE)
        if wanted <= 0:
            return 0, 0.0
        if late_s > BEHIND_S:
            return 0, BEHIND_S
        self._change(coming=wanted)
        return wanted, wanted * NEW_USER_S

    def come(self) -> None:
        """Notes a user that takes part from now on, whether it was asked for or not."""
        self._change(present=1, coming=-1 if self.coming else 0)

    def leave(self) -> None:
        """Notes that one takes part no more."""
        self._change(present=-1)

    def _change(self, present: int = 0, coming: int = 0) -> None:
        before = self.present + self.coming
        self.present += present
        self.coming += coming
        self._room.free -= max(self.present + self.coming - 1, 0) - max(before - 1, 0)


class HandOut:
    """Gives each arrival for one user class to one of its users.

    Args:
        blocks: the arrivals.
        room: for users.
        grow: starts that many more of the class; must not wait.
        stand_still: whether this process may fire.
        clock: what the time is.
        timer: makes what calls at an instant of that clock.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        room: Room,
        grow: Callable[[int], None],
        stand_still: StandStill,
        clock: Clock,
        timer: MakeTimer,
    ) -> None:
        self.cursor = Cursor(blocks)
        self.growth = UserGrowth(room)
        self._room = room
        self._grow = grow
        self._stand_still = stand_still
        self._parked: deque[Any] = deque()
        self._hub = get_hub()
        self._clock = clock
        self._timer = timer(self._on_due)
        self._armed_s = NEVER_S
        # The instant that the timer is set for, if all that is due by then is to go out together.
        self._gathers_until_s = NEVER_S
        self._expected_s = 0.0  # when the timer should call
        self._look_again_s = 0.0
        self._open = True
        self.precise = self._timer.precise

    @property
    def variant(self) -> str:
        """The variant of the arrival that was taken last, "" for one of the mix."""
        return self.cursor.variant

    @property
    def busy(self) -> int:
        """Users that hold a conversation."""
        return self.growth.present - len(self._parked)

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Counts a user in while it may take arrivals."""
        self.growth.come()
        try:
            yield
        finally:
            self.growth.leave()
            if self._open:
                self.arm()  # what waits may need another in its place

    def take(self) -> float | None:
        """Waits for the next arrival and returns when it was due; None when there are no more."""
        cursor, now_s = self.cursor, self._clock()
        next_s = cursor.next_s
        if next_s is not None and next_s <= now_s and not self._stand_still.holds(now_s) and self._open:
            cursor.advance()
            if self._room.free > 0:
                self.arm()  # nobody may be parked when the next one is due, and then more users are needed
            return next_s
        return self._park() if self._open else None

    def _park(self) -> float | None:
        waiting = getcurrent()
        self._parked.append(waiting)
        if self.cursor.next_s != self._armed_s:
            self.arm()
        try:
            due_s: float | None = self._hub.switch()
        except BaseException:
            with suppress(ValueError):
                self._parked.remove(waiting)  # a user that is killed takes no arrival with it
            raise
        return due_s

    def _on_due(self) -> None:
        """Gives each arrival that is due to the user that parked last; runs in the hub's greenlet."""
        self._armed_s = self._gathers_until_s = NEVER_S
        cursor = self.cursor
        while (due_s := cursor.next_s) is not None and due_s <= (now_s := self._clock()):
            if self._stand_still.holds(now_s):  # asked anew each time: it may have been stopped within this loop
                self._set(self._stand_still.until_s)
                return
            if not self._parked:
                self._call_for_more(now_s)
                return  # the first user that becomes free takes it
            cursor.advance()
            self._parked.pop().switch(due_s)
        self.arm()

    def _call_for_more(self, now_s: float) -> None:
        count, again_after_s = self.growth.more(self.cursor.count_due(now_s), now_s - self._expected_s)
        if count:
            self._grow(count)
        self._look_again_s = now_s + again_after_s
        if again_after_s:
            self._expected_s = self._look_again_s
            self._set(self._look_again_s)

    def arm(self) -> None:
        """Sees to it that the next arrival is handed out when it is due."""
        next_s = self.cursor.next_s
        if next_s is None or next_s == self._armed_s or next_s <= self._gathers_until_s:
            return
        now_s = self._clock()
        if next_s <= now_s < self._look_again_s:
            return  # to ask again with each arrival of a backlog is what a generator that is behind cannot afford
        gathers = self.precise and self.cursor.is_dense(DENSE, DENSE * NEAR_S)
        if gathers:
            next_s = max(next_s, now_s) + GATHER_S
        self._expected_s = max(next_s, now_s)
        self._set(next_s, gathers=gathers)

    def _set(self, at_s: float, *, gathers: bool = False) -> None:
        self._armed_s, self._gathers_until_s = at_s, at_s if gathers else NEVER_S
        self._timer.arm(at_s)

    def close(self) -> None:
        """Ends the handing out; parked users go home."""
        self._open = False
        run_soon = self._hub.loop.run_callback
        while self._parked:
            # Not a switch from here: the caller is a greenlet that a user would not come back to.
            run_soon(self._parked.popleft().switch, None)

    def settle(self, until_s: float) -> int:
        """Gives the timer back, after which nothing may be armed, and returns how many were due until then."""
        self._timer.close()
        return self.cursor.pass_over(until_s)
