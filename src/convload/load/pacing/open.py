"""The open model: hands arrivals to users when they are due, for the schedule does not wait for the target.

    for each user class
    schedule ── blocks ──▶ Cursor ── next_s ──▶ HandOut ── due ──▶ a user, which sends at once
                                                 ├ Timer: calls at one instant
                                                 ├ Growth: how many more users?  ◀── Room, of all classes
                                                 └ StandStill: may this process fire?

**An arrival** is *ahead*, then *due*, then *taken* or, at the end, *unsent*. The cursor (`arrivals.py`) stands at the
first that is not taken; all that is due behind it is the backlog. Nothing is dropped: an arrival that finds no user
waits, its wait counts, and the user that becomes free takes the oldest one, whose due instant is in the past.

**A user** is *parked* here, or *busy* with a conversation, or gone. It parks by switching to the hub, and is woken with
the due instant of its arrival, or with None: go home.

**A user class** has arrivals of its own: the schedule draws a class for each by the weights, and an arrival waits for a
user of its class. So the shares are those of the weights whatever users there happen to be, and a class whose
conversations are slow needs more users and gets no fewer arrivals. Each class has a hand-out, and they share nothing
but the room for users.

**Who may change what.** Everything runs in one thread, and greenlets give way only where they wait. Two do the work:
the timer's callback, in the hub's greenlet, which switches straight into a user; and a user that comes back, which
calls `take`. Between the look at `next_s` and `advance` neither gives way, so one arrival goes to one user. The
callback must never wait: it starts greenlets, and switches into those that are parked alone.

**Why no arrival is left lying while a user could take it.** Whoever parks or leaves arms the timer for the next
arrival; the callback, when it has handed one out, goes on to the next or arms the timer for it; and whoever adds
arrivals arms it. If the callback finds nobody parked it may leave the timer unarmed: then there are users, which are
busy or on their way, and the first that comes takes from the backlog before it parks. So there is no state in which an
arrival is due, a user parked or nobody there, and the timer not set. Nothing waits for a lock, so nothing can wait in
a circle.

**Why the user that parked last.** So no more connections are in use than are needed, and theirs are what the
processor's caches hold; taking turns among thousands makes each request half as dear again.

**Why dense arrivals go out together.** Where they come more densely than it is worth to set the kernel's timer, the
loop would turn until each is due, which takes all of a core however little the requests cost. So the timer is set a
little behind the first, and what is due by then is handed out at one go, each with its due instant: its wait counts.

**Why it holds its fire.** A process that was stopped for some seconds and goes on may have been given up, and others
may have its arrivals. What says so was sent long ago and is in the socket; it is read within the half second in which
nothing is handed out. The arrivals of that time are not lost: they are late, which the results show.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import gevent
from gevent.event import Event

from convload.load.pacing.arrivals import Block
from convload.load.pacing.hand_out import Clock, HandOut, MakeTimer, Room, StandStill
from convload.load.pacing.timer import Timer

BEAT_S = 0.5


class OpenPacing:
    """One worker's arrivals and the users that take them.

    Args:
        streams: the arrivals for each user class, by its name, in rising order.
        ends_s: when the schedule ends, in seconds from the start.
        max_users: how many users there may be.
        grow: starts more users of a class.
        clock: what the time is.
        timer: makes what calls at an instant of that clock.
    """

    def __init__(
        self,
        streams: Mapping[str, Iterator[Block]],
        ends_s: float,
        max_users: int,
        grow: Callable[[str, int], None],
        clock: Clock = time.monotonic,
        timer: MakeTimer = Timer,
    ) -> None:
        self._clock = clock
        self._stand_still = StandStill()
        self._max_users = max_users
        self._room = Room(max_users, len(streams))
        self._hand_outs = {
            name: HandOut(blocks, self._room, partial(grow, name), self._stand_still, clock, timer)
            for name, blocks in streams.items()
        }
        self._ends_s = ends_s
        self._started_s = float("inf")
        self._beating: gevent.Greenlet | None = None
        self.stop_s = float("inf")
        self.stopped = Event()
        self.used_up = False
        self.dry = ""

    @property
    def precise(self) -> bool:
        """Whether users are woken by the kernel's timer."""
        return all(each.precise for each in self._hand_outs.values())

    def of_class(self, name: str, /) -> HandOut:
        """Returns what gives a class its arrivals."""
        return self._hand_outs[name]

    def start(self, started_s: float) -> None:
        """Sets the instant that the schedule counts from, a reading of `time.monotonic`."""
        self._started_s = started_s
        self.end_at(self._ends_s)
        self._beating = gevent.spawn(self._beat)
        for each in self._hand_outs.values():
            each.cursor.start(started_s)
            each.arm()

    def _beat(self) -> None:
        while True:
            self._stand_still.holds(self._clock())
            gevent.sleep(BEAT_S)

    def take_over(self, streams: Mapping[str, Iterator[Block]], max_users: int) -> None:
        """Adds arrivals of a lost worker to this one's."""
        if self.stopped.is_set():
            return
        self._room.free += max_users - self._max_users
        self._max_users = max_users
        for name, blocks in streams.items():
            self._hand_outs[name].cursor.merge(blocks)
            self._hand_outs[name].arm()

    def go_on(self, streams: Mapping[str, Iterator[Block]], ends_s: float) -> None:
        """Adds arrivals behind the last one; the schedule now ends at `ends_s` from the start."""
        if self.stopped.is_set():
            return
        self.end_at(ends_s)
        for name, blocks in streams.items():
            self._hand_outs[name].cursor.append(blocks)
            self._hand_outs[name].arm()

    def cut(self, until_s: float) -> None:
        """Gives up the arrivals from an instant on, in seconds from the start; others will take their place."""
        for each in self._hand_outs.values():
            each.cursor.cut(until_s)

    def end_at(self, ends_s: float) -> None:
        """Moves the end of the schedule, in seconds from the start."""
        self.stop_s = self._started_s + ends_s

    @property
    def in_progress(self) -> int:
        """Users that take part."""
        return sum(each.growth.present for each in self._hand_outs.values())

    @property
    def backlog(self) -> int:
        """Arrivals that are due and that no user has taken, as far as the present blocks tell."""
        until_s = min(self._clock(), self.stop_s)
        return sum(each.cursor.count_due(until_s) for each in self._hand_outs.values())

    @property
    def offered(self) -> int:
        """Arrivals that were due so far."""
        return sum(each.cursor.taken for each in self._hand_outs.values()) + self.backlog

    @property
    def busy(self) -> int:
        """Users that hold a conversation."""
        return sum(each.busy for each in self._hand_outs.values())

    def stop(self) -> None:
        """Ends the handing out; parked users go home."""
        self.stop_s = min(self.stop_s, self._clock())
        self.stopped.set()
        for each in self._hand_outs.values():
            each.close()

    def settle(self) -> int:
        """Ends the handing out and returns how many arrivals were due and never sent."""
        unsent = sum(each.settle(self.stop_s) for each in self._hand_outs.values())
        self.stop()
        if self._beating is not None:
            self._beating.kill(block=False)
        return unsent

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
