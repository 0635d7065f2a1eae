"""How a run went, view by view: the times of each step, variant and target in bins of equal time.

It grows with the log: an interval is counted once, and only the bins that it fell into are reckoned again. When there
are more bins than a chart has room for, each two become one. Nothing is averaged: a bin holds all its requests, so its
percentiles are theirs, and its maximum is theirs.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, Self

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.plan.schedule import StageMark
from convload.results.cells import MEASURE, CellKey
from convload.results.health import Floats, Health
from convload.results.histogram import Accumulator, Histogram, milliseconds
from convload.results.runlog import Interval
from convload.results.series import Filed, Seconds
from convload.results.sums import Sum, Sums

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


class Seen:
    """What one place saw: its bins over all phases, and all of its measured requests together."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.count = 0
        self._response, self._service = Accumulator(), Accumulator()

    def add(self, at: int, row: Row) -> None:
        """Takes the figures of a bin."""
        self.rows[at] = row
        self.count += row.ok + row.failed

    def count_times(self, one: Sum) -> None:
        """Counts measured requests of a bin."""
        self._response.add(one.response)
        if one.response is not one.service:
            self._service.add(one.service)

    @property
    def response(self) -> Histogram:
        """The response times of what was measured."""
        return self._response.histogram()

    @property
    def service(self) -> Histogram:
        """The service times, where they are others."""
        return self._service.histogram()


class WorkerBins(NamedTuple):
    """What workers did, a row a worker and a column a bin; the length is 0 where nothing is known."""

    workers: list[int]
    length_s: Floats
    answered: Floats
    cpu_s: Floats
    hub_delay_ms: Floats
    memory_bytes: Floats

    @classmethod
    def of(cls, filed: Sequence[Filed], bin_s: int, length: int) -> Self:
        """Adds intervals up, or takes the worst of them."""
        workers = sorted({worker for one in filed for worker in one.health.workers})
        found = np.zeros((5, len(workers) * length))
        for one in filed:
            of_worker = np.repeat(np.searchsorted(workers, one.health.workers), one.health.sizes)
            at, lengths_s = of_worker * length + one.seconds // bin_s, one.health.lengths_s
            cpu_s = one.health["cpu_share"] * lengths_s
            for row, values in enumerate((lengths_s, one.health["creates"], cpu_s)):
                found[row] += np.bincount(at, values, minlength=found.shape[1])
            for row, name in enumerate(("hub_delay_ms", "memory_bytes"), 3):
                np.maximum.at(found[row], at, one.health[name])
        return cls(workers, *found.reshape(5, len(workers), length))


class Course:
    """Counts the intervals of a run; `seconds` has what is of the whole generator."""

    def __init__(self, marks: Iterable[StageMark] = (), ends_s: float = 0.0) -> None:
        self.seconds = Seconds()
        self.bin_s = 1
        self._sums = Sums(measured=False)
        self._changed: set[int] = set()
        self._is_whole = False
        self._bins: dict[int, dict[Place, Row]] = {}
        self._targets = {mark.name: mark.target for mark in marks if mark.target}
        self._make_room(ends_s)

    def _make_room(self, ends_s: float) -> None:
        while ends_s > self.bin_s * MOST_BINS:
            self.bin_s *= 2

    def add(self, results: Sequence[Interval]) -> None:
        """Takes what comes next of each worker."""
        for _ in self._follow(results, Health.of(results)):
            pass

    def add_all(self, results: Sequence[Interval], health: Health) -> "Course":
        """Takes all that there will be."""
        for _ in self.follow(results, health):
            pass
        return self

    def follow(self, results: Sequence[Interval], health: Health) -> Iterator[None]:
        """Takes all that there will be, the results of one time a step."""
        self._make_room(float(health["to_s"].max(initial=0.0)))
        yield from self._follow(results, health)
        self._sums.settle()
        self._is_whole = True

    def _follow(self, results: Sequence[Interval], health: Health) -> Iterator[None]:
        seconds = self.seconds.file(health).seconds
        while int(seconds.max(initial=0)) >= self.bin_s * MOST_BINS:
            self._coarsen()
        results = sorted(results, key=lambda one: (one.n, one.worker))
        for result, second in zip(results, seconds[health.find(results)].tolist(), strict=True):
            if result.cells:
                self.seconds.add(result, second)
                self._sums.add(result.cells, (0, second // self.bin_s))
                self._changed.add(second // self.bin_s)
            yield

    def _coarsen(self) -> None:
        self.bin_s *= 2
        self._sums.move(lambda place: (0, place[1] // 2))
        self._changed = {at // 2 for at in (*self._bins, *self._changed)}
        self._bins = {}

    def workers(self, length: int) -> WorkerBins:
        """Returns what each worker did in so many bins."""
        return WorkerBins.of(self.seconds.filed, self.bin_s, length)

    @property
    def places(self) -> dict[Place, Seen]:
        """What there is to look at; only the bins that have changed are reckoned anew."""
        if self._is_whole:
            return self._places
        return self._look()

    @cached_property
    def _places(self) -> dict[Place, Seen]:
        found = self._look()
        self._sums = Sums(measured=False)  # nobody asks again
        return found

    def _look(self) -> dict[Place, Seen]:
        for at in self._changed:
            self._bins[at] = self._bin(at)
        self._changed = set()
        found: dict[Place, Seen] = defaultdict(Seen)
        for at, rows in sorted(self._bins.items()):
            for place, row in rows.items():
                found[place].add(at, row)
            for one in self._sums.at((0, at)):
                if one.key[2] == MEASURE and one.key[3] == OK:
                    for place in self._places_of(one.key):
                        found[place].count_times(one)
        return dict(found)

    def _bin(self, at: int) -> dict[Place, Row]:
        counts: dict[Place, Counter[bool]] = defaultdict(Counter)
        times: dict[Place, list[Sum]] = defaultdict(list)
        for one in self._sums.at((0, at)):
            for place in self._places_of(one.key):
                counts[place][one.key[3] == OK] += one.service.count
                times[place] += [one] if one.key[3] == OK else []
        return {place: _row(count[True], count[False], times[place]) for place, count in counts.items()}

    def _places_of(self, key: CellKey) -> Iterator[Place]:
        step, variant, _, _, stage = key
        yield Place(STEP, step)
        if step == CREATE:
            if variant:
                yield Place(VARIANT, variant)
            if stage in self._targets:
                yield Place(TARGET, self._targets[stage])


def _row(ok: int, failed: int, good: list[Sum]) -> Row:
    response, service, lateness = (_merged(good, clock) for clock in ("response", "service", "lateness"))
    heat = {"response": row_of(response), "service": row_of(service)}
    return Row(ok, failed, _statistics(response), _statistics(service), _statistics(lateness), heat)


def _merged(parts: list[Sum], clock: str) -> Histogram:
    """Adds up a clock of several; in the closed model due = sent, and there is one clock."""
    return Histogram.merged(
        getattr(one, clock) for one in parts if clock != "service" or one.response is not one.service
    )


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
