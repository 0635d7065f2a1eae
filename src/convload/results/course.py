"""How a run went, view by view: the times of each step, variant and target in bins of equal time.

It grows with the log: an interval is counted once, and only the bins that it fell into are reckoned again. When there
are more bins than a chart has room for, each two become one. Nothing is averaged: a bin holds all its requests, so its
percentiles are theirs, and its maximum is theirs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.plan.schedule import StageMark
from convload.results.histogram import Accumulator, Histogram, milliseconds
from convload.results.runlog import MEASURE, Cell, Interval
from convload.results.series import Seconds
from convload.results.window import length_s

Part = TypeVar("Part")

MOST_BINS = 360

STEP, VARIANT, TARGET = "step", "variant", "target"

PER_DECADE = 10
"""Rows of a heat map in which times grow tenfold: each is a quarter longer than the one below."""

LOWEST_US = 10.0
"""The lower edge of the lowest row; what is shorter lies in it."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}

_MANY = 24
"""Histograms that wait to be merged: merging costs as much for two as for these."""


class Place(msgspec.Struct, frozen=True, order=True):
    """What is looked at: a step, a variant of conversation.create, or its requests to one of two targets."""

    kind: str
    name: str


Clocks = tuple[Histogram, Histogram, Histogram]
"""Response, service and lateness; in the closed model the first alone."""


class Bin:
    """The requests that were answered in a time; only those that succeeded have times."""

    def __init__(self) -> None:
        self.ok = 0
        self.failed = 0
        self.times: tuple[list[Histogram], ...] = ([], [], [])

    def add(self, cell: Cell, clocks: Clocks) -> None:
        """Counts a cell."""
        if cell.outcome != OK:
            self.failed += cell.count
            return
        self.ok += cell.count
        for parts, times in zip(self.times, clocks, strict=True):
            if len(times.index):
                parts.append(times)
            if len(parts) >= _MANY:
                parts[:] = [Histogram.merged(parts)]

    @classmethod
    def merged(cls, parts: Iterable["Bin"]) -> "Bin":
        """Returns the requests of several."""
        whole = cls()
        for part in parts:
            whole.ok += part.ok
            whole.failed += part.failed
            for mine, its in zip(whole.times, part.times, strict=True):
                mine.extend(its)
        return whole

    def clocks(self) -> Clocks:
        """Returns the times of its requests."""
        for parts in self.times:
            parts[:] = [Histogram.merged(parts)]
        response, service, lateness = (parts[0] for parts in self.times)
        return response, service, lateness


class Row(msgspec.Struct, frozen=True):
    """The figures of a bin: its times in ms, empty where no request succeeded, and its columns of the heat maps."""

    ok: int
    failed: int
    response: dict[str, float]
    service: dict[str, float]
    lateness: dict[str, float]
    heat: dict[str, list[int]]


class Seen:
    """What one place saw: its bins over all phases, and all of its measured requests together."""

    def __init__(self) -> None:
        self.bins: dict[int, Bin] = defaultdict(Bin)
        self._changed: set[int] = set()
        self._rows: dict[int, Row] = {}
        self.response = Accumulator()
        self.service = Accumulator()
        self.count = 0

    def add(self, at: int, cell: Cell, clocks: Clocks) -> None:
        """Counts a cell in a bin."""
        self.bins[at].add(cell, clocks)
        self._changed.add(at)
        self.count += cell.count
        if cell.phase == MEASURE and cell.outcome == OK:
            self.response.add(clocks[0])
            self.service.add(clocks[1])

    def coarsen(self) -> None:
        """Makes one bin of each two."""
        self.bins = _halved(self.bins, Bin.merged)
        self._rows, self._changed = {}, set(self.bins)

    def rows(self) -> dict[int, "Row"]:
        """Returns the figures of each bin."""
        for at in self._changed:
            self._rows[at] = _row(self.bins[at])
        self._changed = set()
        return self._rows


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
        self.answered += sum(cell.count for cell in interval.cells if cell.step == CREATE)
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
        self.places: dict[Place, Seen] = defaultdict(Seen)
        self.workers: dict[int, dict[int, WorkerBin]] = defaultdict(lambda: defaultdict(WorkerBin))
        self.bin_s = 1
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
        for cell in interval.cells:
            service = Histogram.decode(cell.service)
            none = Histogram.empty()
            # In the closed model due = sent: there is one clock.
            response = Histogram.decode(cell.response)
            clocks = (response, service, Histogram.decode(cell.lateness)) if cell.response else (service, none, none)
            for place in self._places_of(cell):
                self.places[place].add(at, cell, clocks)

    def _coarsen(self) -> None:
        self.bin_s *= 2
        for seen in self.places.values():
            seen.coarsen()
        for worker, bins in self.workers.items():
            self.workers[worker] = _halved(bins, WorkerBin.merged)

    def _places_of(self, cell: Cell) -> Iterator[Place]:
        yield Place(STEP, cell.step)
        if cell.step == CREATE:
            if cell.variant:
                yield Place(VARIANT, cell.variant)
            if cell.stage in self._targets:
                yield Place(TARGET, self._targets[cell.stage])


def _row(part: Bin) -> Row:
    response, service, lateness = part.clocks()
    heat = {"response": row_of(response), "service": row_of(service)}
    return Row(part.ok, part.failed, _statistics(response), _statistics(service), _statistics(lateness), heat)


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
