"""Adds up the times of many intervals, all cells of an interval at one go."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from convload.results.cells import CLOCKS, MEASURE, Cell, CellKey, Cells
from convload.results.histogram import BUCKETS, Histogram, Integers, buckets
from convload.results.packing import Histograms

ROOM = 40
"""Cells that are counted into at once, in 22 MB; when others come, what there is makes room."""

_NEVER = 1 << 60
_NO_ROW: Integers = np.empty(0, np.int64)

Place = tuple[int, int]
"""Where in a run: a stratum or 0, and a batch or bin."""

_Kind = tuple[Place, CellKey, bool]
"""Cells that have responses are not added to those that have none."""


_KeptThere = dict[tuple[CellKey, bool], list[list["Compact"]]]


class Sum(msgspec.Struct, frozen=True):
    """What there was of one kind in one place; the response of what has none of its own is its service."""

    place: Place
    key: CellKey
    service: Histogram
    response: Histogram
    lateness: Histogram


class Sums:
    """The requests of a run, by place and key.

    Args:
        measured: whether those of other phases are left out.

    Attributes:
        counts: how many there were.
    """

    def __init__(self, *, measured: bool = True) -> None:
        self.counts: Counter[tuple[Place, CellKey]] = Counter()
        self._measured = measured
        self._rows: dict[_Kind, int] = {}
        # Most seconds have the same cells as the one before, which are then counted where those were.
        self._alike: tuple[Place, tuple[CellKey, ...], list[bool]] | None = None
        self._row = _NO_ROW
        self._dense = np.zeros((0, BUCKETS), np.int64)
        self._facts = np.zeros((0, 3), np.int64)
        self._kept: dict[Place, dict[tuple[CellKey, bool], list[list[Compact]]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, cells: Sequence[Cell], place: Place = (0, 0)) -> None:
        """Adds the cells of an interval."""
        cells = Cells.of(cells)
        chosen = [at for at, key in enumerate(cells.keys) if key[2] == MEASURE or not self._measured]
        if not chosen:
            return
        times = cells.times()
        responded = (times.sizes[1 :: len(CLOCKS)] > 0).tolist()
        for at in chosen:
            self.counts[place, cells.keys[at]] += cells.counts[at]
        alike = place, cells.keys, responded
        if alike != self._alike:
            rows = self._rows_of([(place, cells.keys[at], responded[at]) for at in chosen])
            row = np.full((len(cells), len(CLOCKS)), -1)
            row[chosen] = len(CLOCKS) * np.array(rows)[:, None] + np.arange(len(CLOCKS))
            self._alike, self._row = alike, row.reshape(-1)
        self._count(self._row, times)

    def _count(self, row: Integers, times: Histograms) -> None:
        used = (row >= 0) & (times.sizes > 0)
        entry = np.repeat(row, times.sizes)
        known = entry >= 0
        np.add.at(self._dense.reshape(-1), (entry * BUCKETS + times.index)[known], times.counts[known])
        of_row = row[used]
        np.minimum.at(self._facts[:, 0], of_row, times.low[used])
        np.maximum.at(self._facts[:, 1], of_row, times.high[used])
        np.add.at(self._facts[:, 2], of_row, times.total[used])

    def _rows_of(self, kinds: list[_Kind]) -> list[int]:
        """Returns where each is counted; room for all of an interval is made at once."""
        new = [kind for kind in dict.fromkeys(kinds) if kind not in self._rows]
        if len(self._rows) + len(new) > len(self._dense) // len(CLOCKS):
            self._put_away()
            rows = len(CLOCKS) * max(ROOM, len(set(kinds)))
            if rows > len(self._dense):
                self._dense, self._facts = np.zeros((rows, BUCKETS), np.int64), np.zeros((rows, 3), np.int64)
                self._facts[:, 0] = _NEVER
        return [self._rows.setdefault(kind, len(self._rows)) for kind in kinds]

    def settle(self) -> None:
        """Gives memory back, for no more is to come soon."""
        self._put_away()
        self._dense, self._facts = self._dense[:0].copy(), self._facts[:0].copy()

    def _put_away(self) -> None:
        """Keeps what was counted, in little memory, and clears the place of it."""
        for (place, key, responded), row in self._rows.items():
            rows = range(len(CLOCKS) * row, len(CLOCKS) * (row + 1))
            self._kept[place][key, responded].append([self._keep(one) for one in rows])
        self._rows, self._alike = {}, None
        self._facts[:] = (_NEVER, 0, 0)

    def _keep(self, row: int) -> "Compact":
        low, high, total = self._facts[row].tolist()
        if low > high:
            return Compact.of(Histogram.empty())
        first, last = buckets(np.array([low, high])).tolist()
        within = self._dense[row, first : last + 1]
        index = np.flatnonzero(within)
        counts = within[index]
        within[index] = 0
        return Compact.of(Histogram(first + index, counts, low, high, total))

    def move(self, to: Callable[[Place], Place]) -> None:
        """Puts what is in one place into another; several may become one."""
        self._put_away()
        kept, counts = self._kept, self.counts
        self._kept, self.counts = defaultdict(lambda: defaultdict(list)), Counter()
        for place, kinds in kept.items():
            for kind, parts in kinds.items():
                self._kept[to(place)][kind] += parts
        for (place, key), count in counts.items():
            self.counts[to(place), key] += count

    def at(self, place: Place) -> Iterator[Sum]:
        """Yields what there was in one place."""
        self._put_away()
        for (key, responded), parts in self._kept[place].items():
            times = [Histogram.merged(one.histogram() for one in of_clock) for of_clock in zip(*parts, strict=True)]
            if len(parts) > 1:
                parts[:] = [[Compact.of(one) for one in times]]
            service, response, lateness = times
            yield Sum(place, key, service, response if responded else service, lateness)

    def by_key(self) -> Iterator[Sum]:
        """Yields what there was of each kind in all places together."""
        self._put_away()
        for key, responded in dict.fromkeys(kind for kinds in self._kept.values() for kind in kinds):
            found = [part for kinds in self._kept.values() for part in kinds.get((key, responded), ())]
            times = zip(*found, strict=True)
            service, response, lateness = (Histogram.merged(one.histogram() for one in clock) for clock in times)
            yield Sum((0, 0), key, service, response if responded else service, lateness)

    def __iter__(self) -> Iterator[Sum]:
        self._put_away()
        for place in list(self._kept):
            yield from self.at(place)


class Compact(msgspec.Struct, frozen=True):
    """A histogram in a fifth to a half of its memory."""

    index: Integers
    counts: Integers
    low: int
    high: int
    total: int

    @classmethod
    def of(cls, one: Histogram) -> "Compact":
        """Returns it in this form."""
        small = np.min_scalar_type(one.counts.max(initial=0))
        return cls(one.index.astype(np.uint16), one.counts.astype(small), one.min_us, one.max_us, one.sum_us)

    def histogram(self) -> Histogram:
        """Returns it as it was."""
        return Histogram(self.index.astype(np.int64), self.counts.astype(np.int64), self.low, self.high, self.total)
