"""Merges the workers' intervals into one row a second, for charts and tables; all phases are in it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.results.cells import CLOCKS, MEASURE, Cells, counted
from convload.results.health import Column, Health
from convload.results.histogram import Histogram, milliseconds
from convload.results.runlog import Interval
from convload.results.window import REMNANT_S, Window

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


class Filed(NamedTuple):
    """Intervals of workers, the second that each is filed under, and the arrivals and requests that came in it."""

    health: Health
    seconds: Column
    arrivals: Column
    sent: Column

    def of(self, seconds: Iterable[int]) -> "Filed":
        """Returns those of some seconds."""
        chosen = np.isin(self.seconds, [*seconds])
        return self if chosen.all() else Filed(self.health.where(chosen), *(column[chosen] for column in self[1:]))


class Seconds:
    """Files intervals under seconds as they come; one of which more came is reckoned anew.

    Attributes:
        filed: all that came.
    """

    def __init__(self) -> None:
        self.filed: list[Filed] = []
        self._ends: dict[int, tuple[int, int, int]] = {}
        self._results: dict[int, list[Interval]] = defaultdict(list)
        self._times: dict[int, _Times] = {}
        self._rows: dict[int, tuple[float, Second]] = {}
        self._changed: set[int] = set()
        self._last_s = -1

    def file(self, health: Health) -> Filed:
        """Takes what comes next of each worker."""
        seconds, ends = np.floor(health.middles_s).astype(np.int32), health.ends
        arrivals, sent, before = health.rises("offered"), health.rises("sent"), np.roll(seconds, 1)
        known = np.array([self._ends.get(worker, (0, 0, -1)) for worker in health.workers], np.int64).reshape(-1, 3)
        arrivals[health.starts] -= known[:, 0]
        sent[health.starts] -= known[:, 1]
        before[health.starts] = known[:, 2]
        # The last few milliseconds of a run are too short for a rate: part of the second before.
        is_remnant = health["last"] & (health.lengths_s < REMNANT_S) & (before >= 0)
        seconds[is_remnant] = before[is_remnant]
        last = (ends["offered"], ends["sent"], seconds[health.starts + health.sizes - 1])
        self._ends |= dict(zip(health.workers, zip(*(one.tolist() for one in last), strict=True), strict=True))
        self._changed |= set(np.unique(seconds).tolist())
        self.filed.append(Filed(health, seconds, arrivals, sent))
        return self.filed[-1]

    def add(self, result: Interval, t_s: int) -> None:
        """Takes the results of a second; its times are added up when another begins, while they are still at hand."""
        self._results[t_s].append(result)
        self._times.pop(t_s, None)
        if t_s != self._last_s and self._last_s in self._results:
            self._times[self._last_s] = _times(self._results[self._last_s])
        self._last_s = t_s

    def rows(self, measured: Window) -> list[Second]:
        """Returns the rows in the order of time; a second in which no worker reported has none."""
        if self._changed:
            self._rows |= {row.t_s: (middle_s, row) for middle_s, row in self._reckon()}
        known = sorted(self._rows.items())
        return [msgspec.structs.replace(row, phase=_phase(middle_s, measured)) for _, (middle_s, row) in known]

    def _reckon(self) -> Iterator[tuple[float, Second]]:
        """Yields the rows of what changed, each with the earliest middle of an interval in it."""
        parts = _Parts([one.of(self._changed) for one in self.filed])
        self._changed = set()
        for place, (t_s, middle_s, facts) in enumerate(parts.facts()):
            results = self._results.get(t_s, [])
            rates: dict[str, float] = defaultdict(float)
            for one in results:
                length_s = parts.length_of(place, one.worker)
                for (step, _, _, outcome, _), count in counted(one.cells):
                    if step == CREATE:
                        rates[outcome] += count / length_s
            response, service, lateness = self._times.get(t_s) or _times(results)
            yield (
                middle_s,
                Second(
                    t_s=t_s,
                    phase="",
                    requests_per_s=round(sum(rates.values()), 3),
                    ok_per_s=round(rates.get(OK, 0.0), 3),
                    errors_per_s={name: round(rate, 3) for name, rate in sorted(rates.items()) if name != OK},
                    response_ms=response,
                    service_ms=service,
                    lateness_ms=lateness,
                    **facts,
                ),
            )


class _Parts:
    """Intervals by their second and worker."""

    def __init__(self, filed: Sequence[Filed]) -> None:
        self._filed = [one for one in filed if len(one.health)]
        self._seconds, at = np.unique(self._column("seconds"), return_inverse=True)
        self._workers, worker = np.unique(self._column("worker"), return_inverse=True)
        worker += at * len(self._workers)
        self._groups, self._group = np.unique(worker, return_inverse=True)
        lengths_s = self._column("to_s") - self._column("from_s")
        self._lengths_s = np.bincount(self._group, lengths_s)
        self._lengths_s[self._lengths_s == 0] = 1.0
        self._order = np.lexsort((lengths_s, self._group))
        self._at = at

    def _column(self, name: str) -> Column:
        return np.concatenate([getattr(one, name) if name in one._fields else one.health[name] for one in self._filed])

    def length_of(self, place: int, worker: int) -> float:
        """Returns the time of a worker in a second: rates are its counts over it, then added up."""
        group = place * len(self._workers) + np.searchsorted(self._workers, worker)
        return float(self._lengths_s[np.searchsorted(self._groups, group)])

    def facts(self) -> Iterator[tuple[int, float, dict[str, Any]]]:
        """Yields the seconds with the earliest middle of an interval in each, and what is known of them."""
        order, each_s = self._order, self._lengths_s[self._group]
        longest = order[np.flatnonzero(np.diff(self._group[order], append=-1))]
        begins, of_longest = (np.flatnonzero(np.diff(self._at[one], prepend=-1)) for one in (order, longest))
        middles_s = (self._column("from_s") + self._column("to_s")) / 2
        found: dict[str, Column] = {
            name: np.add.reduceat(self._column(name)[longest], of_longest) for name in ("users", "in_flight", "backlog")
        }
        found["cpu_share"] = np.maximum.reduceat(self._column("cpu_share")[longest], of_longest)
        found["hub_delay_ms"] = np.maximum.reduceat(self._column("hub_delay_ms")[order], begins)
        found["files_free"] = np.minimum.reduceat(self._column("files_free")[order], begins)
        rates = (np.add.reduceat((self._column(name) / each_s)[order], begins) for name in ("arrivals", "sent"))
        offered, sent = ([round(rate, 3) for rate in one.tolist()] for one in rates)
        rows = zip(*(column.tolist() for column in found.values()), offered, sent, strict=True)
        earliest_s = np.minimum.reduceat(middles_s[order], begins).tolist()
        for t_s, middle_s, row in zip(self._seconds.tolist(), earliest_s, rows, strict=True):
            yield t_s, middle_s, dict(zip((*found, "offered_per_s", "sent_per_s"), row, strict=True))


def every_second(series: Iterable[Second]) -> dict[int, Second | None]:
    """Returns the rows by their second, with None for those in which no worker reported: a gap must show."""
    known = {row.t_s: row for row in series}
    return {t_s: known.get(t_s) for t_s in range(min(known), max(known) + 1)} if known else {}


_Times = tuple[dict[str, float], dict[str, float], dict[str, float]]


def _times(parts: Sequence[Interval]) -> _Times:
    """Returns what is said of response, service and lateness of the creates that succeeded; none is the service."""
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
    service, response, lateness = (_statistics(Histogram.merged(one)) for one in found)
    return response, service, lateness


def _phase(middle_s: float, measured: Window) -> str:
    if middle_s < measured.from_s:
        return WARMUP
    return MEASURE if middle_s < measured.to_s else CLEANUP


def _statistics(times: Histogram) -> dict[str, float]:
    if not times:
        return {}
    values = times.percentiles(list(SERIES_PERCENTILES.values()))
    named = dict(zip(SERIES_PERCENTILES, values, strict=True)) | {"max": times.max_us}
    return {name: milliseconds(value) for name, value in named.items()}
