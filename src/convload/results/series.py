"""Merges the workers' intervals into one row a second, for charts and tables; all phases are in it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.results.histogram import Histogram, milliseconds
from convload.results.runlog import MEASURE, Cell, Interval
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
    """Groups intervals by second as they come; what has changed is reckoned anew when somebody asks."""

    def __init__(self) -> None:
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


def per_second(workers: Mapping[int, list[Interval]], measured: Window) -> list[Second]:
    """Returns the rows in the order of time; a second in which no worker reported has none."""
    seconds = Seconds()
    for interval in (interval for parts in workers.values() for interval in parts):
        seconds.add(interval)
    return seconds.rows(measured)


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
    succeeded = [cell for part in parts for cell in _create_cells(part) if cell.outcome == OK]
    service_ms = _statistics(cell.service for cell in succeeded)
    is_open = any(cell.response for cell in succeeded)
    longest = {part.worker: part for part in sorted(parts, key=length_s)}
    return Second(
        t_s=t_s,
        phase="",
        requests_per_s=round(sum(rates.values()), 3),
        ok_per_s=round(rates.get(OK, 0.0), 3),
        errors_per_s={name: round(rate, 3) for name, rate in sorted(rates.items()) if name != OK},
        response_ms=_statistics(cell.response or cell.service for cell in succeeded) if is_open else service_ms,
        service_ms=service_ms,
        users=sum(part.users for part in longest.values()),
        in_flight=sum(part.in_flight for part in longest.values()),
        lateness_ms=_statistics(cell.lateness for cell in succeeded),
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
        for cell in _create_cells(part):
            rates[cell.outcome] += cell.count / lengths_s[part.worker]
    return rates


def _create_cells(part: Interval) -> list[Cell]:
    return [cell for cell in part.cells if cell.step == CREATE]


def _phase(part: Interval, measured: Window) -> str:
    if middle_s(part) < measured.from_s:
        return WARMUP
    return MEASURE if middle_s(part) < measured.to_s else CLEANUP


def _statistics(encoded: Iterable[str]) -> dict[str, float]:
    merged = Histogram.merged(Histogram.decode(text) for text in encoded)
    if not merged.count:
        return {}
    values = merged.percentiles(list(SERIES_PERCENTILES.values()))
    named = dict(zip(SERIES_PERCENTILES, values, strict=True)) | {"max": merged.max_us}
    return {name: milliseconds(value) for name, value in named.items()}
