"""`convload export`: a run's measurements in the formats of other programs."""

import sys
from datetime import datetime
from pathlib import Path

import click
import msgspec

from convload.cli.options import PATH
from convload.contract.steps import CREATE
from convload.errors import UsageError
from convload.outputs import hlog, rows
from convload.results import runlog
from convload.results.histogram import Histogram
from convload.results.runlog import MEASURE, Interval, RunLog

EPILOG = """\b
Examples:
  convload export reports/latest --format hlog              reports/latest/run.hlog, response times of creates
  convload export reports/latest --format hlog --step conversation.close --clock service --out close.hlog
  convload export reports/latest --format parquet           needs pyarrow: pip install 'convload[parquet]'
  convload export reports/latest --format csv --out -
"""


@click.command(epilog=EPILOG)
@click.argument("run", type=PATH)
@click.option("--format", "kind", type=click.Choice(["hlog", "parquet", "csv", "json"]), required=True)
@click.option("--out", metavar="FILE", help="Where to; - is standard output.  [default: run.FORMAT in the run folder]")
@click.option("--step", default=CREATE, show_default=True, help="With hlog: which step.")
@click.option(
    "--clock",
    type=click.Choice(["response", "service", "lateness"]),
    default="response",
    show_default=True,
    help="With hlog: which times.",
)
def export(run: Path, kind: str, out: str | None, step: str, clock: str) -> None:
    """Write what a run measured, second by second, for other programs.

    hlog is an HdrHistogram log of one step's successful requests after the warm-up. The others have a row for each
    interval, worker, step, variant, stage, phase and outcome.
    """
    log = runlog.read(run)
    content = _hlog(log, step, clock) if kind == "hlog" else _table(log, kind)
    if out == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    path = Path(out) if out else (run if run.is_dir() else run.parent) / f"run.{kind}"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror}") from error
    click.echo(path)


def _table(log: RunLog, kind: str) -> bytes:
    found, manifest = rows.rows(log), msgspec.to_builtins(log.manifest)
    if kind == "csv":
        return rows.csv_of(found)
    return rows.json_of(found, manifest) if kind == "json" else rows.parquet_of(found, manifest)


def _hlog(log: RunLog, step: str, clock: str) -> bytes:
    intervals = [record for record in log.records if isinstance(record, Interval)]
    known = sorted({cell.step for one in intervals for cell in one.cells})
    if step not in known:
        raise UsageError(f"--step {step}: the run has no such step; it has {', '.join(known) or 'none'}")
    times = ((one.from_s, one.to_s, _times(one, step, clock)) for one in sorted(intervals, key=lambda one: one.from_s))
    started = datetime.fromisoformat(log.manifest.started)
    return hlog.write(started, (one for one in times if one[2].count)).encode()


def _times(interval: Interval, step: str, clock: str) -> Histogram:
    cells = (cell for cell in interval.cells if (cell.step, cell.phase, cell.outcome) == (step, MEASURE, "ok"))
    texts = (getattr(cell, clock) or (cell.service if clock == "response" else "") for cell in cells)
    return Histogram.merged(map(Histogram.decode, texts))
