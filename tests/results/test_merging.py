"""What workers measured in the same time is added up before it is written, and no reader misses anything."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.run_logs import Make

from convload.errors import RunLogError
from convload.judging.generator import is_late_by_target
from convload.plan.facts import ValidityLimits
from convload.plan.retry import RETRIED
from convload.results import runlog
from convload.results.health import creates_of
from convload.results.histogram import Histogram
from convload.results.merging import APART, HOLD_S, Merger, merge
from convload.results.packing import pack, unpack
from convload.results.run import Run
from convload.results.runlog import Backoff, Interval, Note, Record, RunLog, Together
from convload.results.together import COLUMNS
from convload.results.writing import RunLogWriter

WORKERS = 3
WARMUP_S = 2
OF_ALL = ("cells", "errors", "samples", "backoffs", "hub_delays")


def vary(worker: int, second: int) -> dict[str, Any]:
    """Workers that differ in all that they are of themselves."""
    return {
        "service_us": 1000 + 100 * worker + second,
        "failed": worker,
        "cpu_share": round(0.1 * worker + 0.0123, 4),
        "hub_delay_ms": 0.125 * worker,
        "pending": list(range(worker + second)),
        "users": 10 + worker,
        "backlog": worker,
        "awaiting": second,
        "sockets_waiting": 7,
    }


@pytest.fixture
def log(make: Make) -> RunLog:
    """A run of some workers as earlier versions wrote it."""
    return make.opened(vary, rate=300, workers=WORKERS)


def merged(log: RunLog, folder: Path, late_us: float = 1_000) -> RunLog:
    """The log as it is written now, and read back."""
    writer = RunLogWriter(folder / runlog.FILE_NAME)
    writer.write(log.manifest)
    merger = Merger(writer.write, late_us)
    merger.workers = WORKERS
    for record in log.records:
        if isinstance(record, Interval):
            merger.add(record)
        else:
            writer.write(record)
    merger.flush(0.0)
    writer.close()
    return runlog.read(folder)


def own(interval: Interval) -> dict[str, Any]:
    """What an interval says of its worker alone."""
    facts = msgspec.structs.asdict(interval)
    assert set(COLUMNS) | {"n", "pending", "own", *OF_ALL} == set(facts), "a new field of an interval belongs somewhere"
    return {name: value for name, value in facts.items() if name not in {"cells", "own", "hub_delays"}}


def test_a_run_whose_workers_were_added_up_has_the_same_summary(log: RunLog, tmp_path: Path) -> None:
    assert Run(merged(log, tmp_path)).summary == Run(log).summary


def test_a_run_whose_workers_were_added_up_has_the_same_seconds(log: RunLog, tmp_path: Path) -> None:
    assert Run(merged(log, tmp_path)).series == Run(log).series


def test_each_worker_keeps_what_it_is_of_itself(log: RunLog, tmp_path: Path) -> None:
    found = merged(log, tmp_path)

    assert found.damage == []
    assert [own(one) for one in Run(found).intervals] == [own(one) for one in Run(log).intervals]


def test_each_worker_keeps_how_many_creates_it_recorded(log: RunLog, tmp_path: Path) -> None:
    found, meant = (list(map(creates_of, Run(one).intervals)) for one in (merged(log, tmp_path), log))

    assert found == meant


def test_the_results_of_workers_take_one_record_a_second(log: RunLog, tmp_path: Path) -> None:
    merged(log, tmp_path)

    lines = (tmp_path / runlog.FILE_NAME).read_text().splitlines()
    assert sum('"record":"together"' in line for line in lines) == len(Run(log).intervals) / WORKERS


def test_who_follows_a_log_may_find_a_note_between_two_seconds(log: RunLog, tmp_path: Path) -> None:
    merged(log, tmp_path)
    path = tmp_path / runlog.FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    second = next(at for at, line in enumerate(lines) if b'"record":"together"' in line)
    lines.insert(second + 1, msgspec.json.encode(Note(1.0, "meanwhile")) + b"\n")
    path.write_bytes(b"".join(lines))

    found = [one for one in runlog.GrowingLog(path).read() if isinstance(one, Interval)]

    assert [own(one) for one in found] == [own(one) for one in Run(log).intervals]


def test_a_column_of_a_later_version_is_left_alone(make: Make) -> None:
    together = merge([make.interval(0, [make.cell([5])], 1)])
    columns = unpack(together.workers, len(together.columns) + 1)
    later = msgspec.structs.replace(
        together, columns=(*together.columns, "later"), workers=pack([*columns[:-1], columns[0], columns[-1]])
    )

    assert [own(one) for one in later.intervals()] == [own(one) for one in together.intervals()]


def test_a_late_worker_keeps_its_results_for_itself(make: Make, tmp_path: Path) -> None:
    log = make.opened(lambda worker, _: {"lateness_us": 3_000 if worker == 1 else 50}, rate=300, workers=WORKERS)

    found = Run(merged(log, tmp_path)).workers

    measured = [one for one in found[1] if one.n >= WARMUP_S]
    assert all(one.own is None and one.cells for one in measured)
    assert all(one.own is not None and one.own.lateness == "" for one in found[0])


def test_where_many_were_late_each_keeps_its_lateness(make: Make) -> None:
    written: list[Together] = []
    merger = Merger(written.append)
    merger.workers = APART + 1
    for worker in range(APART + 1):
        late = [2_000 + worker] * 5
        cell = make.cell([500] * 5, response_us=[2_500 + worker] * 5, lateness_us=late)
        merger.add(make.interval(0, [cell], 5, worker=worker))

    (together,) = written
    found = [one.own for one in together.intervals()]
    assert [one and (Histogram.longest_us(one.lateness), one.slowest_us) for one in found] == [
        (2_000 + worker, 2_500 + worker) for worker in range(APART + 1)
    ]


@pytest.mark.parametrize("held", [True, False])
def test_whose_fault_lateness_was_is_judged_alike(make: Make, tmp_path: Path, held: bool) -> None:
    def late(_: int, second: int) -> dict[str, Any]:
        return {"lateness_us": 50_000 if second == 5 else 50, "awaiting": 20 if held else 1, "users": 20}

    log = make.opened(late, rate=300, workers=WORKERS)

    found = [is_late_by_target(Run(one).health, ValidityLimits(), 50) for one in (log, merged(log, tmp_path))]

    assert found == [held, held]


def test_event_loops_are_weighed_with_the_requests_of_their_workers(make: Make) -> None:
    delays = [Histogram.of(np.array([worker * 100] * 10)).encode() for worker in (1, 2)]
    parts = [
        make.interval(0, [make.cell([5] * count)], count, worker=worker, hub_delays=delays[worker])
        for worker, count in enumerate((30, 10))
    ]

    found = Histogram.decode(merge(parts).intervals()[0].hub_delays)

    assert found.counts.tolist() == [300, 100]


def test_waits_before_retries_are_added_up(make: Make) -> None:
    waits = [Histogram.of(np.array([1_000 * (worker + 1)])).encode() for worker in range(2)]
    parts = [
        make.interval(0, [], 0, worker=worker, backoffs=[Backoff("measure", "http_503", RETRIED, "", 1, waits[worker])])
        for worker in range(2)
    ]

    (found,) = merge(parts).intervals()[0].backoffs

    assert found.count == 2
    assert Histogram.decode(found.waited).values_us.tolist() == [1_000, 2_000]


def test_cells_without_responses_are_not_added_to_those_with_them(make: Make) -> None:
    with_responses = make.cell([1_000] * 3, response_us=[1_500] * 3, lateness_us=[500] * 3)
    parts = [
        make.interval(0, cells, 3, worker=worker)
        for worker, cells in enumerate(([make.cell([1_000] * 3)], [with_responses]))
    ]

    found = Run(make.log(*merge(parts).intervals(), workers=2)).create

    assert (found.response.count, found.response.max_us, found.lateness.count) == (6, 1_500, 3)


class Clock:
    """A clock that is set."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_worker_that_hangs_keeps_the_others_from_the_disk_for_a_second(make: Make) -> None:
    written: list[Record] = []
    clock = Clock()
    merger = Merger(written.append, clock=clock)
    merger.workers = 2
    merger.add(make.interval(0, [make.cell([5])], 1))
    merger.flush()
    assert written == []

    clock.now_s = HOLD_S
    merger.flush()
    merger.add(make.interval(0, [make.cell([6])], 1, worker=1))
    clock.now_s += HOLD_S
    merger.flush()

    assert [len(one.intervals()) for one in written if isinstance(one, Together)] == [1, 1]


def test_intervals_of_other_times_are_not_added_up(make: Make) -> None:
    written: list[Together] = []
    merger = Merger(written.append)
    merger.workers = 2
    merger.add(make.interval(3, [make.cell([5])], 1))
    merger.add(make.interval(3, [make.cell([6])], 1, worker=1, to_s=3.4, last=True))

    assert [one.to_s for one in written] == [4.0, 3.4]


def is_told(folder: Path) -> bool:
    """Whether a log is known to be damaged, by who reads it or by who asks for its times."""
    try:
        found = runlog.read(folder)
        Run(found).parts  # noqa: B018 -- asking is what raises
    except RunLogError:
        return True
    return bool(found.damage)


@pytest.mark.parametrize("change", [{"workers": "1B0;AwA="}, {"times": "1B0;AwA="}, {"counts": [1]}, {"to_s": -1.0}])
def test_a_damaged_record_is_told_of_or_refused(make: Make, tmp_path: Path, change: dict[str, Any]) -> None:
    parts = [make.interval(0, [make.cell([5, 6])], 2, worker=worker) for worker in range(2)]
    damaged = msgspec.structs.replace(merge(parts), **change)
    merged(make.log(workers=2), tmp_path)
    with (tmp_path / runlog.FILE_NAME).open("ab") as file:
        file.write(msgspec.json.encode(damaged) + b"\n")

    assert is_told(tmp_path)
