"""The record of a run log that holds what all workers measured in the same time."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from convload.errors import RunLogError
from convload.results.cells import CellKey, Cells, Coded, Count
from convload.results.health import OF_ALL, Merged, Table, intervals_of
from convload.results.health import Column as Values
from convload.results.histogram import Integers
from convload.results.interval import LONGEST_RUN_S, Backoff, ErrorSample, Interval, Own, RequestSample, Seconds
from convload.results.packing import Column, Packed, unpack_all

_OF_ONE = (
    *("worker", "users", "in_flight", "built", "sent", "recorded", "memory_bytes", "left_open", "last", "offered"),
    *("unsent", "backlog", "files_free", "sockets_waiting", "retried", "awaiting"),
)
_SHARES = ("cpu_share", "cpu_wait_share", "throttled_share")
_INSTANTS = ("from_s", "to_s", "silent_from_s", "silent_to_s")
_OF_EVERY_VERSION = (*_OF_ONE, *_SHARES, *_INSTANTS, "hub_delay_ms")
_SIGNED = "files_free"
COLUMNS = {"hub_delay_ms": 10**3}
COLUMNS |= dict.fromkeys(_OF_ONE, 1) | dict.fromkeys(_SHARES, 10**4) | dict.fromkeys(_INSTANTS, 10**6)
"""What each worker is of itself, and into how many parts a unit is divided for it: columns are of whole numbers."""

OTHERS = ("slowest_us", "creates", "pending")
"""Two of each worker's `own`, and how many of the last column are its `pending`."""


class Together(msgspec.Struct, frozen=True, tag="together", tag_field="record"):
    """What one or several workers measured in the same time, their results added up.

    `times` are the histograms of the cells (`packing.Histograms`), three for each of `keys`. `workers` has what each
    worker is of itself (`packing.pack`): the named `columns`, then the `pending` of all. A later version may have more
    of them. `lateness` is each worker's own, and empty where none was late.
    """

    n: Annotated[int, Meta(ge=0, le=int(LONGEST_RUN_S))]
    to_s: Seconds
    keys: Annotated[tuple[CellKey, ...], Meta(max_length=100_000)]
    counts: list[Count]
    times: str
    columns: tuple[str, ...]
    workers: str
    hub_delays: Coded = ""
    lateness: list[Coded] = []
    errors: list[ErrorSample] = []
    samples: list[RequestSample] = []
    backoffs: list[Backoff] = []

    def intervals(self) -> list[Interval]:
        """Returns an interval for each worker; the first has what all measured. Raises RunLogError for damage."""
        return list(intervals_of(read([self], new_table())))


def new_table() -> Table:
    """Returns a place for what workers are of themselves."""
    return Table(COLUMNS)


def read(records: Sequence[Together], table: Table) -> list[Merged]:
    """Returns what records have that have the same columns; what each worker is of itself is put into the table.

    Raises RunLogError where any of them is damaged; then nothing is.
    """
    names = records[0].columns
    *columns, waiting = unpack_all([Packed.of(one.workers) for one in records], len(names) + 1)
    named = dict(zip(names, columns, strict=True))
    if not _fit(named, waiting, records):
        raise RunLogError("the columns of workers are damaged")
    lengths = named["worker"].lengths
    values: dict[str, Values] = {name: named[name].values for name in (*COLUMNS, "slowest_us", "creates")}
    values["n"] = np.repeat([one.n for one in records], lengths)
    values["last"] = values["last"] > 0
    ends = np.cumsum(lengths)
    found = list(_merged(records, values, ends - lengths, table))
    lateness = {
        begin + at: Own(text, int(values["slowest_us"][begin + at]), int(values["creates"][begin + at]))
        for one, begin in zip(records, (ends - lengths).tolist(), strict=True)
        for at, text in enumerate(one.lateness)
    }
    table.add(
        values | {"looks": named["pending"].values, "pending": waiting.values},
        {table.length + place: own for place, own in lateness.items()},
        int(ends[-1]),
    )
    for one in found:
        if one.own is None:
            table.know(one.begin, one)
    return found


def _merged(
    records: Sequence[Together], values: Mapping[str, Values], begins: Integers, table: Table
) -> Iterator[Merged]:
    of_first = ("n", *COLUMNS)
    rows = zip(*(_in_units(name, values[name][begins]) for name in of_first), strict=True)
    own = zip(values["slowest_us"][begins].tolist(), values["creates"][begins].tolist(), strict=True)
    ends = [*begins[1:].tolist(), len(values["worker"])]
    for one, row, (slowest_us, creates), begin, end in zip(records, rows, own, begins.tolist(), ends, strict=True):
        yield Merged(
            cells=Cells(_one_of(one.keys), one.counts, Packed.of(one.times)),
            own=Own(one.lateness[0] if one.lateness else "", slowest_us, creates) if end - begin > 1 else None,
            table=table,
            begin=table.length + begin,
            end=table.length + end,
            **{name: getattr(one, name) for name in OF_ALL},
            **dict(zip(of_first, row, strict=True)),
        )


def _fit(named: Mapping[str, Column], waiting: Column, records: Sequence[Together]) -> bool:
    """Says whether all columns are there, go together, and hold what can be: no instant lies beyond all runs."""
    if not named.keys() >= {*_OF_EVERY_VERSION, *OTHERS}:
        return False
    lengths = named["worker"].lengths
    if not lengths.all() or not all((one.lengths == lengths).all() for one in named.values()):
        return False
    least = [int(one.values.min(initial=0)) for name, one in named.items() if name != _SIGNED]
    late = max(int(named[name].values.max(initial=0)) for name in _INSTANTS) > LONGEST_RUN_S * COLUMNS["to_s"]
    looks = np.add.reduceat(named["pending"].values, np.cumsum(lengths) - lengths)
    each = zip(records, lengths.tolist(), strict=True)
    fit = all(len(one.lateness) in {0, length} and len(one.counts) == len(one.keys) for one, length in each)
    is_whole = bool((looks == waiting.lengths).all())
    return fit and is_whole and not late and min(*least, int(waiting.values.min(initial=0))) >= 0


def _in_units(name: str, column: Values) -> list[Any]:
    parts = COLUMNS.get(name, 1)
    found: list[Any] = (column / parts if parts > 1 else column).tolist()
    return found


@lru_cache(maxsize=1024)
def _one_of(keys: tuple[CellKey, ...]) -> tuple[CellKey, ...]:
    """Returns the same object for equal keys: nearly all seconds of a run have the same."""
    return keys
