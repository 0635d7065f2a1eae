"""The record of a run log that holds what all workers measured in the same time."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from convload.errors import RunLogError
from convload.results.cells import CellKey, Cells, Coded, Count
from convload.results.histogram import Integers
from convload.results.interval import LONGEST_RUN_S, Backoff, ErrorSample, Interval, Own, RequestSample, Seconds
from convload.results.packing import Packed, unpack

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
        *columns, pending = unpack(self.workers, len(self.columns) + 1)
        named = dict(zip(self.columns, columns, strict=True))
        cells = Cells(_one_of(self.keys), self.counts, Packed.of(self.times))
        if not _fit(named, len(self.lateness), pending) or len(cells.counts) != len(cells):
            raise RunLogError("the columns of workers are damaged")
        slowest, creates, sizes = (named[name] for name in OTHERS)
        lateness = self.lateness or [""] * len(sizes)
        own = map(Own, lateness, slowest.tolist(), creates.tolist()) if len(sizes) > 1 else [None]
        known = [name for name in COLUMNS if name in named]
        rows = zip(*(_in_units(name, named[name]) for name in known), strict=True)
        waiting, ends = pending.tolist(), np.cumsum(sizes).tolist()
        found = [
            Interval(cells=[], n=self.n, pending=waiting[begin:end], own=of_one, **dict(zip(known, row, strict=True)))
            for row, of_one, begin, end in zip(rows, own, [0, *ends[:-1]], ends, strict=True)
        ]
        of_all = {name: getattr(self, name) for name in ("errors", "samples", "backoffs", "hub_delays")}
        found[0] = msgspec.structs.replace(found[0], cells=cells, **of_all)
        return found


def _fit(named: Mapping[str, Integers], lateness: int, pending: Integers) -> bool:
    """Says whether all columns are there, go together, and hold what can be: no instant lies beyond all runs."""
    if not named.keys() >= {*_OF_EVERY_VERSION, *OTHERS} or len({len(column) for column in named.values()}) != 1:
        return False
    workers, least = len(named["worker"]), (int(one.min(initial=0)) for name, one in named.items() if name != _SIGNED)
    late = max(int(named[name].max(initial=0)) for name in _INSTANTS) > LONGEST_RUN_S * COLUMNS["to_s"]
    fit = workers > 0 and lateness in {0, workers} and named["pending"].sum() == len(pending)
    return fit and not late and all(one >= 0 for one in (*least, pending.min(initial=0)))


def _in_units(name: str, column: Integers) -> list[Any]:
    parts = COLUMNS[name]
    values: list[Any] = (column > 0 if name == "last" else column if parts == 1 else column / parts).tolist()
    return values


@lru_cache(maxsize=1024)
def _one_of(keys: tuple[CellKey, ...]) -> tuple[CellKey, ...]:
    """Returns the same object for equal keys: nearly all seconds of a run have the same."""
    return keys
