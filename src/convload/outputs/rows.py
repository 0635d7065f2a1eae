"""Turns a run log into rows, one for each kind of request in each interval, and writes them for other programs."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from convload.errors import UsageError
from convload.results.histogram import PERCENTILES, Histogram, milliseconds
from convload.results.progress import CLOCKS
from convload.results.runlog import Cell, Interval, RunLog

FORMAT = "convload/export/1"

Row = dict[str, Any]

_NAMES = ("from_s", "to_s", "worker", "step", "variant", "target", "stage", "phase", "outcome", "count")
_STATISTICS = ("min", *PERCENTILES, "max", "mean")


def rows(log: RunLog) -> Iterator[Row]:
    """Yields the rows in the order of the log; a clock that a request does not have is empty."""
    targets = {mark.name: mark.target for mark in log.stages}
    for interval in (record for record in log.records if isinstance(record, Interval)):
        for cell in interval.cells:
            yield _row(interval, cell, targets.get(cell.stage, ""))


def _row(interval: Interval, cell: Cell, target: str) -> Row:
    kind = (cell.step, cell.variant, target, cell.stage, cell.phase, cell.outcome, cell.count)
    worker = None if interval.own else interval.worker  # nobody's where the results of several are added up
    row: Row = dict(zip(_NAMES, (interval.from_s, interval.to_s, worker, *kind), strict=True))
    for clock in CLOCKS:
        times = Histogram.decode(getattr(cell, clock))
        row |= {f"{clock}_{name}_ms": value for name, value in _statistics(times).items()}
        row[f"{clock}_us"], row[f"{clock}_counts"] = times.values_us.tolist(), times.counts.tolist()
    return row


def _statistics(times: Histogram) -> dict[str, float | None]:
    """Returns figures of what may be a handful of requests: they describe it, and claim nothing of any other."""
    if not times.count:
        return dict.fromkeys(_STATISTICS)
    values = (times.min_us, *times.percentiles([*PERCENTILES.values()]), times.max_us, times.mean_us)
    return {name: milliseconds(value) for name, value in zip(_STATISTICS, values, strict=True)}


def csv_of(found: Iterable[Row]) -> bytes:
    """Returns a table; histograms have no place in it."""
    names = [*_NAMES, *(f"{clock}_{name}_ms" for clock in CLOCKS for name in _STATISTICS)]
    text = io.StringIO()
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(found)
    return text.getvalue().encode()


def json_of(found: Iterable[Row], manifest: Any) -> bytes:
    """Returns one document with the manifest and all rows, histograms included."""
    return json.dumps({"format": FORMAT, "manifest": manifest, "rows": list(found)}).encode() + b"\n"


def parquet_of(found: Iterable[Row], manifest: Any) -> bytes:
    """Returns a Parquet file with histograms as lists; the manifest is in its metadata.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 -- an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 -- as above
    except ImportError as error:
        raise UsageError("--format parquet: needs pyarrow: pip install 'convload[parquet]'") from error

    words, numbers = pa.string(), pa.list_(pa.int64())
    fields = [("from_s", pa.float64()), ("to_s", pa.float64()), ("worker", pa.int64())]
    fields += [(name, words) for name in _NAMES[3:-1]] + [("count", pa.int64())]
    for clock in CLOCKS:
        fields += [(f"{clock}_{name}_ms", pa.float64()) for name in _STATISTICS]
        fields += [(f"{clock}_us", numbers), (f"{clock}_counts", numbers)]
    schema = pa.schema(fields, {"convload": json.dumps({"format": FORMAT, "manifest": manifest})})
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(found), schema), out, compression="zstd")
    return bytes(out.getvalue())
