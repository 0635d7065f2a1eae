"""Merges the workers' intervals into one row a second, for charts and tables; all phases are in it."""

import math
from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.results.cells import CLOCKS, MEASURE, Cells, counted
from convload.results.histogram import Histogram, milliseconds
from convload.results.runlog import Interval
from convload.results.window import REMNANT_S, Window, length_s, middle_s

WARMUP = "warmup"
CLEANUP = "cleanup"

SERIES_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0}


class Second(msgspec.Struct, frozen=True):
    """One second of create requests, all workers together, filed under the second of their results.

    The rates are per second of each worker's own interval, so a short last interval is no dip. The statistics
    (p50, p90, p99, max) are of successful requests; empty when there was none. They draw a line and are no
    evidence: with few requests in a second its p99 is its maximum. `cpu_share` and `hub_delay_ms` are the highest
    of any worker, `files_free` the lowest. In the closed model the offered rate and the backlog are 0.
    """

    t_s: int
    phase: str
    requests_per_s: float
    ok_per_s: float
    errors_per_s: dict[str, float]
    response_ms: dict[str, float]
    service_ms: dict[str, float]
    users: int
    in_flight: int
    lateness_ms: dict[str, float]
    offered_per_s: float
    backlog: int
    cpu_share: float
    hub_delay_ms: float
    files_free: int
    sent_per_s: float = 0.0


class Seconds:
    """Groups intervals by second as they come.

    A second is reckoned when the next one begins, while its times are still at hand, and anew where more of it came.
    """

    def __init__(self) -> None:
        self._last_s = -1
        self._parts: dict[int, list[_Part]] = defaultdict(list)
        self._ends: dict[int, _Part] = {}
        self._rows: dict[int, Second] = {}

    def add(self, interval: Interval) -> int:
        """Takes the next interval of a worker, and returns the second that it is filed under."""
        before = self._ends.get(interval.worker)
        t_s = before.t_s if before and _is_remnant(interval) else math.floor(middle_s(interval))
        known = before.interval if before else None
        part = _Part(
            t_s,
            interval,
            interval.offered - (known.offered if known else 0),
            interval.sent - (known.sent if known else 0),
        )
        self._ends[interval.worker] = part
        self._parts[t_s].append(part)
        self._rows.pop(t_s, None)
        if t_s != self._last_s and self._last_s in self._parts:
            self._rows[self._last_s] = _second(self._last_s, self._parts[self._last_s])
        self._last_s = t_s
        return t_s

    def rows(self, measured: Window) -> list[Second]:
        """Returns the rows in the order of time; a second in which no worker reported has none."""
        for t_s in self._parts.keys() - self._rows.keys():
            self._rows[t_s] = _second(t_s, self._parts[t_s])
        return [
            msgspec.structs.replace(self._rows[t_s], phase=_phase(self._parts[t_s][0].interval, measured))
            for t_s in sorted(self._rows)
        ]


class _Part(msgspec.Struct, frozen=True):
    """An interval, the second that it is filed under, and the arrivals and first attempts that came in it."""

    t_s: int
    interval: Interval
    arrivals: int
    sent: int


def every_second(series: Iterable[Second]) -> dict[int, Second | None]:
    """Returns the rows by their second, with None for those in which no worker reported: a gap must show."""
    known = {row.t_s: row for row in series}
    return {t_s: known.get(t_s) for t_s in range(min(known), max(known) + 1)} if known else {}


def _is_remnant(interval: Interval) -> bool:
    """Says whether it holds the last few milliseconds of a run: too short for a rate, part of the second before."""
    return interval.last and length_s(interval) < REMNANT_S


def _second(t_s: int, with_counts: list[_Part]) -> Second:
    parts = [part.interval for part in with_counts]
    lengths_s = _lengths(parts)
    rates = _rates(parts, lengths_s)
    service, response, lateness = _times(parts)
    longest = {part.worker: part for part in sorted(parts, key=length_s)}
    return Second(
        t_s=t_s,
        phase="",
        requests_per_s=round(sum(rates.values()), 3),
        ok_per_s=round(rates.get(OK, 0.0), 3),
        errors_per_s={name: round(rate, 3) for name, rate in sorted(rates.items()) if name != OK},
        response_ms=_statistics(response),
        service_ms=_statistics(service),
        users=sum(part.users for part in longest.values()),
        in_flight=sum(part.in_flight for part in longest.values()),
        lateness_ms=_statistics(lateness),
        offered_per_s=round(sum(part.arrivals / lengths_s[part.interval.worker] for part in with_counts), 3),
        backlog=sum(part.backlog for part in longest.values()),
        cpu_share=max(part.cpu_share for part in longest.values()),
        hub_delay_ms=max(part.hub_delay_ms for part in parts),
        files_free=min(part.files_free for part in parts),
        sent_per_s=round(sum(part.sent / lengths_s[part.interval.worker] for part in with_counts), 3),
    )


def _lengths(parts: list[Interval]) -> dict[int, float]:
    """Returns the time of each worker: rates are its counts over it, then added up."""
    lengths_s: dict[int, float] = defaultdict(float)
    for part in parts:
        lengths_s[part.worker] += length_s(part)
    return {worker: length or 1.0 for worker, length in lengths_s.items()}


def _rates(parts: list[Interval], lengths_s: dict[int, float]) -> dict[str, float]:
    rates: dict[str, float] = defaultdict(float)
    for part in parts:
        for (step, _, _, outcome, _), count in counted(part.cells):
            if step == CREATE:
                rates[outcome] += count / lengths_s[part.worker]
    return rates


def _times(parts: list[Interval]) -> tuple[Histogram, Histogram, Histogram]:
    """Returns service, response and lateness of the creates that succeeded; who has no response, has its service."""
    found: list[list[Histogram]] = [[] for _ in CLOCKS]
    for cells in (Cells.of(part.cells) for part in parts if part.cells):
        succeeded = np.array([key[0] == CREATE and key[3] == OK for key in cells.keys])
        if succeeded.any():
            times = cells.times()
            for clock, of_clock in enumerate(found):
                rows = np.zeros((len(cells), len(CLOCKS)), bool)
                rows[:, clock] = succeeded
                if clock == CLOCKS.index("response"):
                    rows[:, 0] = succeeded & (times.sizes[clock :: len(CLOCKS)] == 0)
                of_clock.append(times.together(rows.reshape(-1)))
    service, response, lateness = (Histogram.merged(one) for one in found)
    return service, response, lateness


def _phase(part: Interval, measured: Window) -> str:
    if middle_s(part) < measured.from_s:
        return WARMUP
    return MEASURE if middle_s(part) < measured.to_s else CLEANUP


def _statistics(times: Histogram) -> dict[str, float]:
    if not times:
        return {}
    values = times.percentiles(list(SERIES_PERCENTILES.values()))
    named = dict(zip(SERIES_PERCENTILES, values, strict=True)) | {"max": times.max_us}
    return {name: milliseconds(value) for name, value in named.items()}
