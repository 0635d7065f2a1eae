"""Response times of simulated targets, many runs side by side: queues, pauses, correlated services, bursts of errors.

An arrival waits for the server that is free first (Kiefer and Wolfowitz, "On the theory of queues with many servers",
1955): with the times at which the servers become free, lowest first, it begins at max(arrival, lowest). All runs of a
case take a step of that recursion together, so that NumPy does the work of a loop over runs.
"""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Random = np.random.Generator

RATE = 500.0
"""Arrivals a second in every case."""

SETTLE_S = 30.0
"""Left out at the start: ten times the relaxation time of the slowest queue, 1/(cμ(1 − √ρ)²) = 3 s at 95 %."""


class Runs(msgspec.Struct, frozen=True):
    """Arrivals of several runs, a row each: seconds from the start at which they were due, ms to the answer."""

    due_s: Floats
    response_ms: Floats
    failed: Flags | None = None


class Case(msgspec.Struct, frozen=True):
    """A target: servers, how busy they are, how services are drawn (a mean of 1), and pauses of all servers."""

    name: str
    servers: int
    busy: float
    services: Callable[[Random, tuple[int, int]], Floats]
    pauses: Callable[[Random, Floats], Floats] | None = None


def exponential(random: Random, shape: tuple[int, int]) -> Floats:
    """Draws services of an exponential distribution."""
    return random.exponential(1.0, shape)


def constant(_random: Random, shape: tuple[int, int]) -> Floats:
    """Returns services that all take the same."""
    return np.ones(shape)


def lognormal(random: Random, shape: tuple[int, int]) -> Floats:
    """Draws log-normal services with σ = 1."""
    return random.lognormal(-0.5, 1.0, shape)


def correlated(phi: float) -> Callable[[Random, tuple[int, int]], Floats]:
    """Returns services whose logarithms are AR(1): each resembles the one before."""

    def draw(random: Random, shape: tuple[int, int]) -> Floats:
        runs, count = shape
        found, state = np.empty(shape), random.standard_normal(runs)
        noise = random.standard_normal((count, runs)) * math.sqrt(1 - phi * phi)
        for n in range(count):
            state = phi * state + noise[n]
            found[:, n] = state
        return np.asarray(np.exp(0.5 * found - 0.125))

    return draw


def random_pauses(every_s: float, for_s: float) -> Callable[[Random, Floats], Floats]:
    """Returns pauses of a fixed length that come at exponential distances."""
    return lambda random, arrivals: _paused(
        arrivals, for_s, lambda runs, count: random.exponential(every_s, (runs, count)), every_s
    )


def periodic_pauses(every_s: float, for_s: float) -> Callable[[Random, Floats], Floats]:
    """Returns pauses of a fixed length at a fixed distance; where the first is differs from run to run."""

    def distances(random: Random, runs: int, count: int) -> Floats:
        found = np.full((runs, count), every_s - for_s)
        found[:, 0] *= random.random(runs)
        return found

    return lambda random, arrivals: _paused(
        arrivals, for_s, lambda runs, count: distances(random, runs, count), every_s
    )


def _paused(arrivals: Floats, for_s: float, distances: Callable[[int, int], Floats], every_s: float) -> Floats:
    """Returns for each arrival how long the servers have rested before it: the clock of work is that much behind."""
    runs, count = len(arrivals), int(2 * arrivals.max() / every_s) + 20
    gaps = distances(runs, count)
    begins = np.cumsum(gaps + for_s, axis=1) - for_s
    rested = np.empty_like(arrivals)
    for row in range(runs):
        n = np.searchsorted(begins[row], arrivals[row], side="right")
        since = arrivals[row] - np.where(n > 0, begins[row][np.maximum(n - 1, 0)], -np.inf)
        rested[row] = np.maximum(n - 1, 0) * for_s + np.where(n > 0, np.minimum(since, for_s), 0.0)
    return rested


def erlang_ms(servers: int, busy: float, percent: float) -> float:
    """Returns a percentile of the response of M/M/c, by Erlang's wait and the service (Kleinrock 1975)."""
    load = servers * busy
    each = [load**n / math.factorial(n) for n in range(servers)]
    full = load**servers / math.factorial(servers) / (1 - busy)
    waits, spare = full / (sum(each) + full), servers - 1 - load
    low, high = 0.0, 1000.0  # in services
    while high - low > 1e-9:  # noqa: PLR2004 -- more digits than are shown
        middle = (low + high) / 2
        tail = math.exp(-middle) * (1 + waits * (1 - math.exp(-middle * spare)) / spare)
        low, high = (middle, high) if tail > 1 - percent / 100 else (low, middle)
    return 1000 * low * load / RATE


def simulate(case: Case, runs: int, duration_s: float, seed: int) -> Runs:
    """Returns so many runs of a stationary target, of so many seconds each.

    With pauses the queue lives in the clock of work, which stands while the servers rest: arrivals are mapped into it,
    and departures back.
    """
    random = np.random.default_rng(seed)
    count = math.ceil((SETTLE_S + duration_s) * RATE * 1.05) + 100
    arrivals = np.cumsum(random.exponential(1 / RATE, (runs, count)), axis=1)
    services = case.services(random, (runs, count)) * (case.busy * case.servers / RATE)
    if case.pauses is None:
        response_s = departures(arrivals, services, case.servers) - arrivals
    else:
        rested = case.pauses(random, arrivals)
        worked = arrivals - rested
        done = departures(worked, services, case.servers)
        response_s = np.stack([_back(arrivals[n], worked[n], done[n]) - arrivals[n] for n in range(runs)])
    return Runs(arrivals - SETTLE_S, 1000 * response_s)


def _back(arrivals: Floats, worked: Floats, done: Floats) -> Floats:
    """Maps instants of the clock of work back to the clock on the wall, by the arrivals around them."""
    n = np.searchsorted(worked, done, side="left")
    n = np.minimum(n, len(worked) - 1)
    return np.maximum(done + (arrivals[n] - worked[n]), done + (arrivals - worked))


def departures(arrivals: Floats, services: Floats, servers: int) -> Floats:
    """Returns when each arrival has been served, first come first served; a row a run."""
    if servers == 1:  # Lindley: each ends at the latest arrival before it and all services since
        done = np.cumsum(services, axis=1)
        return np.asarray(done + np.maximum.accumulate(arrivals - (done - services), axis=1))
    runs, count = arrivals.shape
    every = np.arange(runs)
    free_at = np.zeros((runs, servers))
    found = np.empty_like(arrivals)
    for begin in range(0, count, _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        # An arrival of all runs lies together in memory then.
        by_arrival, by_service = (np.ascontiguousarray(one[:, part].T) for one in (arrivals, services))
        for arrival, service in zip(by_arrival, by_service, strict=True):
            first = free_at.argmin(axis=1)
            arrival[:] = np.maximum(free_at[every, first], arrival) + service
            free_at[every, first] = arrival
        found[:, part] = by_arrival.T
    return found


_AT_ONCE = 2000


def bursts(
    runs: int, duration_s: float, seed: int, every_s: float = 30.0, for_s: float = 1.0, share: float = 0.3
) -> Runs:
    """Returns runs whose errors come in bursts: for a second each so many seconds, a share of all arrivals fails."""
    random = np.random.default_rng(seed)
    count = math.ceil(duration_s * RATE * 1.05) + 100
    due_s = np.cumsum(random.exponential(1 / RATE, (runs, count)), axis=1)
    phase = random.random((runs, 1)) * every_s
    failed = ((due_s + phase) % every_s < for_s) & (random.random((runs, count)) < share)
    return Runs(due_s, np.ones_like(due_s), failed)
