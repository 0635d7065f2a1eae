"""A station of C servers and one queue, first come first served, kept in virtual time.

Instants are passed in, and every departure happens at its computed instant however late the station is called to go on:
a timer that wakes late makes one answer late and delays nobody behind it.

Two clocks lie under it, so that slowness never has to be dealt out request by request:

- *running time* stands still in a stall. Arrivals are put into it and departures out of it, so a stall shifts all
  departures by its length.
- *work* advances in running time at a common speed that depends on how many are served (contention, coherency) and on
  how many wait (degradation). A request that starts at work w and needs s leaves at work w + s. As the speed is common
  to all, the order of departures is fixed at the start, and only the next one is ever computed.

With n in service each proceeds at the speed 1 / (1 + σ(n−1) + κn(n−1)). N users who never think keep n = N where there
are as many servers, so their throughput is N / (E[S]·(1 + σ(N−1) + κN(N−1))): Gunther's Universal Scalability Law,
exactly, whatever the distribution.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from convload.plan.durations import parse_duration_s
from convload.plan.mock_behaviour import UNLIMITED, Behaviour
from convload.timerfd import TimerFd


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a station; times in seconds. `queue` is None where any number may wait."""

    servers: int
    queue: int | None = None
    sigma: float = 0.0
    kappa: float = 0.0
    degrade: float = 0.0
    degrade_cap: float = 10.0
    stall_every_s: float = 0.0
    stall_for_s: float = 0.0
    slow_start_idle_s: float = 0.0
    slow_start_for_s: float = 0.0
    slow_start_factor: float = 1.0

    def slowdown(self, serving: int, waiting: int) -> float:
        """Returns by how much longer services take with so many in service and so many waiting."""
        contended = 1 + (serving - 1) * (self.sigma + self.kappa * serving) if serving else 1.0
        return contended * min(1 + self.degrade * waiting / self.servers, max(self.degrade_cap, 1.0))

    def running_share(self) -> float:
        """Returns the share of time outside stalls."""
        return 1 - self.stall_for_s / self.stall_every_s if self.stall_every_s else 1.0


def station_of(behaviour: Behaviour) -> Station:
    """Returns the station that the settings describe."""
    return Station(
        servers=behaviour.servers,
        queue=None if behaviour.queue == UNLIMITED else behaviour.queue,
        sigma=behaviour.usl_sigma,
        kappa=behaviour.usl_kappa,
        degrade=behaviour.degrade,
        degrade_cap=behaviour.degrade_cap,
        stall_every_s=parse_duration_s(behaviour.stall_every),
        stall_for_s=parse_duration_s(behaviour.stall_for),
        slow_start_idle_s=parse_duration_s(behaviour.slow_start_idle),
        slow_start_for_s=parse_duration_s(behaviour.slow_start_for),
        slow_start_factor=behaviour.slow_start_factor,
    )


def _unheard() -> None:
    """Stands where nobody waits for a departure."""


class Visit(msgspec.Struct, eq=False):
    """One request at the station. `started_s` and `done_s` are NaN until then; `on_done` is called at its departure."""

    arrived_s: float
    service_s: float
    started_s: float = math.nan
    done_s: float = math.nan
    on_done: Callable[[], None] = _unheard


class Counts(msgspec.Struct):
    """What a station has done: the requests in it now, the most at once, and sums over those that have left."""

    in_service: int = 0
    queued: int = 0
    in_service_max: int = 0
    queued_max: int = 0
    served: int = 0
    shed: int = 0
    waited_s: float = 0.0
    in_service_s: float = 0.0


class WaitingLine:
    """The station at work.

    A visit that has been taken in stays to its end: a server seldom notices that a client has hung up, so its place
    in the queue and its service time are spent all the same. Stalls are counted from `origin_s`.
    """

    def __init__(self, station: Station, origin_s: float) -> None:
        self._station = station
        self._origin_s = origin_s
        self.counts = Counts()
        self._steady = not (station.sigma or station.kappa or station.degrade)
        self._queue: deque[Visit] = deque()
        self._serving: list[tuple[float, int, Visit]] = []
        self._started = 0
        self._now_run_s = self._work_s = 0.0
        self._speed = 1.0
        self._awake_s = self._last_s = -math.inf
        self._room = math.inf if station.queue is None else station.queue

    def arrive(self, now_s: float, service_s: float) -> Visit | None:
        """Takes in a request, or returns None and counts it as shed where all servers and places are taken."""
        self.advance(now_s)
        busy = len(self._serving) >= self._station.servers
        if busy and len(self._queue) >= self._room:
            self.counts.shed += 1
            return None
        self._wake(now_s)
        visit = Visit(now_s, service_s)
        if busy:
            self._queue.append(visit)
        else:
            self._start(visit)
        self._changed()
        return visit

    def advance(self, now_s: float) -> None:
        """Lets every departure up to an instant happen, in order, and calls `on_done` of each."""
        until_run_s = self._running(now_s)
        serving = self._serving
        while serving and self._next_run_s() <= until_run_s:
            self._now_run_s = self._next_run_s()
            self._work_s, _, visit = heappop(serving)
            if self._queue:
                self._start(self._queue.popleft())
            self._leave(visit)
            self._changed()
            visit.on_done()
        if until_run_s > self._now_run_s:
            self._work_s += (until_run_s - self._now_run_s) * self._speed
            self._now_run_s = until_run_s

    @property
    def next_due_s(self) -> float:
        """The next departure, if nothing arrives before it; infinite where nobody is served."""
        return self._wall(self._next_run_s()) if self._serving else math.inf

    def _next_run_s(self) -> float:
        return self._now_run_s + max(self._serving[0][0] - self._work_s, 0.0) / self._speed

    def _start(self, visit: Visit) -> None:
        visit.started_s = max(self._wall(self._now_run_s), visit.arrived_s)
        needed_s = visit.service_s * self._warmth(visit.started_s)
        self._started += 1  # decides between two that leave at the same instant
        heappush(self._serving, (self._work_s + needed_s, self._started, visit))

    def _leave(self, visit: Visit) -> None:
        counts = self.counts
        visit.done_s = self._last_s = self._wall(self._now_run_s)
        counts.served += 1
        counts.waited_s += visit.started_s - visit.arrived_s
        counts.in_service_s += visit.done_s - visit.started_s

    def _changed(self) -> None:
        counts, serving, waiting = self.counts, len(self._serving), len(self._queue)
        counts.in_service, counts.queued = serving, waiting
        counts.in_service_max = max(counts.in_service_max, serving)
        counts.queued_max = max(counts.queued_max, waiting)
        if not self._steady:
            self._speed = 1 / self._station.slowdown(serving, waiting)

    # Slow start

    def _wake(self, now_s: float) -> None:
        """Begins the slow start with the first request after an idle time, and with the very first."""
        if not self._serving and now_s - self._last_s >= self._station.slow_start_idle_s:
            self._awake_s = now_s

    def _warmth(self, start_s: float) -> float:
        station = self._station
        if station.slow_start_factor == 1 or not station.slow_start_for_s:
            return 1.0
        left = max(1 - (start_s - self._awake_s) / station.slow_start_for_s, 0.0)
        return 1 + (station.slow_start_factor - 1) * left

    # Stalls: each period runs first and stands still at its end

    def _running(self, now_s: float) -> float:
        since_s, every_s = now_s - self._origin_s, self._station.stall_every_s
        if not every_s:
            return since_s
        run_s = every_s - self._station.stall_for_s
        periods, within_s = divmod(since_s, every_s)
        return periods * run_s + min(within_s, run_s)

    def _wall(self, run_s: float) -> float:
        every_s = self._station.stall_every_s
        if not every_s:
            return self._origin_s + run_s
        periods, within_s = divmod(run_s, every_s - self._station.stall_for_s)
        return self._origin_s + periods * every_s + within_s


class Timekeeper:
    """Lets requests into a line now, and wakes it when the next one is due to leave.

    The line goes by the clock of `time.monotonic`. The loop's own timers count whole milliseconds, too coarse for waits
    of a few; they serve where the kernel has no timerfd, or it must not be used.
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
