"""The results of an interval by what they are of: cells, and cells whose times are read only when asked for."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from convload.errors import RunLogError
from convload.results.histogram import Histogram
from convload.results.packing import Histograms, Packed

MEASURE = "measure"
"""The phase of the requests that figures are of."""

Count = Annotated[int, Meta(ge=0, le=1 << 53)]
"""Whole numbers up to here are exact as floats."""
Coded = Annotated[str, Meta(max_length=65_536)]
"""A histogram; real ones have some thousand characters."""


class Cell(msgspec.Struct, frozen=True):
    """The results of one (step, variant, phase, outcome) in one interval.

    `variant` is empty for steps other than conversation.create. `phase` is "warmup", "measure" or
    "cleanup", decided by the instant a request was due. The histograms are in microseconds, as they are or as text
    (`Histogram.encode`); in the closed model due = sent, so `response` equals `service` and is left empty, as is
    `lateness`.
    """

    step: str
    variant: str
    phase: str
    outcome: str
    count: Count
    service: Coded | Histogram
    response: Coded | Histogram = ""
    lateness: Coded | Histogram = ""
    stage: str = ""


CellKey = tuple[str, str, str, str, str]
"""Step, variant, phase, outcome and stage of a cell."""


class Cells(Sequence[Cell]):
    """Cells whose times are read when they are looked at: those of a long log would not fit the memory.

    Attributes:
        keys: of the cells.
        counts: of the requests in each.
    """

    __slots__ = ("_times", "counts", "keys")

    def __init__(self, keys: tuple[CellKey, ...], counts: list[int], times: Packed | Histograms) -> None:
        self.keys, self.counts, self._times = keys, counts, times

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> "Cells":
        """Returns cells in this form."""
        if isinstance(cells, Cells):
            return cells
        times = (getattr(cell, name) for cell in cells for name in CLOCKS)
        keys = tuple((cell.step, cell.variant, cell.phase, cell.outcome, cell.stage) for cell in cells)
        return cls(keys, [cell.count for cell in cells], Histograms.of([Histogram.decode(one) for one in times]))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: Any) -> Any:
        return list(self)[place]

    def __iter__(self) -> Iterator[Cell]:
        times = self.times().all()
        for at, ((step, variant, phase, outcome, stage), count) in enumerate(zip(self.keys, self.counts, strict=True)):
            service, response, lateness = times[3 * at : 3 * at + 3]
            yield Cell(step, variant, phase, outcome, count, service, response, lateness, stage)

    def times(self) -> Histograms:
        """Returns service, response and lateness of each; raises RunLogError where they are damaged."""
        if isinstance(self._times, Histograms):
            return self._times
        times, counts = _unpacked(self._times)
        if len(times.sizes) != len(CLOCKS) * len(self.keys) or counts != self.counts:
            raise RunLogError(f"the times of {len(self.keys)} cells are damaged")
        return times


def counted(cells: Sequence[Cell]) -> Iterator[tuple[CellKey, int]]:
    """Yields what each cell is of and how many requests are in it, without a look at their times."""
    if isinstance(cells, Cells):
        yield from zip(cells.keys, cells.counts, strict=True)
    else:
        for cell in cells:
            yield (cell.step, cell.variant, cell.phase, cell.outcome, cell.stage), cell.count


@lru_cache(maxsize=8)
def _unpacked(text: Packed) -> tuple[Histograms, list[int]]:
    """Returns histograms, and the counts of cells; several readers look at the same seconds one after the other."""
    times = Histograms.unpack(text)
    return times, times.each_count[:: len(CLOCKS)].tolist()


CLOCKS = ("service", "response", "lateness")
"""The times of a cell, in the order of its histograms."""
