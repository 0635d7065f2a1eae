"""What each worker was of itself in each of its intervals, as columns: a long run of many workers has millions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from convload.contract.steps import CREATE
from convload.results.cells import counted
from convload.results.histogram import Integers
from convload.results.interval import Interval, Own

Floats = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]
Other = TypeVar("Other")

OF_ALL = ("errors", "samples", "backoffs", "hub_delays")
"""What is added up beside the results."""

_WIDTHS = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.uint32))


class Rows(Protocol):
    """Intervals of workers in the order of a log."""

    def column(self, name: str) -> Column:
        """Returns what all say of one thing, by the name that an interval has for it."""
        ...

    def timed(self) -> Mapping[int, Interval | Own]:
        """Returns those that may know how late their creates were, by their places."""
        ...


class Health:
    """Intervals of workers in the order of worker and number; a column is read when it is asked for.

    Args:
        rows: what they are read from.
        places: where they stand in it.
    """

    def __init__(self, rows: Rows, places: Integers) -> None:
        self._rows, self._places = rows, places

    @classmethod
    def of(cls, records: Iterable[Interval]) -> "Health":
        """Returns what records of a log have of each worker."""
        records = list(records)
        tables = {id(one.table): one.table for one in records if isinstance(one, Merged)}
        if len(tables) == 1 and all(isinstance(one, Merged) for one in records):
            (rows,) = tables.values()
            places = np.concatenate([np.arange(one.begin, one.end) for one in records])  # type: ignore[attr-defined]
        else:
            rows = _Each(list(intervals_of(records)))
            places = np.arange(len(rows.intervals))
        order = np.lexsort((rows.column("n")[places], rows.column("worker")[places]))
        return cls(rows, places[order])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, name: str) -> Column:
        """Returns a column, by the name that an interval has for it."""
        return self._rows.column(name)[self._places]

    def where(self, chosen: Chosen) -> "Health":
        """Returns some of them."""
        return Health(self._rows, self._places[chosen])

    # -- by worker --

    @cached_property
    def starts(self) -> Integers:
        """Where each worker begins."""
        return np.flatnonzero(np.diff(self["worker"], prepend=-1))

    @cached_property
    def sizes(self) -> Integers:
        """How many intervals each worker has."""
        return np.diff(np.append(self.starts, len(self)))

    @property
    def workers(self) -> list[int]:
        """The numbers of the workers."""
        found: list[int] = self["worker"][self.starts].tolist()
        return found

    @property
    def ends(self) -> "Health":
        """The last of each worker."""
        return Health(self._rows, self._places[self.starts + self.sizes - 1])

    def sums(self, values: Column) -> Column:
        """Returns the sum of each worker."""
        return np.add.reduceat(values, self.starts) if len(self) else values

    def highest(self, values: Column) -> Column:
        """Returns the highest of each worker."""
        return np.maximum.reduceat(values, self.starts) if len(self) else values

    def rises(self, name: str) -> Column:
        """Returns by how much a count since the start rose in each."""
        values = self[name]
        before = np.roll(values, 1)
        before[self.starts] = 0
        return values - before

    # -- of each --

    def find(self, records: Sequence[Interval]) -> Integers:
        """Returns where some are, by worker and number."""
        numbers = self["n"]
        base, worker = int(numbers.max(initial=0)) + 1, np.repeat(np.arange(len(self.sizes)), self.sizes)
        wanted = np.searchsorted(self.workers, [one.worker for one in records]) * base
        return np.searchsorted(worker * base + numbers, wanted + np.array([one.n for one in records], np.int64))

    @cached_property
    def lengths_s(self) -> Floats:
        """How long each lasted."""
        found: Floats = self["to_s"] - self["from_s"]
        return found

    @property
    def middles_s(self) -> Floats:
        """The instants that say where each belongs."""
        found: Floats = (self["from_s"] + self["to_s"]) / 2
        return found

    def timed(self) -> Iterator[tuple[int, Interval | Own]]:
        """Yields those that may know how late their creates were, with their places here."""
        known = self._rows.timed()
        here = np.flatnonzero(np.isin(self._places, np.fromiter(known, np.int64))) if known else self._places[:0]
        yield from ((at, known[place]) for at, place in zip(here.tolist(), self._places[here].tolist(), strict=True))


class Table:
    """Columns that were read from a log piece by piece: whole numbers in as few bytes as they need.

    Args:
        parts: into how many a unit is divided for a column, where not into one.
    """

    def __init__(self, parts: Mapping[str, int]) -> None:
        self._parts = parts
        self._pieces: dict[str, list[Column]] = {}
        self._timed: dict[int, Interval | Own] = {}
        self.length = 0

    def add(self, columns: Mapping[str, Column], timed: Mapping[int, Own], length: int) -> None:
        """Takes so many more rows, and what some of them know of their creates."""
        for name, values in columns.items():
            self._pieces.setdefault(name, []).append(_narrow(values))
        self._timed |= timed
        self.length += length

    def know(self, place: int, one: Interval) -> None:
        """Takes the only one of its time: it has its results for itself."""
        self._timed[place] = one

    def timed(self) -> Mapping[int, Interval | Own]:
        """Returns those that may know how late their creates were, by their places."""
        return self._timed

    def column(self, name: str) -> Column:
        """Returns a column in its unit."""
        pieces = self._pieces[name]
        pieces[:] = [np.concatenate(pieces)] if len(pieces) > 1 else pieces
        parts = self._parts.get(name, 1)
        return pieces[0] / parts if parts > 1 else _widen(pieces[0])

    def intervals(self) -> list[Interval]:
        """Returns all, none of them with results."""
        names = [name for name in Interval.__struct_fields__ if name in self._pieces and name != "pending"]
        rows = zip(*(self.column(name).tolist() for name in names), strict=True)
        waiting, ends = self.column("pending").tolist(), np.cumsum(self.column("looks")).tolist()
        own = (
            known if isinstance(known := self._timed.get(place), Own) else Own("", *facts)
            for place, facts in enumerate(
                zip(self.column("slowest_us").tolist(), self.column("creates").tolist(), strict=True)
            )
        )
        return [
            Interval(cells=[], pending=waiting[begin:end], own=of_one, **dict(zip(names, row, strict=True)))
            for row, of_one, begin, end in zip(rows, own, [0, *ends[:-1]], ends, strict=True)
        ]


class Merged(Interval, frozen=True, gc=True):
    """The results of workers in the same time, added up, with the rows of a table that tell what each worker was.

    The rest is what the first of them was.
    """

    table: Any = None
    begin: int = 0
    end: int = 0


def intervals_of(records: Iterable[Other]) -> Iterator[Other | Interval]:
    """Yields an interval for each worker: the first of some that are added up has the results of all."""
    known: dict[int, list[Interval]] = {}
    for one in records:
        if isinstance(one, Merged):
            every = known.get(id(one.table)) or known.setdefault(id(one.table), one.table.intervals())
            results = {name: getattr(one, name) for name in OF_ALL}
            yield msgspec.structs.replace(every[one.begin], own=one.own, cells=one.cells, **results)
            yield from every[one.begin + 1 : one.end]
        else:
            yield one


def creates_of(interval: Interval) -> int:
    """Returns how many create requests a worker recorded in an interval, of all phases."""
    if interval.own is not None:
        return interval.own.creates
    return sum(count for key, count in counted(interval.cells) if key[0] == CREATE)


class _Each:
    """Intervals one by one."""

    def __init__(self, intervals: Sequence[Interval]) -> None:
        self.intervals = intervals
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        """Returns what all say of one thing."""
        if name not in self._columns:
            self._columns[name] = np.array(
                [*map(creates_of if name == "creates" else attrgetter(name), self.intervals)],
                float if name in _FRACTIONS else bool if name == "last" else int,
            )
        return self._columns[name]

    def timed(self) -> Mapping[int, Interval | Own]:
        """Returns those that may know how late their creates were, by their places."""
        return {place: one.own or one for place, one in enumerate(self.intervals) if one.own or one.cells}


_FRACTIONS = frozenset(name for name in Interval.__struct_fields__ if name.endswith(("_s", "_ms", "_share")))


def _narrow(values: Column) -> Column:
    if values.dtype == bool or values.min(initial=0) < 0:
        return values
    highest = values.max(initial=0)
    return values.astype(next((width for width in _WIDTHS if highest <= np.iinfo(width).max), np.dtype(np.int64)))


def _widen(values: Column) -> Column:
    return values if values.dtype == bool else values.astype(np.int64)
