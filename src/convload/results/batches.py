"""Batches of equal time of what was measured: what tells how far requests depend on each other."""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from convload.contract.outcomes import OK
from convload.results.cells import CellKey
from convload.results.histogram import Histogram
from convload.results.runlog import Interval
from convload.results.sums import Sums
from convload.results.window import Window, middle_s

FEWEST, MOST = 10, 20
BATCH_S = 15.0
"""A batch is longer than what its requests have in common, so that batches are nearly independent; ten of them at
least are needed to know how they vary. Longer runs have more, of this length."""

PIECES = 3
"""More than the fewest batches are cut into so many, which show whether a batch is long enough (dependence.py)."""

FEWEST_OF_A_STAGE = 3
"""A stage with fewer batches of its own says too little about how it varies within itself."""

Counts = npt.NDArray[np.float64]


class Sliced(msgspec.Struct, frozen=True):
    """Times of requests by stratum and piece of a batch; a stratum is a stage of the load, whose level differs by plan.

    `pieces` is how many are a batch.
    """

    times: list[list[Histogram]]
    pieces: int = 1

    def all(self) -> Histogram:
        """Returns all of them together."""
        return Histogram.merged(part for row in self.times for part in row)

    def counts(self) -> Counts:
        """Returns how many there are, a row a stratum and a column a piece."""
        return np.array([[part.count for part in row] for row in self.times], float)

    def above(self, level_us: float) -> Counts:
        """Returns how many are above a level."""
        return np.array([[part.above(level_us) for part in row] for row in self.times], float)


def batch_count(length_s: float) -> int:
    """Returns into how many batches a time is cut."""
    return min(MOST, max(FEWEST, math.floor(length_s / BATCH_S)))


def piece_count(length_s: float) -> int:
    """Returns into how many pieces a batch is cut."""
    return PIECES if batch_count(length_s) > FEWEST else 1


class Batches:
    """Cuts times of a run (the measured time, or the pieces of a stage) into batches, as many as its length allows for.

    A stage that is long enough is a stratum of its own.
    """

    def __init__(self, intervals: Sequence[Interval], times: Sequence[Window], stages: Sequence[Window] = ()) -> None:
        self._intervals = intervals
        self._times = list(times)
        self.length_s = sum(time.length_s for time in times)
        self.count = batch_count(self.length_s)
        self.pieces = piece_count(self.length_s)
        self._columns = self.count * self.pieces
        shortest_s = FEWEST_OF_A_STAGE * self.length_s / self.count
        long_enough = [stage for stage in stages if stage.length_s >= shortest_s]
        self._strata = long_enough if len(long_enough) > 1 else []
        self._sliced: dict[tuple[str, str, str, str], Sliced] = {}

    def times(self, step: str, variant: str, stage: str, clock: str) -> Sliced:
        """Returns the times of requests that ended well; `clock` is that of a cell, lateness is of all requests.

        Gates on several percentiles ask for the same, and a run is judged while it goes on: each is cut once.
        """
        asked = (step, variant, stage, clock)
        if asked not in self._sliced:
            self._sliced[asked] = self._cut(*asked)
        return self._sliced[asked]

    def _cut(self, step: str, variant: str, stage: str, clock: str) -> Sliced:
        found: list[list[list[Histogram]]] = [[[] for _ in range(self._columns)] for _ in range(len(self._strata) + 1)]
        for one in self.sums:
            if _is_of(one.key, step, variant, stage) and (one.key[3] == OK or clock == "lateness"):
                row, column = one.place
                found[row][column].append(getattr(one, clock))
        return Sliced([[Histogram.merged(one) for one in row] for row in found], self.pieces)

    def outcomes(self, step: str, variant: str, stage: str, kind: str) -> tuple[Counts, Counts]:
        """Returns how many requests there were and how many failed, of one kind of error if it is named."""
        counts, hits = (np.zeros((len(self._strata) + 1, self._columns)) for _ in range(2))
        for (place, key), count in self.sums.counts.items():
            if _is_of(key, step, variant, stage):
                counts[place] += count
                hits[place] += count if key[3] == kind or (not kind and key[3] != OK) else 0
        return counts, hits

    @cached_property
    def sums(self) -> Sums:
        """All that was measured, by batch: one pass over a log serves whatever is asked of it."""
        for _ in self.sum_up():
            pass
        return self.sums

    def sum_up(self) -> Iterator[None]:
        """Counts `sums`, an interval a step; so may others that read the same cells, which are decoded once for all."""
        found = Sums()
        for interval in self._intervals:
            if interval.cells:
                found.add(interval.cells, self._place(interval))
            yield
        found.settle()
        self.sums = found

    def _place(self, interval: Interval) -> tuple[int, int]:
        """Returns stratum and piece. What came in after the measured time was due in it, and belongs to its end."""
        at_s, before_s = middle_s(interval), 0.0
        row = next((n for n, stage in enumerate(self._strata, 1) if stage.has(interval)), 0)
        for time in self._times:
            if at_s < time.to_s:
                before_s += max(0.0, at_s - time.from_s)
                break
            before_s += time.length_s
        return row, min(self._columns - 1, int(before_s / self.length_s * self._columns)) if self.length_s else 0


def _is_of(key: CellKey, step: str, variant: str, stage: str) -> bool:
    return key[0] == step and variant in {"", key[1]} and stage in {"", key[4]}
