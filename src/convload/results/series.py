"""Merges the workers' intervals into one row a second, for charts and tables; all phases are in it."""

import math
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from convload.contract.outcomes import OK
from convload.results.histogram import Histogram
from convload.results.measured import CREATE, MEASURE, Window, intervals, window
from convload.results.runlog import Cell, Interval, RunLog
from convload.results.summary import milliseconds

WARMUP = "warmup"
CLEANUP = "cleanup"

SHORTEST_S = 0.5
"""A last interval that is shorter is told with the second before it."""

SERIES_PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0}


class Second(msgspec.Struct, frozen=True):
    """One second of create requests, all workers together, filed under the second of their results.

    The rates are per second of each worker's own interval, so a short last interval is no dip. The statistics
    (p50, p90, p99, max) are of successful requests; empty when there was none.
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


def per_second(log: RunLog) -> list[Second]:
    """Returns the rows in the order of time; a second in which no worker reported has none."""
    seconds: dict[int, list[Interval]] = defaultdict(list)
    latest: dict[int, int] = {}
    for interval in sorted(intervals(log), key=lambda interval: (interval.worker, interval.n)):
        # The middle: an interval that starts a hair before its second still belongs to it.
        t_s = math.floor((interval.from_s + interval.to_s) / 2)
        if _is_remnant(interval):
            t_s = latest.get(interval.worker, t_s)
        latest[interval.worker] = t_s
        seconds[t_s].append(interval)
    measured = window(log)
    return [_second(t_s, seconds[t_s], measured) for t_s in sorted(seconds)]


def _is_remnant(interval: Interval) -> bool:
    """Says whether it holds the last few milliseconds of a run: too short for a rate, part of the second before."""
    return interval.last and interval.to_s - interval.from_s < SHORTEST_S


def _second(t_s: int, parts: list[Interval], measured: Window) -> Second:
    rates = _rates(parts)
    succeeded = [cell for part in parts for cell in _create_cells(part) if cell.outcome == OK]
    service_ms = _statistics(cell.service for cell in succeeded)
    is_open = any(cell.response for cell in succeeded)
    longest = {part.worker: part for part in sorted(parts, key=lambda part: part.to_s - part.from_s)}
    return Second(
        t_s=t_s,
        phase=_phase(parts[0], measured),
        requests_per_s=round(sum(rates.values()), 3),
        ok_per_s=round(rates[OK], 3),
        errors_per_s={outcome: round(rate, 3) for outcome, rate in sorted(rates.items()) if outcome != OK},
        response_ms=_statistics(cell.response or cell.service for cell in succeeded) if is_open else service_ms,
        service_ms=service_ms,
        users=sum(part.users for part in longest.values()),
        in_flight=sum(part.in_flight for part in longest.values()),
    )


def _rates(parts: list[Interval]) -> dict[str, float]:
    """Returns requests per second by outcome: each worker's count over its own time, then added up."""
    length_s: dict[int, float] = defaultdict(float)
    for part in parts:
        length_s[part.worker] += part.to_s - part.from_s
    rates: dict[str, float] = defaultdict(float)
    for part in parts:
        for cell in _create_cells(part):
            rates[cell.outcome] += cell.count / (length_s[part.worker] or 1)
    return rates


def _create_cells(part: Interval) -> list[Cell]:
    return [cell for cell in part.cells if cell.step == CREATE]


def _phase(part: Interval, measured: Window) -> str:
    middle_s = (part.from_s + part.to_s) / 2
    if middle_s < measured.from_s:
        return WARMUP
    return MEASURE if middle_s < measured.to_s else CLEANUP


def _statistics(encoded: Iterable[str]) -> dict[str, float]:
    merged = Histogram.merged(Histogram.decode(text) for text in encoded)
    if not merged.count:
        return {}
    values = merged.percentiles(list(SERIES_PERCENTILES.values()))
    named = dict(zip(SERIES_PERCENTILES, values, strict=True)) | {"max": merged.max_us}
    return {name: milliseconds(value) for name, value in named.items()}
