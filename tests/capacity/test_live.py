"""What a trial takes from the intervals of a run log."""

import msgspec
import pytest

from convload.capacity.live import goodput, ok_by_second, parts_of, pending_of, probe_rate
from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.plan.schedule import StageMark
from convload.results.runlog import FORMAT, Cell, Interval, Manifest, RunLog

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
