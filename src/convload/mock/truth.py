"""What is true of a mock with servers: its capacity, and the waits that queueing theory expects at a rate of arrivals.

Every figure says how far it can be trusted. *exact* follows from a closed form, or from an exact transform that is
inverted numerically. *approximate* is M/M/c with waits and queue lengths scaled by (1 + scv)/2, which is Allen and
Cunneen's approximation of the mean and right in the limits of a full queue and of none; good to a few percent in means
at moderate load, to perhaps a fifth in tails. *unknown* leaves the figures out.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import msgspec

from convload.mock import queueing
from convload.mock.queueing import Tail, Waits
from convload.mock.waiting_line import Station, station_of
from convload.plan.mock_behaviour import Behaviour
from convload.plan.service_times import ServiceTime
from convload.results.histogram import short

FORMAT = "convload/truth/1"
SHOWN_SHARES = (0.5, 0.7, 0.8, 0.9)
"""The shares of the capacity whose expected times are printed at the start."""

_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_ENDLESS = 10**12
_SAME = 1e-9

Trust = Literal["exact", "approximate", "unknown"]
Times = dict[str, float | None]
"""Milliseconds by `mean`, `p50`, … `p99`; None where theory has nothing."""


class AtRate(msgspec.Struct, kw_only=True):
    """What is expected at a steady Poisson rate. Times are of creates that are let in; the share shed is of all."""

    rate_per_s: float
    stable: bool
    trust: Trust
    utilisation: float | None = None
    wait_probability: float | None = None
    shed_share: float | None = None
    wait_ms: Times = {}
    response_ms: Times = {}


class Truth(msgspec.Struct, kw_only=True):
    """The truth of one mock. `capacity_per_s` is None where no servers are set.

    `capacity` is `exact` where every rate below it is carried for ever. It is `metastable` where service slows down
    beyond a point: then `capacity_per_s` is the most that can leave, which lasts until a burst fills the queue, and
    only rates below `overloaded_per_s`, which leaves with a full queue, are carried whatever happens.
    """

    format: str = FORMAT
    model: str = "none"
    servers: int = 0
    queue: int | None = None
    service_time: str = ""
    capacity_per_s: float | None = None
    overloaded_per_s: float | None = None
    capacity: Literal["exact", "metastable", "unknown"] = "unknown"
    best_in_service: int | None = None
    service_ms: Times = {}
    service_scv: float | None = None
    notes: list[str] = []
    at_rate: AtRate | None = None


def truth_of(behaviour: Behaviour, rate: float | None = None) -> Truth:
    """Returns what is true of a mock, with what is expected at `rate` creates per second where that is given."""
    if not behaviour.servers:
        limit = "No servers are set: creates do not queue, and the limit is the mock's own speed on this machine."
        return Truth(notes=[limit])
    station, service = station_of(behaviour), behaviour.service
    best = max(range(1, station.servers + 1), key=lambda n: (n / station.slowdown(n, 0), n))
    full = station.slowdown(station.servers, _ENDLESS if station.queue is None else station.queue)
    one_per_s = station.running_share() / service.mean_s
    peak, overloaded = one_per_s * best / station.slowdown(best, 0), one_per_s * station.servers / full
    return Truth(
        model=_model(station, service),
        servers=station.servers,
        queue=station.queue,
        service_time=behaviour.service_time,
        capacity_per_s=peak,
        overloaded_per_s=overloaded,
        capacity="exact" if overloaded > peak * (1 - _SAME) else "metastable",
        best_in_service=best,
        service_ms=_times(service.mean_s, service.quantile_s),
        service_scv=service.scv,
        notes=list(_notes(station)),
        at_rate=None if rate is None else _at_rate(station, service, rate, overloaded),
    )


def describe(truth: Truth, behaviour: Behaviour) -> Iterator[str]:
    """Yields the lines that a person reads at the start of a mock with servers."""
    if truth.capacity_per_s is None:
        return
    room = "any number may wait" if truth.queue is None else f"at most {truth.queue:,} wait"
    yield (
        f"capacity: {short(truth.capacity_per_s, 6)} creates/s ({truth.capacity}); {truth.model}, "
        f"service {truth.service_time}, mean {short(truth.service_ms['mean'] or 0.0, 6)} ms, {room}"
    )
    if truth.capacity == "metastable":
        yield f"  once overloaded: {short(truth.overloaded_per_s or 0.0, 6)} creates/s"
    for note in truth.notes:
        yield f"  {note}"
    for share in SHOWN_SHARES:
        at = truth_of(behaviour, share * truth.capacity_per_s).at_rate
        if at is not None and at.response_ms:
            shown = ", ".join(
                f"{name} {short(value, 4)}" for name, value in at.response_ms.items() if value is not None
            )
            yield f"  at {short(at.rate_per_s, 6)}/s ({share:.0%}) a response takes, in ms ({at.trust}): {shown}"


def _model(station: Station, service: ServiceTime) -> str:
    kind = "M" if _memoryless(service) else "D" if service.kind == "constant" else "G"
    ends = "" if station.queue is None else f"/{station.servers + station.queue}"
    changes = " with load-dependent speed" if _load_dependent(station) else ""
    return f"M/{kind}/{station.servers}{ends}{changes}"


def _notes(station: Station) -> Iterator[str]:
    if station.stall_for_s:
        share = 1 - station.running_share()
        yield f"Stalls take {short(share, 4)} of all time; the capacity allows for it, waits at a rate are unknown."
    if station.slow_start_factor > 1:
        yield "The slow start after idleness is in no figure; it ends by itself and does not change the capacity."
    if _load_dependent(station):
        yield "Services slow down with load: percentiles are unknown, and means too unless services are exponential."


def _memoryless(service: ServiceTime) -> bool:
    return not service.shift_s and (service.kind == "exponential" or (service.kind == "gamma" and service.scv == 1))


def _load_dependent(station: Station) -> bool:
    return bool(station.sigma or station.kappa or station.degrade)


def _times(mean_s: float, quantile: Callable[[float], float] | None) -> Times:
    shown: Times = {"mean": mean_s * 1000}
    return shown | {name: None if quantile is None else quantile(share) * 1000 for name, share in _PERCENTILES.items()}


def _tail_times(mean_s: float, tail: Tail | None) -> Times:
    return _times(mean_s, None if tail is None else partial(queueing.quantile_s, tail))


def _at_rate(station: Station, service: ServiceTime, rate: float, overloaded: float) -> AtRate:
    if station.queue is None and rate >= overloaded * (1 - _SAME):
        return AtRate(rate_per_s=rate, stable=False, trust="exact" if rate > overloaded else "unknown", utilisation=1.0)
    expected = None if station.stall_for_s else _expected(station, service, rate)
    if expected is None:
        return AtRate(rate_per_s=rate, stable=True, trust="unknown")
    trust, waits, response = expected
    mean_s = waits.mean_s + waits.in_service_s
    return AtRate(
        rate_per_s=rate,
        stable=True,
        trust="approximate" if station.slow_start_factor > 1 else trust,
        utilisation=rate * (1 - waits.shed_share) * waits.in_service_s / station.servers,
        wait_probability=waits.probability,
        shed_share=waits.shed_share,
        wait_ms=_tail_times(waits.mean_s, waits.tail),
        # Where nobody waits, a response is a service, whose quantiles are known without a grid.
        response_ms=_times(mean_s, service.quantile_s)
        if station.queue == 0 and response
        else _tail_times(mean_s, response),
    )


def _expected(station: Station, service: ServiceTime, rate: float) -> tuple[Trust, Waits, Tail | None] | None:
    """Returns what is known of waits, and the tail of responses; None where theory has nothing."""
    servers, queue, mean_s = station.servers, station.queue, service.mean_s
    memoryless = _memoryless(service)
    if _load_dependent(station):
        drain = partial(_drain, station, mean_s)
        states = queueing.stationary_states(rate, servers, queue, drain) if memoryless else None
        return None if states is None else ("exact", queueing.waits_in(states, rate, servers, queue), None)
    if servers == 1 and queue is None and not memoryless:
        return "exact", *queueing.mg1(rate, service)
    if queue is None and memoryless:
        response = queueing.mmc_response(servers, rate, mean_s)
        return "exact", queueing.mmc(servers, None, rate, mean_s), response
    waits = _scaled(station, service, rate, 1.0 if memoryless else (1 + service.scv) / 2)
    trust: Trust = "exact" if memoryless or queue == 0 else "approximate"
    return trust, waits, queueing.response_tail(waits.tail, service) if waits.tail else None


def _drain(station: Station, mean_s: float, n: int) -> float:
    busy = min(n, station.servers)
    return busy / (mean_s * station.slowdown(busy, n - busy))


def _scaled(station: Station, service: ServiceTime, rate: float, scale: float) -> Waits:
    """Returns the waits of M/M/c with times and places scaled."""
    queue = station.queue
    room = None if queue is None else max(round(queue / scale), min(queue, 1))
    waits = queueing.mmc(station.servers, room, rate, service.mean_s)
    tail = waits.tail
    return msgspec.structs.replace(
        waits, mean_s=waits.mean_s * scale, in_service_s=service.mean_s, tail=tail and (lambda t: tail(t / scale))
    )
