"""Targets in virtual time for the capacity search: queues computed arrival by arrival, and judged as a run would be.

Waiting times are those of Kiefer and Wolfowitz ("On the theory of queues with many servers", 1955): an arrival is
served by the server that is free first. The state carries over from trial to trial, so that a backlog stays until it is
worked off.
"""

import heapq
import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt
from bench.shapes import Drift, Pauses, Scaling, Sharing, Steady, WorkClock
from scipy.stats import binom

from convload.capacity.objective import growth, overloaded
from convload.judging.estimates import share_bounds
from convload.results.capacity_result import Outcome, Trial

Floats = npt.NDArray[np.float64]

SETTLE_SHARE = 0.2
OVERHEAD_S = 0.5
"""What starting and ending a trial takes."""

_P99 = 0.99
_GATE_CONFIDENCE = 0.95
PAUSE_S, LATE_S = 0.5, 1.0
HORIZON_S = 2_000.0
SCALES_AT = 0.8


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A target: `capacity_per_s` is C·μ. `queue` is how many may wait, None for any number; others are shed.

    What makes it none of queueing theory: `pause_share` of trials meet a pause of all servers; a service takes
    twice as long after a wait of `slower_after_s`; no more than `quota_per_s` are taken in; trials above
    `late_above_per_s` get each answer a second late. The rates that it is offered are off by `rate_error`, relative.
    A quota allows a burst of `burst_s` of its rate. All servers stand for `pause_s` every `pause_every_s`; they are
    faster and slower by `drift` within `drift_period_s`; they are `scales_by` times as fast after `scales_after_s` at
    four fifths of what they can do, or more; all requests share them; or none waits, and each takes longer the more
    there are (`smooth`).
    """

    capacity_per_s: float
    servers: int = 4
    service_cv: float = 1.0
    queue: int | None = None
    breaks_at_backlog: int | None = None
    ceiling_per_s: float = math.inf
    pause_share: float = 0.0
    slower_after_s: float = math.inf
    quota_per_s: float = math.inf
    late_above_per_s: float = math.inf
    rate_error: float = 0.0
    burst_s: float = 0.1
    pause_every_s: float = math.inf
    pause_s: float = 0.2
    drift: float = 0.0
    drift_period_s: float = 120.0
    scales_after_s: float = math.inf
    scales_by: float = 2.0
    shares: bool = False
    smooth: bool = False

    def clock(self, random: np.random.Generator) -> WorkClock:
        """Returns what its capacity does with time, from an instant that differs from search to search."""
        if self.pause_every_s < math.inf:
            return Pauses(self.pause_every_s, self.pause_s, self.pause_every_s * random.random())
        if self.drift:
            return Drift(self.drift, self.drift_period_s, self.drift_period_s * random.random(), HORIZON_S)
        return Scaling(self.scales_by) if self.scales_after_s < math.inf else Steady()


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold: a percentile of the response, the share of errors, and always a backlog that does not grow."""

    p99_ms: float | None = None
    errors: float | None = 0.01

    @property
    def decay_per_s(self) -> float:
        """How fast the tail of the response must fall."""
        return -math.log(1 - _P99) * 1000 / self.p99_ms if self.p99_ms else 0.0


class SimulatedTarget:
    """A measurer whose clock is its own."""

    def __init__(self, server: Server, objective: Objective, seed: int, *, arrivals: str = "poisson") -> None:
        self.server, self.objective, self.arrivals = server, objective, arrivals
        self._random = np.random.default_rng(seed)
        self._now_s = 0.0
        self._free = [0.0] * server.servers
        self._waiting: list[float] = []
        self._broken = False
        self.highest = 0.0
        self._work = server.clock(self._random)
        self._sharing = Sharing(server.servers)
        self._busy_s = 0.0
        self._left, self._last = server.burst_s * server.quota_per_s, 0.0

    def clock(self) -> float:
        """Returns the virtual time."""
        return self._now_s

    def cool_down(self, at_most_s: float) -> bool:
        """Lets the backlog drain; a broken target never gets back."""
        left_s = self._free_s() - self._now_s
        self._now_s += min(max(left_s, 0.0) + OVERHEAD_S, at_most_s)
        return not self._broken and left_s <= at_most_s

    def _free_s(self) -> float:
        work_s = self._sharing.free_s if self.server.shares else max(self._free)
        return float(self._work.wall(np.array([work_s]))[0])

    def _scale(self, rate: float, duration_s: float) -> None:
        """Scales up once, when the load has been high for long enough."""
        if isinstance(self._work, Scaling) and math.isinf(self._work.from_s):
            self._busy_s = self._busy_s + duration_s if rate >= SCALES_AT * self.server.capacity_per_s else 0.0
            if self._busy_s >= self.server.scales_after_s:
                self._work.from_s = self._now_s + duration_s - (self._busy_s - self.server.scales_after_s)

    def trial(self, rate: float, duration_s: float) -> Trial:
        """Offers the rate and judges what came of it."""
        began_s = self._now_s
        exact = rate * (1 + self._random.normal(0, self.server.rate_error)) if self.server.rate_error else rate
        offered = min(exact, self.server.ceiling_per_s)
        self.highest = max(self.highest, offered)
        self._scale(rate, duration_s)
        due = began_s + self._due(offered, duration_s)
        if self.server.pause_share and self._random.random() < self.server.pause_share:
            self._free = [max(free, began_s + duration_s / 2 + PAUSE_S) for free in self._free]
        done = self._serve(due) + (LATE_S if rate > self.server.late_above_per_s else 0.0)
        self._now_s = began_s + duration_s + OVERHEAD_S
        if self.server.ceiling_per_s < rate:
            return Trial(rate=rate, duration_s=duration_s, outcome="generator", achieved_per_s=offered, at_s=began_s)
        return self._judge(rate, began_s, duration_s, due, done)

    def _due(self, rate: float, duration_s: float) -> Floats:
        if self.arrivals == "even":
            return np.arange(0, duration_s, 1 / rate)
        times = np.cumsum(self._random.exponential(1 / rate, int(rate * duration_s * 1.2) + 50))
        return times[times < duration_s]

    def _services(self, count: int) -> Floats:
        mean, cv = self.server.servers / self.server.capacity_per_s, self.server.service_cv
        if cv == 0:
            return np.full(count, mean)
        if cv == 1:
            return self._random.exponential(mean, count)
        sigma2 = math.log(1 + cv * cv)
        return self._random.lognormal(math.log(mean) - sigma2 / 2, math.sqrt(sigma2), count)

    def _serve(self, due: Floats) -> Floats:
        """Returns when each was done; never (nan) for those shed."""
        services = self._services(len(due)).tolist()
        if self.server.smooth:
            growth = 1 + (len(due) / (due[-1] - due[0]) / self.server.capacity_per_s) ** 2
            return np.asarray(due + np.array(services) * growth)
        worked = self._work.work(due)
        if self.server.shares:
            return self._work.wall(np.array(self._sharing.serve(worked.tolist(), services)))
        return self._work.wall(self._queued(worked, self._within_quota(due), services))

    def _queued(self, due: Floats, taken: list[bool], services: list[float]) -> Floats:
        """Returns when each was done by the server that was free first."""
        free, room, broken_at = self._free, self.server.queue, self.server.breaks_at_backlog
        dones, begun = [], self._waiting
        for at, service, is_taken in zip(due.tolist(), services, taken, strict=True):
            if not is_taken or (room is not None and len(begun) >= room and begun[-room] > at):
                dones.append(math.nan)
                continue
            start = max(at, free[0])
            if broken_at is not None and (start - at) * self.server.capacity_per_s > broken_at:
                self._broken = True
            slower = 20 if self._broken else 2 if start - at > self.server.slower_after_s else 1
            done = start + service * slower
            heapq.heapreplace(free, done)
            begun.append(start)
            dones.append(done)
        self._waiting = begun[-(room or 1) :]
        return np.array(dones)

    def _within_quota(self, due: Floats) -> list[bool]:
        """Returns which arrivals a bucket that fills with the quota has room for."""
        quota = self.server.quota_per_s
        if math.isinf(quota) or not len(due):
            return [True] * len(due)
        left, last, taken = self._left, self._last, []
        for at in due.tolist():
            left, last = min(self.server.burst_s * quota, left + (at - last) * quota), at
            taken.append(left >= 1)
            left -= taken[-1]
        self._left, self._last = left, last
        return taken

    def _judge(self, rate: float, began_s: float, duration_s: float, due: Floats, done: Floats) -> Trial:
        from_s, to_s = began_s + SETTLE_SHARE * duration_s, began_s + duration_s
        counted, shed_all = due >= from_s, np.isnan(done)
        response_ms = 1000 * (done - due)[counted]
        shed = np.isnan(response_ms)
        taken = response_ms[~shed]
        outcomes: list[tuple[str, Outcome, float]] = []
        if self.objective.p99_ms is not None:
            outcomes.append(("p99", *_percentile(np.sort(taken), self.objective.p99_ms)))
        if self.objective.errors is not None:
            outcomes.append(("errors", *_errors(int(shed.sum()), len(shed), self.objective.errors)))
        counts = self._in_flight(due[~shed_all], done[~shed_all], from_s, to_s)
        grown = growth(counts, rate * (to_s - from_s))
        growing = grown.growing
        if not growing and grown.strain > 1:
            outcomes.append(("growth", "undecided", grown.strain))
        verdicts = [outcome for _, outcome, _ in outcomes]
        verdict: Outcome = "fail" if "fail" in verdicts else "undecided" if "undecided" in verdicts else "pass"
        answered = (done > from_s) & (done <= to_s)
        by_second = np.histogram(done[answered], np.arange(from_s, to_s + 1e-9))[0]
        return Trial(
            rate=rate,
            duration_s=duration_s,
            outcome=verdict,
            broke=[name for name, outcome, _ in outcomes if outcome == "fail"],
            strain=max((strain for _, _, strain in outcomes), default=None),
            growing=growing,
            arrived_per_s=len(shed) / (to_s - from_s),
            achieved_per_s=len(taken) / (to_s - from_s),
            goodput_per_s=float(answered.sum()) / (to_s - from_s),
            response_p50_ms=float(np.percentile(taken, 50)) if len(taken) else None,
            response_p99_ms=float(np.percentile(taken, 99)) if len(taken) else None,
            response_mean_ms=float(taken.mean()) if len(taken) else None,
            in_flight_mean=float(taken.sum()) / 1000 / (to_s - from_s),
            error_share=float(shed.mean()) if len(shed) else None,
            mostly_failed_by=("http_503" if math.isinf(self.server.quota_per_s) else "rate_limited") * bool(shed.any()),
            overloaded=overloaded(
                [float(count) for count in by_second],
                len(shed) / (to_s - from_s),
                self.objective.errors or 0.0,
                float(shed.mean()) if len(shed) else 0.0,
                float(np.median(taken)) / 1000 if len(taken) else 0.0,
            ),
            at_s=began_s,
        )

    @staticmethod
    def _in_flight(due: Floats, done: Floats, from_s: float, to_s: float) -> list[float]:
        """Returns how many were in flight, at even distances."""
        at = np.linspace(from_s, to_s, 41)
        counts = np.searchsorted(np.sort(due), at) - np.searchsorted(np.sort(done), at)
        return [float(count) for count in counts]


def _percentile(values: Floats, limit_ms: float, share: float = _P99) -> tuple[Outcome, float]:
    count = len(values)
    if count <= 1:
        return "undecided", 1.0
    low = int(binom.ppf((1 - _GATE_CONFIDENCE) / 2, count, share)) - 1
    high = int(binom.ppf((1 + _GATE_CONFIDENCE) / 2, count, share))
    point = float(values[min(count - 1, math.ceil(share * count) - 1)])
    if values[max(0, low)] > limit_ms:
        return "fail", point / limit_ms
    if high < count and values[high] <= limit_ms:
        return "pass", point / limit_ms
    return "undecided", point / limit_ms


def _errors(failed: int, count: int, limit: float) -> tuple[Outcome, float]:
    if not count:
        return "undecided", 1.0
    low, high = share_bounds(failed, count, (1 + _GATE_CONFIDENCE) / 2)
    strain = failed / count / limit
    return ("fail" if low > limit else "pass" if high <= limit else "undecided"), strain


def true_p99_rate(capacity_per_s: float, servers: int, limit_ms: float) -> float:
    """Returns the rate at which the p99 response of an M/M/c queue is the limit (Erlang C; Kleinrock vol. 1, §3.5)."""

    def late(rate: float) -> float:
        return beyond(rate, capacity_per_s, servers, limit_ms / 1000) - 0.01

    return _root(late, 1e-6 * capacity_per_s, capacity_per_s * (1 - 1e-9))


def beyond(rate: float, capacity_per_s: float, servers: int, t_s: float) -> float:
    """Returns the share of M/M/c responses that take longer than t: P(W + S > t)."""
    mu = capacity_per_s / servers
    wait = erlang_c(rate / mu, servers)
    slack = capacity_per_s - rate
    if abs(slack - mu) < 1e-9 * mu:
        return math.exp(-mu * t_s) * (1 + wait * mu * t_s)
    return math.exp(-mu * t_s) + wait * mu / (slack - mu) * (math.exp(-mu * t_s) - math.exp(-slack * t_s))


def erlang_c(offered: float, servers: int) -> float:
    """Returns the share of arrivals that wait (offered load in erlangs, below the number of servers)."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def true_loss_rate(capacity_per_s: float, servers: int, queue: int, share: float) -> float:
    """Returns the rate at which an M/M/c/K queue sheds this share."""

    def loss(rate: float) -> float:
        a, blocked = rate * servers / capacity_per_s, 1.0
        for n in range(1, servers + queue + 1):
            served = min(n, servers)
            blocked = a * blocked / (served + a * blocked)
        return blocked - share

    return _root(loss, 1e-6 * capacity_per_s, 3 * capacity_per_s)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2
