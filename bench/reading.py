"""What a long run of many workers costs who reads it.

`python -m bench.reading FOLDER SECONDS WORKERS [1]` makes its log, with 1 as earlier versions wrote it, or one of two
thousand workers and more; the bench makes one of each and has `convload report` read them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from bench.figures import Figure
from bench.tools import MEASURED

from convload.contract.steps import CREATE
from convload.plan.schedule import StageMark
from convload.results import runlog
from convload.results.histogram import Histogram
from convload.results.merging import merge
from convload.results.packing import pack, unpack
from convload.results.runlog import MEASURE, READABLE, Cell, Ended, Interval, Manifest, Record, Started

SECONDS = int(os.environ.get("BENCH_READING_SECONDS", "7200"))
WORKERS = 10
MANY = 2000
MANY_SECONDS = int(os.environ.get("BENCH_READING_MANY_SECONDS", "3600"))
VARIANTS = 24
A_CELL = 16
"""Create requests of a variant, worker and second: 384 a worker and second, of ten workers 3,840."""
A_SECOND = VARIANTS * A_CELL

OF_MANY = 8
"""Create requests of each of seven variants, worker and second, where there are many workers."""

POOL = 120
"""Seconds whose times differ. Each line is deflated for itself, so a log is no shorter because they come again."""

SERVICE_US, SPREAD, LATENESS_US = 20_000, 0.5, 60
SEED = 7
HOLD = "hold"


def reading(folder: Path) -> list[Figure]:
    """Made logs of two hours and ten workers, and of an hour of two thousand: what their reports cost."""
    few, many = folder / "few", folder / "many"
    few.mkdir()
    make(few, SECONDS, WORKERS)
    what, of_many = (
        f"{SECONDS:,} s of {WORKERS} workers and {VARIANTS} variants",
        f"{MANY_SECONDS:,} s of {MANY:,} workers",
    )
    found = [
        *_report(few, what),
        Figure("its report.html", (few / "report.html").stat().st_size / 1000, "KB", at_most=600),
    ]
    many.mkdir()
    make_many(many, MANY_SECONDS, MANY)
    return [*found, *_report(many, of_many, log_mb=1000, time_s=60, memory_mb=None)]


def _report(folder: Path, what: str, log_mb: int = 150, time_s: int = 15, memory_mb: int | None = 500) -> list[Figure]:
    """Returns what the report of a log costs."""
    size = (folder / runlog.FILE_NAME).stat().st_size
    began_s = time.monotonic()
    command = [sys.executable, "-m", "convload.cli", "report", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as report:
        _, status, used = os.wait4(report.pid, 0)
        report.returncode = os.waitstatus_to_exitcode(status)
    assert report.returncode in MEASURED, report.returncode
    took_s = time.monotonic() - began_s
    return [
        Figure(f"log of {what}", size / 1e6, "MB", at_most=log_mb),
        Figure("its report, time", took_s, "s", at_most=time_s),
        Figure("its report, CPU time", used.ru_utime + used.ru_stime, "s"),
        Figure("its report, memory", used.ru_maxrss * 1024 / 1e6, "MB", at_most=memory_mb),
    ]


def make(folder: Path, seconds: int, workers: int, version: int = 2) -> None:
    """Writes the log of an open load, all of whose requests ended well."""
    encoder = msgspec.json.Encoder()
    with (folder / runlog.FILE_NAME).open("wb") as log:
        for record in _records(seconds, workers, version):
            log.write(encoder.encode(record) + b"\n")


def _records(seconds: int, workers: int, version: int) -> Iterator[Record]:
    yield manifest_of(seconds, workers, version)
    yield Started(0.0, workers)
    rng = np.random.default_rng(SEED)
    pool = [[_cells(rng, as_text=version == 1) for _ in range(workers)] for _ in range(POOL)]
    added = [merge([interval(rng, worker, 0, cells) for worker, cells in enumerate(one)]) for one in pool]
    for n in range(seconds):
        place = int(rng.integers(POOL))
        if version == 1:
            yield from (interval(rng, worker, n, cells, n == seconds - 1) for worker, cells in enumerate(pool[place]))
        else:
            # What each worker is of itself is this second's own; only the adding up is not done again.
            few = [Cell(CREATE, "", MEASURE, "ok", A_SECOND, pool[place][0][0].service)]
            own = merge([interval(rng, worker, n, few, n == seconds - 1) for worker in range(workers)])
            yield msgspec.structs.replace(added[place], n=n, to_s=own.to_s, workers=own.workers)
    yield Ended(float(seconds))


def make_many(folder: Path, seconds: int, workers: int) -> None:
    """Writes the log of many workers, each with eight requests a second of seven variants, all of which ended well."""
    encoder, rng = msgspec.json.Encoder(), np.random.default_rng(SEED)
    cells = [[cell(rng, f"variant_{number}", OF_MANY * workers) for number in range(7)] for _ in range(10)]
    added = [merge([interval(rng, 0, 0, one)]) for one in cells]
    few = [Cell(CREATE, "", MEASURE, "ok", 7 * OF_MANY, cells[0][0].service)]
    first = merge([interval(rng, worker, 0, few) for worker in range(workers)])
    *columns, pending = unpack(first.workers, len(first.columns) + 1)
    known = dict(zip(first.columns, columns, strict=True))
    with (folder / runlog.FILE_NAME).open("wb") as log:
        log.write(encoder.encode(manifest_of(seconds, workers, a_second=7 * OF_MANY)) + b"\n")
        log.write(encoder.encode(Started(0.0, workers)) + b"\n")
        for n in range(seconds):
            # Workers change places: what each is of itself is another's of another second.
            by, done = int(rng.integers(workers)), np.full(workers, 7 * OF_MANY * (n + 1))
            own = {name: np.roll(column, by) for name, column in known.items()}
            own |= dict.fromkeys(("built", "sent", "recorded", "offered"), done) | {"worker": known["worker"]}
            edges = [np.array([1e6 * _edge_s(worker, at) for worker in range(workers)]) for at in (n, n + 1)]
            own |= {name: np.rint(edge).astype(np.int64) for name, edge in zip(("from_s", "to_s"), edges, strict=True)}
            own["last"] = np.full(workers, int(n == seconds - 1))
            packed = pack([*(own[name] for name in first.columns), np.roll(pending, by * len(pending) // workers)])
            record = msgspec.structs.replace(
                added[int(rng.integers(len(added)))],
                n=n,
                to_s=float(own["to_s"].max()) / 1e6,
                columns=first.columns,
                workers=packed,
            )
            log.write(encoder.encode(record) + b"\n")
        log.write(encoder.encode(Ended(float(seconds))) + b"\n")


def manifest_of(seconds: int, workers: int, version: int = 2, a_second: int = A_SECOND) -> Manifest:
    """Returns the first line of a made log; `a_second` is how many requests each worker sends."""
    rate = a_second * workers
    plan = {"name": "made", "target": "mock", "account": "12345678", "model": "open", "arrivals": "even", "seed": SEED}
    plan |= {
        "workers": workers,
        "users": 100 * workers,
        "duration_s": float(seconds),
        "warmup_s": 0.0,
        "mix": "default",
    }
    plan |= {"conversations": None, "consumers": "close", "gates": ["create.p99 < 100ms", "errors < 1%"]}
    stage = StageMark(HOLD, 0.0, float(seconds), rate, rate)
    return Manifest(READABLE[version - 1], "2026-01-02T03:04:05Z", plan, {}, {}, "http://127.0.0.1:1", stages=[stage])


def _cells(rng: np.random.Generator, *, as_text: bool) -> list[Cell]:
    return [cell(rng, f"variant_{number:02d}", as_text=as_text) for number in range(VARIANTS)]


def cell(rng: np.random.Generator, variant: str, count: int = A_CELL, *, as_text: bool = False) -> Cell:
    """Returns so many requests of a variant that ended well."""
    service_us = rng.lognormal(np.log(SERVICE_US), SPREAD, count).astype(np.int64)
    lateness_us = rng.gamma(4, LATENESS_US / 4, count).astype(np.int64)
    times = [Histogram.of(one) for one in (service_us, service_us + lateness_us, lateness_us)]
    service, response, lateness = [one.encode() for one in times] if as_text else times
    return Cell(CREATE, variant, MEASURE, "ok", count, service, response, lateness, HOLD)


def interval(rng: np.random.Generator, worker: int, n: int, cells: list[Cell], last: bool = False) -> Interval:
    """Returns a second of a worker that is well."""
    done, in_flight = A_SECOND * (n + 1), int(rng.integers(5, 12))
    return Interval(
        worker=worker,
        n=n,
        from_s=_edge_s(worker, n),
        to_s=_edge_s(worker, n + 1),
        cells=cells,
        users=int(rng.integers(40, 60)),
        in_flight=in_flight,
        built=done,
        sent=done,
        recorded=done,
        cpu_share=round(rng.uniform(0.2, 0.3), 4),
        memory_bytes=90_000_000 + 4096 * int(rng.integers(200)),
        offered=done,
        last=last,
        pending=rng.integers(5, 12, 10).tolist(),
        hub_delay_ms=round(rng.uniform(0.3, 1.5), 3),
        files_free=900,
        sockets_waiting=int(rng.integers(10)),
        cpu_wait_share=round(rng.uniform(0, 0.01), 4),
        awaiting=in_flight,
    )


def _edge_s(worker: int, n: int) -> float:
    """Returns when a worker ended a second: up to 5 ms late, as it comes to it."""
    return round(n + (7919 * worker + 1009 * n) % 5000 / 1e6, 6) if n else 0.0


if __name__ == "__main__":
    made = make_many if int(sys.argv[3]) >= MANY else make
    made(Path(sys.argv[1]), *map(int, sys.argv[2:]))
