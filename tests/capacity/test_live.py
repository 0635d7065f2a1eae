"""What a trial takes from the intervals of a run log."""

import msgspec
import pytest
from tests.run_logs import Make

from convload.capacity.live import goodput, judged, ok_by_second, parts_of, pending_of, probe_rate
from convload.capacity.steered import StageLog
from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.plan.plan import Plan
from convload.plan.schedule import StageMark
from convload.results.runlog import FORMAT, Cell, Interval, Manifest, RunLog, StageAdded

MANIFEST = Manifest(FORMAT, "2026-01-01T00:00:00.000+00:00", {}, {}, {}, "mock")


def interval(from_s: float, to_s: float, pending: list[int], worker: int = 0) -> Interval:
    return Interval(
        worker,
        0,
        from_s,
        to_s,
        [],
        users=1,
        in_flight=0,
        built=0,
        sent=0,
        recorded=0,
        cpu_share=0.1,
        memory_bytes=1,
        pending=pending,
    )


def answered(count: int) -> Cell:
    return Cell(CREATE, "", "measure", OK, count, "")


def test_an_interval_beside_a_stage_is_no_part_of_it() -> None:
    parts = [interval(0, 1.03, [1]), interval(1.03, 2, [2]), interval(2, 3.04, [3]), interval(3.04, 4, [4])]
    mark = StageMark("trial", 1.0, 2.0, 10, 10)
    assert [part.pending for part in parts_of(RunLog(MANIFEST, list(parts), []), mark)] == [[2], [3]]


def test_what_is_pending_adds_up_over_the_workers_as_far_as_all_have_counted() -> None:
    parts = [interval(0, 1, [1, 2]), interval(1, 2, [3]), interval(0, 1, [10, 20], worker=1)]
    assert pending_of(parts) == [11, 22]


def test_answers_of_a_second_add_up_over_the_workers() -> None:
    parts = [
        msgspec.structs.replace(interval(from_s, from_s + length_s, [], worker), cells=[answered(count)])
        for from_s, length_s, worker, count in (
            (0, 1, 0, 10),
            (1, 1, 0, 12),
            (2, 0.4, 0, 5),
            (0, 1, 1, 3),
            (1, 1, 1, 4),
        )
    ]
    assert ok_by_second(parts) == [13, 16]


def test_no_interval_no_goodput() -> None:
    assert goodput([]) == 0.0
    assert goodput([interval(0, 1, [])]) == 0.0


@pytest.mark.parametrize(("start", "probe"), [(1, 5), (200, 20), (9_000, 50)])
def test_a_probe_is_next_to_no_load(start: float, probe: float) -> None:
    assert probe_rate(start) == probe


def test_closes_are_taken_out_of_what_is_in_flight_by_the_length_of_the_load(make: Make) -> None:
    """Ten creates and ten closes a second of 100 ms each: one of either is in flight, in a stage of a long run."""
    mark = StageMark("3 trial", 10.0, 4.0, 10, 10)
    named = {"stage": mark.name}
    cells = [make.cell([100_000] * 10, **named), make.cell([100_000] * 10, step="conversation.close", **named)]
    parts = [make.interval(n, cells, 10 * n, pending=[2] * 10, offered=10) for n in range(10, 14)]
    before = [make.interval(n, [], 0) for n in range(10)]
    log = make.log(StageAdded(9.0, mark), *before, *parts, model="open", duration_s=14.0, warmup_s=0.0)

    trial = judged(StageLog(log, mark), Plan(name="capacity", model="open"), [], 10, 5)

    assert trial.in_flight_mean == pytest.approx(1.0, rel=0.05)
