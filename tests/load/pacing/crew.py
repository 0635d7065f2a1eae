"""The open model's pacing with real greenlets, in a time that passes when the test says so."""

import heapq
import math
from collections.abc import Callable, Iterator

import gevent
import numpy as np
from gevent import get_hub
from gevent.event import Event

from convload.load.pacing.arrivals import Block
from convload.load.pacing.open import OpenPacing
from convload.load.pacing.timer import Timer

DEADLINE_S = 5.0
ENOUGH_TURNS = 5


def block(times: list[float], variants: list[str] | None = None) -> Block:
    return Block(np.array(times, dtype=float), np.array(variants or [""] * len(times), dtype=object))


def blocks(*parts: list[float]) -> Iterator[Block]:
    return iter([block(part) for part in parts])


class VirtualTimer(Timer):
    """Calls when a virtual time has come."""

    def __init__(self, on_due: Callable[[], None], precise: bool) -> None:
        self.on_due = on_due
        self.due_s = math.inf
        self.precise = precise
        self.settings = 0

    def arm(self, due_s: float) -> None:
        self.due_s = due_s
        self.settings += 1

    def close(self) -> None:
        self.arm = self._refuse  # type: ignore[method-assign]  # nothing may be armed any more

    def _refuse(self, due_s: float) -> None:
        raise AssertionError(f"armed for {due_s} after its end")


class VirtualTime:
    """A clock, the timers of which call and the sleepers of which wake in order, as far as time is let pass."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.precise = True
        self._timers: list[VirtualTimer] = []
        self._sleepers: list[tuple[float, int, Event]] = []

    def clock(self) -> float:
        return self.now_s

    def timer(self, on_due: Callable[[], None]) -> VirtualTimer:
        self._timers.append(VirtualTimer(on_due, self.precise))
        return self._timers[-1]

    @property
    def settings(self) -> int:
        """How often timers were set."""
        return sum(timer.settings for timer in self._timers)

    def sleep(self, seconds: float) -> None:
        woken = Event()
        heapq.heappush(self._sleepers, (self.now_s + seconds, len(self._sleepers), woken))
        woken.wait()

    def pass_to(self, at_s: float) -> None:
        """Lets time pass from event to event; everybody who can run does so at each."""
        self.run()
        while (next_s := self._next_s()) <= at_s:
            self.now_s = max(self.now_s, next_s)
            self.run()
        self.now_s = at_s

    def run(self) -> None:
        """Calls what is due and lets everybody run until they wait."""
        for _ in range(ENOUGH_TURNS):
            while self._sleepers and self._sleepers[0][0] <= self.now_s:
                heapq.heappop(self._sleepers)[2].set()
            for timer in self._timers:
                if timer.due_s <= self.now_s:
                    timer.due_s = math.inf
                    get_hub().loop.run_callback(timer.on_due)
            gevent.sleep(0)

    def _next_s(self) -> float:
        sleepers = [self._sleepers[0][0]] if self._sleepers else []
        return min([*sleepers, *(timer.due_s for timer in self._timers)], default=math.inf)


class Crew:
    """Users of some classes that take arrivals and hold each for a while; times count from the start."""

    def __init__(self, max_users: int = 50, **hold_s: float) -> None:
        self.time = VirtualTime()
        self.hold_s = hold_s or {"only": 0.0}
        self.max_users = max_users
        self.taken: list[tuple[int, float, float]] = []
        self.variants: list[str] = []
        self.users: list[gevent.Greenlet] = []
        self.grown: list[str] = []
        self.leaves_after_one = False

    def begin(self, ends_s: float, users: int, **arrivals: Iterator[Block]) -> None:
        self.pacing = OpenPacing(arrivals, ends_s, self.max_users, self.grow, self.time.clock, self.time.timer)
        for name in arrivals:
            self.add(name, users)
        gevent.sleep(0)
        self.started_s = self.time.now_s
        self.pacing.start(self.started_s)
        self.time.run()

    def pass_to(self, at_s: float) -> None:
        self.time.pass_to(self.started_s + at_s)

    def stand_still_until(self, at_s: float) -> None:
        self.time.now_s = self.started_s + at_s
        self.time.run()

    def grow(self, name: str, count: int) -> None:
        self.grown += [name] * count
        self.add(name, count)

    def add(self, name: str, count: int) -> None:
        self.users += [gevent.spawn(self.work, name, len(self.users) + number) for number in range(count)]

    def work(self, name: str, number: int) -> None:
        starts = self.pacing.of_class(name)
        with starts.taking_part():
            while (due_s := starts.take()) is not None:
                self.taken.append((number, round(due_s - self.started_s, 6), round(self.time.now_s - due_s, 6)))
                self.variants.append(starts.variant)
                if self.hold_s[name]:
                    self.time.sleep(self.hold_s[name])
                if self.leaves_after_one:
                    return

    def due(self) -> list[float]:
        return [due_s for _, due_s, _ in self.taken]

    def waits(self) -> list[float]:
        return [wait_s for _, _, wait_s in self.taken]

    def end(self) -> int:
        """Ends the pacing and returns what was never sent; every user goes home."""
        unsent = self.pacing.settle()
        gevent.sleep(0)
        gevent.killall(self.users, timeout=DEADLINE_S)
        return unsent
