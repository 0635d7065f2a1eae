"""Adds up what workers measured in the same time, so that a run log grows with its time and not with its workers.

Whose a result was matters to whoever judges a run where requests started late: then each worker's own clocks say why.
So a worker that was late keeps its results for itself, and where many were, each its lateness. Beside all sums stays
what each worker is of itself.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from convload.contract.steps import CREATE
from convload.results.cells import CLOCKS, MEASURE, CellKey, Cells, counted
from convload.results.histogram import Histogram, Integers
from convload.results.interval import Backoff, Interval
from convload.results.packing import Histograms, pack
from convload.results.together import COLUMNS, OTHERS, Together
from convload.results.window import EDGE_S

Chosen = npt.NDArray[np.bool_]

LATE_US = 1_000
"""A request that is sent so much later than it was due is late: several times what an event loop rounds to."""

APART = 16
"""Workers that were late in the same second and keep their results for themselves; a record of thousands would be a
log of thousands."""

HOLD_S = 1.0
"""For how long results wait for those of the other workers: one that hangs keeps nobody's from the disk."""


class Merger:
    """Puts the intervals of workers together that are of the same time.

    Args:
        write: takes what is complete.
        late_us: from which lateness on whose a result is matters.
        clock: what the time is.

    Attributes:
        workers: how many still send intervals.
    """

    def __init__(
        self,
        write: Callable[[Together], None],
        late_us: float = LATE_US,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._late_us = min(late_us, LATE_US)
        self._waiting: dict[int, list[tuple[float, list[Interval]]]] = {}
        self.workers = 1

    def add(self, interval: Interval) -> None:
        """Takes an interval; what is complete with it is written before this returns."""
        groups = self._waiting.setdefault(interval.n, [])
        parts = next((parts for _, parts in groups if _are_of_one_time(parts[0], interval)), None)
        if parts is None:
            parts = []
            groups.append((self._clock(), parts))
        parts.append(interval)
        if sum(len(parts) for _, parts in groups) >= self.workers:
            del self._waiting[interval.n]
            self._write_all(groups)

    def flush(self, hold_s: float = HOLD_S) -> None:
        """Writes what has waited for so long."""
        until_s = self._clock() - hold_s
        for n in [n for n, groups in self._waiting.items() if groups[0][0] <= until_s]:
            self._write_all(self._waiting.pop(n))

    def _write_all(self, groups: Iterable[tuple[float, list[Interval]]]) -> None:
        for _, parts in groups:
            found: dict[bool, list[Interval]] = {True: [], False: []}
            for part in parts:
                found[_latest_us(part) >= self._late_us].append(part)
            on_time, late = found[False], found[True]
            for together in filter(
                None, [on_time, *([one] for one in late)] if len(late) <= APART else [on_time, late]
            ):
                self._write(merge(together, late=together is not on_time))


def _are_of_one_time(one: Interval, other: Interval) -> bool:
    return abs(one.from_s - other.from_s) < EDGE_S and abs(one.to_s - other.to_s) < EDGE_S


def _latest_us(part: Interval) -> int:
    cells = Cells.of(part.cells)
    times, chosen = cells.times(), _measured_creates(cells)
    return int(times.high[2 :: len(CLOCKS)][chosen].max(initial=0))


def merge(parts: Sequence[Interval], *, late: bool = True) -> Together:
    """Returns intervals of one time, of several workers, as one record, with each one's lateness if they were late."""
    parts = sorted(parts, key=lambda part: part.worker)
    cells = [Cells.of(part.cells) for part in parts]
    keys, times = _added(cells) if len(parts) > 1 else (cells[0].keys, cells[0].times())
    return Together(
        n=parts[0].n,
        to_s=max(part.to_s for part in parts),
        keys=keys,
        counts=times.each_count[:: len(CLOCKS)].tolist(),
        times=times.pack(),
        columns=(*COLUMNS, *OTHERS),
        workers=pack([*_columns(parts), *_own(cells), *_pending(parts)]),
        hub_delays=_hub_delays(parts, cells) if len(parts) > 1 else parts[0].hub_delays,
        lateness=[one.encode() for one in _lateness(cells)] if late and len(parts) > 1 else [],
        errors=[error for part in parts for error in part.errors],
        samples=[sample for part in parts for sample in part.samples],
        backoffs=_added_backoffs(parts),
    )


def _added(cells: Sequence[Cells]) -> tuple[tuple[CellKey, ...], Histograms]:
    """Adds cells of the same key up; one without responses, whose service stands for them, not to one with them."""
    places: dict[tuple[CellKey, bool], int] = {}
    rows = []
    for of_worker in cells:
        responded = (of_worker.times().sizes[1 :: len(CLOCKS)] > 0).tolist()
        own = [places.setdefault(key, len(places)) for key in zip(of_worker.keys, responded, strict=True)]
        rows.append((len(CLOCKS) * np.array(own, np.int64)[:, None] + np.arange(len(CLOCKS))).reshape(-1))
    times = Histograms.merged([one.times() for one in cells], rows, len(CLOCKS) * len(places))
    return tuple(key for key, _ in places), times


def _measured_creates(cells: Cells) -> Chosen:
    return np.array([key[0] == CREATE and key[2] == MEASURE for key in cells.keys], bool)


def _own(cells: Sequence[Cells]) -> list[Integers]:
    """Returns the longest response of the measured creates of each worker, and how many creates it recorded."""
    longest = (one.times().high[1 :: len(CLOCKS)][_measured_creates(one)].max(initial=0) for one in cells)
    counts = (sum(count for key, count in counted(one) if key[0] == CREATE) for one in cells)
    return [np.array(list(map(int, of_all)), np.int64) for of_all in (longest, counts)]


def _lateness(cells: Sequence[Cells]) -> Iterator[Histogram]:
    """Yields the lateness of the measured creates of each worker."""
    for one in cells:
        rows = np.zeros((len(one), len(CLOCKS)), bool)
        rows[:, CLOCKS.index("lateness")] = _measured_creates(one)
        yield one.times().together(rows.reshape(-1))


def _hub_delays(parts: Sequence[Interval], cells: Sequence[Cells]) -> str:
    """Adds up how late the event loops were; those of a worker count as much as its measured creates."""
    found = []
    for part, own in zip(parts, cells, strict=True):
        creates = sum(
            count for count, chosen in zip(own.counts, _measured_creates(own).tolist(), strict=True) if chosen
        )
        if creates and part.hub_delays:
            one = Histogram.decode(part.hub_delays)
            found.append(Histogram(one.index, one.counts * creates, one.min_us, one.max_us, one.sum_us * creates))
    return Histogram.merged(found).encode()


def _columns(parts: Sequence[Interval]) -> list[Integers]:
    return [
        np.rint(np.array([getattr(part, name) for part in parts], np.float64) * in_parts).astype(np.int64)
        for name, in_parts in COLUMNS.items()
    ]


def _pending(parts: Sequence[Interval]) -> list[Integers]:
    sizes = [len(part.pending) for part in parts]
    return [np.array(sizes, np.int64), np.array([count for part in parts for count in part.pending], np.int64)]


def _added_backoffs(parts: Sequence[Interval]) -> list[Backoff]:
    found: dict[tuple[str, str, str, str], list[Backoff]] = {}
    for one in (one for part in parts for one in part.backoffs):
        found.setdefault((one.phase, one.outcome, one.fate, one.retry_after), []).append(one)
    return [
        Backoff(
            *key,
            count=sum(one.count for one in same),
            waited=Histogram.merged(Histogram.decode(one.waited) for one in same).encode(),
        )
        for key, same in found.items()
    ]
