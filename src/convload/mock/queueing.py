"""What queueing theory says of C servers under Poisson arrivals: exact where there is a closed form, else approximate.

Symbols: λ arrivals per second, μ services per second of one server, a = λ/μ the offered load in erlangs, ρ = a/C.

Sources: Erlang (1917) for B and C by their usual recursions; M/M/c and M/M/c/K as in Gross and Harris, "Fundamentals
of Queueing Theory", §2.3–2.5; birth-and-death chains §2.1.

What has no closed form is reckoned on a grid of times by fast Fourier transform, which rounds times to its step, so
that percentiles are good to about half a step. The wait of M/G/1 is a geometric number of residual services (the
Pollaczek–Khinchine formula read as a series, Beneš 1957), so its transform is (1 − ρ)/(1 − ρφ) with φ that of the
residual service. A response is the wait plus an independent service.
"""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from convload.plan.service_times import ServiceTime

Array = npt.NDArray[np.float64]
Tail = Callable[[float], float]
"""Returns the share of requests that take longer than some seconds."""

NEGLIGIBLE = 1e-14
MAX_STATES = 200_000

POINTS = 16_384
SPARSE = 16
NEARLY_ALL = 1 - 1e-6
COARSEST = 0.02
"""The longest step that still says something, as a share of the median response."""

MEANS_OF_A_WAIT = 25.0
"""How far the grid reaches, in mean waits of those that wait: exp(-25) of an exponential tail lies beyond."""


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """What those that are let in wait; `shed_share` is of all. `tail` is None where only means are known."""

    probability: float
    mean_s: float
    in_service_s: float
    shed_share: float = 0.0
    tail: Tail | None = None


# Closed forms


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


def mmc(servers: int, room: int | None, rate: float, mean_s: float) -> Waits:
    """Returns the waits of M/M/c with `room` to wait (None: any number, and then the rate is below c/mean_s)."""
    drain = servers / mean_s
    if room is None:
        must_wait, spare = erlang_c(servers, rate * mean_s), drain - rate
        return Waits(
            probability=must_wait,
            mean_s=must_wait / spare,
            in_service_s=mean_s,
            tail=lambda t: must_wait * math.exp(-spare * t),
        )
    states = stationary_states(rate, servers, room, lambda n: min(n, servers) / mean_s)
    assert states is not None  # noqa: S101 -- as many as there is room for
    # Of those that are let in, the share that waits for k + 1 departures or more, for k = 0, 1, … room - 1.
    departures = np.cumsum((states[servers:-1] / (1 - states[-1]))[::-1])[::-1]
    return msgspec.structs.replace(waits_in(states, rate, servers, room), tail=_erlang_tail(departures, drain))


def mmc_response(servers: int, rate: float, mean_s: float) -> Tail:
    """Returns how many take longer in wait and service together, in M/M/c without bound.

    The wait is 0 or exponential with the spare rate, and the service exponential: a sum with a closed form.
    """
    mu, spare = 1 / mean_s, servers / mean_s - rate
    must_wait = erlang_c(servers, rate * mean_s)

    def tail(t: float) -> float:
        apart = spare - mu
        grown = mu * t if abs(apart) < mu * 1e-9 else -math.expm1(-apart * t) * mu / apart
        return math.exp(-mu * t) * (1 + must_wait * grown)

    return tail


def _erlang_tail(departures: Array, drain: float) -> Tail:
    """Returns P(wait > t): Σ P(k departures until t)·departures[k], with departures a Poisson stream."""
    counts = np.arange(len(departures))
    log_factorials = np.cumsum(np.log(np.maximum(counts, 1)))

    def tail(t: float) -> float:
        if t <= 0:
            return float(departures[:1].sum())
        return float(np.exp(counts * math.log(drain * t) - drain * t - log_factorials) @ departures)

    return tail


# Chains


def stationary_states(rate: float, servers: int, room: int | None, drain: Callable[[int], float]) -> Array | None:
    """Returns the shares of time with 0, 1, … in a system that `drain(n)` leave a second; None where it grows for ever.

    Exact for exponential services. Without bound it ends with the last state that counts.
    """
    logs, top = [0.0], 0.0
    for n in range(1, servers + (MAX_STATES if room is None else room) + 1):
        logs.append(logs[-1] + math.log(rate / drain(n)))
        top = max(top, logs[-1])
        if room is None and n > servers and logs[-1] < min(top + math.log(NEGLIGIBLE), logs[-2]):
            break
    else:
        if room is None:
            return None
    weights = np.exp(np.array(logs) - top)
    return np.asarray(weights / weights.sum())


def waits_in(states: Array, rate: float, servers: int, room: int | None) -> Waits:
    """Returns the means that follow from the states by Little's law."""
    numbers = np.arange(len(states))
    shed = float(states[-1]) if room is not None else 0.0
    through = rate * (1 - shed)
    waiting = float(np.maximum(numbers - servers, 0) @ states)
    return Waits(
        probability=(float(states[servers:].sum()) - shed) / (1 - shed),
        mean_s=waiting / through,
        in_service_s=(float(numbers @ states) - waiting) / through,
        shed_share=shed,
    )


# On a grid


def mg1(rate: float, service: ServiceTime) -> tuple[Waits, Tail | None]:
    """Returns waits and response of M/G/1 below a load of 1, without their tails where no grid is fine enough."""
    load = rate * service.mean_s
    wait_s = pollaczek_khinchine_s(rate, service.mean_s, service.scv)
    step_s = (MEANS_OF_A_WAIT * wait_s / load + 2 * service.quantile_s(NEARLY_ALL)) / POINTS
    shares = _shares(service, step_s)
    transform = (1 - load) / (1 - load * np.fft.rfft(_residual(shares)))
    response = _tail(transform * np.fft.rfft(np.diff(shares, prepend=0.0)), step_s)
    fine = _is_fine(response, step_s)
    tail = _tail(transform, step_s) if fine else None
    waits = Waits(probability=load, mean_s=wait_s, in_service_s=service.mean_s, tail=tail)
    return waits, response if fine else None


def response_tail(wait: Tail, service: ServiceTime) -> Tail | None:
    """Returns the tail of a wait plus an independent service; None where no grid would be fine enough."""
    step_s = 2 * (quantile_s(wait, NEARLY_ALL) + service.quantile_s(NEARLY_ALL)) / POINTS
    # A wait's tail is smooth and dear, so it is reckoned at fewer times and drawn through them.
    edges = _edges(step_s)
    longer = np.interp(edges, edges[::SPARSE], [wait(edge) for edge in edges[::SPARSE]])
    waits = -np.diff(longer, prepend=1.0)
    services = np.diff(_shares(service, step_s), prepend=0.0)
    response = _tail(np.fft.rfft(waits) * np.fft.rfft(services), step_s)
    return response if _is_fine(response, step_s) else None


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


def _is_fine(response: Tail, step_s: float) -> bool:
    return step_s <= COARSEST * quantile_s(response, 0.5)


def _edges(step_s: float) -> Array:
    """The times between the points of the grid: what lies below an edge and above the one before is one point's."""
    return np.arange(0.5, POINTS, dtype=np.float64) * step_s


def _shares(service: ServiceTime, step_s: float) -> Array:
    return np.array([service.cdf(edge) for edge in _edges(step_s)])


def _residual(shares: Array) -> Array:
    """Returns what is left of a service when somebody arrives: its density is the tail of the service over its mean."""
    longer = 1 - shares
    cells = (longer + np.concatenate([[1.0], longer[:-1]])) / 2
    cells[0] /= 2
    return np.asarray(cells / cells.sum(), dtype=np.float64)


def _tail(transform: npt.NDArray[np.complex128], step_s: float) -> Tail:
    beyond = 1 - np.cumsum(np.fft.irfft(transform, POINTS))
    edges = _edges(step_s)
    return lambda t: float(np.interp(t, edges, beyond))
