"""What queueing theory says of C servers under Poisson arrivals: exact where there is a closed form, else approximate.

Symbols: λ arrivals per second, μ services per second of one server, a = λ/μ the offered load in erlangs, ρ = a/C.

Sources: Erlang (1917) for B and C by their usual recursions; M/M/c and M/M/c/K as in Gross and Harris, "Fundamentals
of Queueing Theory", §2.3–2.5; birth-and-death chains §2.1; Allen, "Probability, Statistics and Queueing Theory" (1990),
for the mean wait of M/G/c after Allen and Cunneen.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Tail = Callable[[float], float]
"""Returns the share of requests that take longer than some seconds."""

NEGLIGIBLE = 1e-14
MAX_STATES = 200_000


def erlang_b(servers: int, erlangs: float) -> float:
    """Returns the share that is lost where nobody may wait (M/G/c/c, for any service time)."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = erlangs * blocked / (n + erlangs * blocked)
    return blocked


def erlang_c(servers: int, erlangs: float) -> float:
    """Returns the share that must wait in M/M/c; 1 where the load is not less than the servers."""
    if erlangs >= servers:
        return 1.0
    blocked = erlang_b(servers, erlangs)
    return servers * blocked / (servers - erlangs * (1 - blocked))


def pollaczek_khinchine_s(rate: float, mean_s: float, scv: float) -> float:
    """Returns the mean wait of M/G/1, exactly; infinite at a load of 1 and more."""
    load = rate * mean_s
    return load * mean_s * (1 + scv) / (2 * (1 - load)) if load < 1 else math.inf


def allen_cunneen_s(servers: int, rate: float, mean_s: float, scv: float) -> float:
    """Returns the mean wait of M/G/c, approximately: that of M/M/c times (1 + scv)/2; exact for c = 1 and for M/M/c."""
    spare = servers / mean_s - rate
    return erlang_c(servers, rate * mean_s) / spare * (1 + scv) / 2 if spare > 0 else math.inf


class MMc(msgspec.Struct, frozen=True):
    """M/M/c with `room` to wait (None: any number), at `rate` arrivals per second and a mean service of `mean_s`.

    Without bound the rate must be below `servers / mean_s`.
    """

    servers: int
    room: int | None
    rate: float
    mean_s: float

    @property
    def erlangs(self) -> float:
        """The offered load."""
        return self.rate * self.mean_s

    def shed_share(self) -> float:
        """Returns the share of arrivals that find every place taken."""
        if self.room is None:
            return 0.0
        weights, total = self._weights(self.room)
        return float(weights[-1]) / total

    def wait_probability(self) -> float:
        """Returns the share that must wait, of those that are let in."""
        return erlang_c(self.servers, self.erlangs) if self.room is None else float(self._places(self.room).sum())

    def mean_wait_s(self) -> float:
        """Returns the mean wait of those that are let in."""
        if self.room is None:
            return allen_cunneen_s(self.servers, self.rate, self.mean_s, 1.0)
        places = self._places(self.room)
        return float(places @ np.arange(1, len(places) + 1)) * self.mean_s / self.servers

    def wait_tail(self) -> Tail:
        """Returns how many wait longer, of those that are let in."""
        drain = self.servers / self.mean_s
        if self.room is None:
            must_wait = self.wait_probability()
            return lambda t: must_wait * math.exp(-(drain - self.rate) * t)
        places = self._places(self.room)
        return lambda t: _mixed_erlang_tail(places, drain * t)

    def response_tail(self) -> Tail:
        """Returns how many take longer in wait and service together; of M/M/c without bound only.

        The wait is 0 or exponential with the spare rate, and the service exponential: a sum with a closed form.
        """
        mu, spare = 1 / self.mean_s, self.servers / self.mean_s - self.rate
        must_wait = self.wait_probability()

        def tail(t: float) -> float:
            apart = spare - mu
            grown = mu * t if abs(apart) < mu * 1e-9 else -math.expm1(-apart * t) * mu / apart
            return math.exp(-mu * t) * (1 + must_wait * grown)

        return tail

    def _places(self, room: int) -> Array:
        """Returns, of those that are let in, the share that waits for k + 1 departures, for k = 0, 1, … room - 1."""
        weights, total = self._weights(room)
        return np.asarray(weights[:-1] / (total - weights[-1]))

    def _weights(self, room: int) -> tuple[Array, float]:
        """Returns weights of C, C + 1, … C + room requests in the system, and the weight of all states."""
        load = self.erlangs / self.servers
        blocked = erlang_b(self.servers, self.erlangs)
        # Counted from the likelier end, so that neither a long queue nor a high load overflows.
        offset = room if load > 1 else 0
        weights = blocked * np.exp((np.arange(room + 1) - offset) * math.log(load))
        return weights, float(weights.sum()) + (1 - blocked) * math.exp(-offset * math.log(load))


def _mixed_erlang_tail(places: Array, events: float) -> float:
    """Returns Σ places[k]·P(at most k of a Poisson number with mean `events`), over the places that count."""
    likely = np.flatnonzero(places > NEGLIGIBLE)
    if not len(likely):
        return 0.0
    last = int(likely[-1])
    if events <= 0:
        return float(places.sum())
    logs = np.arange(last + 1) * math.log(events) - events - _log_factorials(last)
    return float(places[: last + 1] @ np.minimum(np.cumsum(np.exp(logs)), 1.0))


@lru_cache(8)
def _log_factorials(last: int) -> Array:
    return np.array([math.lgamma(k + 1) for k in range(last + 1)])


class Chain(msgspec.Struct, frozen=True):
    """The stationary state of a birth-and-death chain: means over arrivals that are let in."""

    wait_probability: float
    shed_share: float
    mean_wait_s: float
    mean_response_s: float


def birth_and_death(rate: float, servers: int, room: int | None, drain: Callable[[int], float]) -> Chain | None:
    """Solves a station whose rate of departures is `drain(n)` with n in the system; None where it grows for ever.

    Exact for exponential services; the means follow from the number in the system by Little's law.
    """
    logs = _log_weights(rate, servers, room, drain)
    if logs is None:
        return None
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    numbers = np.arange(len(weights))
    shed = float(weights[-1]) if room is not None else 0.0
    through = rate * (1 - shed)
    inside = float(numbers @ weights)
    waiting = float(np.maximum(numbers - servers, 0) @ weights)
    must_wait = (float(weights[servers:].sum()) - shed) / (1 - shed)
    return Chain(must_wait, shed, waiting / through, inside / through)


def _log_weights(rate: float, servers: int, room: int | None, drain: Callable[[int], float]) -> Array | None:
    """Returns the logarithms of the states' weights up to the last state, or to where they no longer count."""
    logs, top = [0.0], 0.0
    for n in range(1, servers + (MAX_STATES if room is None else room) + 1):
        logs.append(logs[-1] + math.log(rate / drain(n)))
        top = max(top, logs[-1])
        if room is None and n > servers and logs[-1] < min(top + math.log(NEGLIGIBLE), logs[-2]):
            return np.array(logs)
    return None if room is None else np.array(logs)


def quantile_s(tail: Tail, share: float) -> float:
    """Returns the time that a share of all requests does not exceed, by bisection on a tail that falls to 0."""
    above = 1 - share
    if tail(0.0) <= above:
        return 0.0
    high = 1e-6
    while tail(high) > above:
        high *= 2
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > above else (low, middle)
    return high
