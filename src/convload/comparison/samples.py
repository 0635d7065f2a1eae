"""What one side of a comparison measured of a step: its figures, and how its parts differ from the whole of it."""

import numpy as np
import numpy.typing as npt

from convload.comparison.batches import Batch, strata
from convload.results.batches import FEWEST_OF_A_STAGE, batch_count
from convload.results.histogram import Histogram

Floats = npt.NDArray[np.float64]

TIMES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
"""The percentiles that are compared."""

FEWEST_PARTS, MOST_PARTS, PART_S = 10, 20, 3.0
"""Times are cut into more parts than those of a gate: both sides tell together how parts vary, so one that was lucky
has less weight. Failures are cut as for a gate, for a burst may last longer than such a part."""


class Sample:
    """The batches of one step as a matrix of batches × buckets in use; parts of the time are `part_s` long at least."""

    def __init__(self, batches: list[Batch], part_s: float = PART_S) -> None:
        self.batches = batches
        self.part_s = part_s
        self.times = Histogram.merged(batch.times for batch in batches)
        self.matrix = np.zeros((len(batches), len(self.times.index)))
        for row, batch in enumerate(batches):
            self.matrix[row, np.searchsorted(self.times.index, batch.times.index)] = batch.times.counts
        self.failed = np.array([batch.failed for batch in batches], np.float64)
        self.counts = np.array([batch.count for batch in batches], np.float64)
        self.in_time = self.counts - np.array([batch.late for batch in batches], np.float64)
        self.lengths_s = np.array([batch.length_s for batch in batches], np.float64)
        self.length_s = float(self.lengths_s.sum())

    @property
    def error_share(self) -> float:
        """Failed requests of all."""
        return float(self.failed.sum() / self.counts.sum())

    @property
    def rate(self) -> float:
        """Requests answered, or failed, per second of the measured time; 0 where nothing was measured."""
        return float(self.in_time.sum() / self.length_s) if self.length_s else 0.0

    def table(self, name: str) -> tuple[Floats, Floats]:
        """Returns of how many things how many are what a statistic is the share of, a column a part of the time.

        Of a percentile that is requests above it, of errors those that failed; a rate is requests of seconds.
        """
        if name in TIMES:
            return self.above(TIMES[name])
        if name == "errors":
            return self._table(batch_count(self.length_s), self.counts, self.failed)
        return self._table(self._parts, self.lengths_s, self.in_time)

    def above(self, percent: float) -> tuple[Floats, Floats]:
        """Returns how many times there are in each part, and how many above a percentile of the whole.

        Where none is, as many took the same longest time, those at the percentile count: they have company, too.
        """
        upto = self.matrix.sum(axis=0).cumsum()
        at = int(np.searchsorted(upto, percent / 100 * self.times.count - 1e-6))
        beyond = self.matrix[:, at + 1 :] if at + 1 < len(upto) else self.matrix[:, at:]
        return self._table(self._parts, self.matrix.sum(axis=1), beyond.sum(axis=1))

    @property
    def _parts(self) -> int:
        return max(FEWEST_PARTS, min(MOST_PARTS, int(self.length_s / self.part_s)))

    def _table(self, most: int, counts: Floats, hits: Floats) -> tuple[Floats, Floats]:
        """Adds batches up to parts of equal time, a column each, and to strata, a row each that is long enough."""
        parts = max(1, min(len(self.batches), most))
        middles = np.cumsum(self.lengths_s) - self.lengths_s / 2
        column = np.minimum(parts - 1, (middles / max(self.length_s, 1e-9) * parts).astype(int))
        row = np.zeros(len(self.batches), int)
        for low, high in strata(self.batches):
            if self.lengths_s[low:high].sum() >= FEWEST_OF_A_STAGE * self.length_s / parts:
                row[low:high] = row.max() + 1
        rows = int(row.max(initial=0)) + 1
        added = [np.bincount(row * parts + column, one, rows * parts).reshape(rows, parts) for one in (counts, hits)]
        return added[0].astype(np.float64), added[1].astype(np.float64)


def statistic(sample: Sample, name: str) -> float | None:
    """Returns a statistic in its unit (ms, percent, per second); None where nothing was measured."""
    if name in TIMES:
        return sample.times.percentile(TIMES[name]) / 1000 if sample.times.count else None
    if not sample.counts.sum():
        return None
    return 100 * sample.error_share if name == "errors" else sample.rate
