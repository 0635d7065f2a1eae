"""How a run went, view by view: the times of each step, variant and target in bins of equal time.

It grows with the log: an interval is counted once, and only the bins that it fell into are reckoned again. When there
are more bins than a chart has room for, each two become one. Nothing is averaged: a bin holds all its requests, so its
percentiles are theirs, and its maximum is theirs.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.plan.schedule import StageMark
from convload.results.cells import MEASURE, CellKey
from convload.results.histogram import Histogram, milliseconds
from convload.results.measured import creates_of
from convload.results.runlog import Interval
from convload.results.series import Seconds
from convload.results.sums import Compact, Sum, Sums
from convload.results.window import length_s

Part = TypeVar("Part")

MOST_BINS = 360

STEP, VARIANT, TARGET = "step", "variant", "target"

PER_DECADE = 10
"""Rows of a heat map in which times grow tenfold: each is a quarter longer than the one below."""

LOWEST_US = 10.0
"""The lower edge of the lowest row; what is shorter lies in it."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}


class Place(msgspec.Struct, frozen=True, order=True):
    """What is looked at: a step, a variant of conversation.create, or its requests to one of two targets."""

    kind: str
    name: str


class Row(msgspec.Struct, frozen=True):
    """The figures of a bin: its times in ms, empty where no request succeeded, and its columns of the heat maps."""

    ok: int
    failed: int
    response: dict[str, float]
    service: dict[str, float]
    lateness: dict[str, float]
    heat: dict[str, list[int]]


class Seen(msgspec.Struct, frozen=True):
    """What one place saw: its bins over all phases, and all of its measured requests together."""

    rows: dict[int, Row]
    response: Histogram
    service: Histogram
    count: int


class WorkerBin(msgspec.Struct):
    """What a worker did in a time: create requests that it recorded, its CPU time, and the worst of its loop."""

    length_s: float = 0.0
    answered: int = 0
    cpu_s: float = 0.0
    hub_delay_ms: float = 0.0
    memory_bytes: int = 0

    def add(self, interval: Interval) -> None:
        """Counts an interval."""
        self.length_s += length_s(interval)
        self.answered += creates_of(interval)
        self.cpu_s += interval.cpu_share * length_s(interval)
        self.hub_delay_ms = max(self.hub_delay_ms, interval.hub_delay_ms)
        self.memory_bytes = max(self.memory_bytes, interval.memory_bytes)

    @classmethod
    def merged(cls, parts: Iterable["WorkerBin"]) -> "WorkerBin":
        """Returns what it did in several."""
        parts = list(parts)
        sums = (sum(getattr(part, name) for part in parts) for name in ("length_s", "answered", "cpu_s"))
        highest = (max((getattr(part, name) for part in parts), default=0) for name in ("hub_delay_ms", "memory_bytes"))
        return cls(*sums, *highest)


class Course:
    """Counts the intervals of a run; `seconds` has what is of the whole generator."""

    def __init__(self, marks: Iterable[StageMark] = (), ends_s: float = 0.0) -> None:
        self.seconds = Seconds()
        self.workers: dict[int, dict[int, WorkerBin]] = defaultdict(lambda: defaultdict(WorkerBin))
        self.bin_s = 1
        self._sums = Sums(measured=False)
        self._changed: set[int] = set()
        self._bins: dict[int, dict[Place, _Bin]] = {}
        self._targets = {mark.name: mark.target for mark in marks if mark.target}
        while ends_s > self.bin_s * MOST_BINS:
            self.bin_s *= 2

    def add(self, interval: Interval) -> None:
        """Takes the next interval of a worker."""
        second = self.seconds.add(interval)
        while second >= self.bin_s * MOST_BINS:
            self._coarsen()
        at = second // self.bin_s
        self.workers[interval.worker][at].add(interval)
        if interval.cells:
            self._sums.add(interval.cells, (0, at))
            self._changed.add(at)

    def _coarsen(self) -> None:
        self.bin_s *= 2
        self._sums.move(lambda place: (0, place[1] // 2))
        self._changed = {at // 2 for at in (*self._bins, *self._changed)}
        self._bins = {}
        for worker, bins in self.workers.items():
            self.workers[worker] = _halved(bins, WorkerBin.merged)

    @property
    def places(self) -> dict[Place, Seen]:
        """What there is to look at; only the bins that have changed are reckoned anew."""
        for at in self._changed:
            self._bins[at] = self._bin(at)
        self._changed = set()
        rows: dict[Place, dict[int, _Bin]] = defaultdict(dict)
        for at, bins in sorted(self._bins.items()):
            for place, one in bins.items():
                rows[place][at] = one
        return {place: _seen(of_place) for place, of_place in rows.items()}

    def _bin(self, at: int) -> dict[Place, "_Bin"]:
        counts: dict[Place, Counter[bool]] = defaultdict(Counter)
        times: dict[Place, list[Sum]] = defaultdict(list)
        for one in self._sums.at((0, at)):
            for place in self._places_of(one.key):
                counts[place][one.key[3] == OK] += one.service.count
                times[place] += [one] if one.key[3] == OK else []
        return {place: _Bin.of(count, times[place]) for place, count in counts.items()}

    def _places_of(self, key: CellKey) -> Iterator[Place]:
        step, variant, _, _, stage = key
        yield Place(STEP, step)
        if step == CREATE:
            if variant:
                yield Place(VARIANT, variant)
            if stage in self._targets:
                yield Place(TARGET, self._targets[stage])


class _Bin(msgspec.Struct, frozen=True):
    """What a place saw in one bin: the row, and response and service of what was measured."""

    row: Row
    measured: tuple[Compact, ...]

    @classmethod
    def of(cls, count: Mapping[bool, int], good: list[Sum]) -> "_Bin":
        """Reckons a bin of which so many requests succeeded or not, and these did."""
        # In the closed model due = sent: there is one clock.
        response, service, lateness = _merged(good, "response"), _services(good), _merged(good, "lateness")
        row = Row(
            count.get(True, 0),
            count.get(False, 0),
            _statistics(response),
            _statistics(service),
            _statistics(lateness),
            {"response": row_of(response), "service": row_of(service)},
        )
        part = [one for one in good if one.key[2] == MEASURE]
        measured = (
            (response, service) if len(part) == len(good) else (_merged(part, "response"), _merged(part, "service"))
        )
        return cls(row, tuple(map(Compact.of, measured)))


def _services(parts: list[Sum]) -> Histogram:
    return Histogram.merged(part.service for part in parts if part.response is not part.service)


def _merged(parts: list[Sum], clock: str) -> Histogram:
    return Histogram.merged(getattr(part, clock) for part in parts)


def _seen(bins: dict[int, _Bin]) -> Seen:
    clocks = zip(*(one.measured for one in bins.values()), strict=True)
    response, service = (Histogram.merged(one.histogram() for one in of_clock) for of_clock in clocks)
    rows = {at: one.row for at, one in bins.items()}
    return Seen(rows, response, service, sum(row.ok + row.failed for row in rows.values()))


def _statistics(histogram: Histogram) -> dict[str, float]:
    if not histogram.count:
        return {}
    named = dict(zip(PERCENTILES, histogram.percentiles(list(PERCENTILES.values())), strict=True))
    return {name: milliseconds(value) for name, value in {**named, "max": histogram.max_us}.items()}


def row_of(histogram: Histogram, per_decade: int = PER_DECADE) -> list[int]:
    """Returns a column of a heat map: the number of its lowest row in use, and the counts from there up."""
    if not len(histogram.index):
        return []
    times = np.maximum(histogram.values_us, LOWEST_US)
    rows = np.floor(per_decade * np.log10(times / LOWEST_US) + 1e-9).astype(np.int64)
    lowest = int(rows[0])
    counts = np.zeros(int(rows[-1]) - lowest + 1, np.int64)
    np.add.at(counts, rows - lowest, histogram.counts)
    found: list[int] = counts.tolist()
    return [lowest, *found]


def _halved(bins: dict[int, Part], merged: Callable[[Iterable[Part]], Part]) -> defaultdict[int, Part]:
    halves: dict[int, list[Part]] = defaultdict(list)
    for at in sorted(bins):
        halves[at // 2].append(bins[at])
    # No bin is new from here on but by the constructor, which `merged` of nothing is.
    found: defaultdict[int, Part] = defaultdict(lambda: merged([]))
    found.update({at: merged(parts) for at, parts in halves.items()})
    return found
