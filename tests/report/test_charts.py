from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from tests.run_logs import Make

from convload.comparison.conclusion import Conclusion, conclude
from convload.plan.schedule import StageMark
from convload.report import charts, course_data
from convload.results.course import MOST_BINS, Course
from convload.results.histogram import Histogram
from convload.results.run import Run
from convload.results.runlog import Cell, Interval, Record, RunLog, WorkerLost


def columns(run: Run) -> dict[str, Any]:
    found = charts.data(run)
    length = len(found["t"])
    assert all(len(column) == length for column in found["columns"].values())
    for view in found["views"]:
        assert all(len(column) == length for column in [*view["columns"].values(), *view["heat"].values()])
    return found


def counted(intervals: Iterable[Interval], ends_s: float = 0.0) -> Course:
    course = Course(ends_s=ends_s)
    for interval in intervals:
        course.add([interval])
    return course


def test_a_second_in_which_nobody_reported_is_a_gap(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    kept = [record for record in passing if not (isinstance(record, Interval) and record.n in (5, 6))]

    found = columns(conclude_records(kept).run)

    assert found["t"] == [second + 0.5 for second in range(12)]
    assert found["columns"]["requests_per_s"][4] > 0
    assert found["columns"]["requests_per_s"][5:7] == found["views"][0]["columns"]["p50"][5:7] == [None, None]
    assert found["views"][0]["heat"]["response"][5:7] == [[], []]


def test_the_warm_up_and_what_came_after_the_end_are_marked(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    last = next(record for record in reversed(passing) if isinstance(record, Interval))
    drain = msgspec.structs.replace(last, n=14, from_s=14.0, to_s=15.0, cells=[])

    shades = columns(conclude_records([*passing, drain]).run)["marks"]["shades"]

    assert [(one["name"], one["from_s"], one["to_s"]) for one in shades] == [("warm-up", 0, 3), ("after", 12, 15)]


def test_a_lost_worker_is_marked_from_when_it_was_silent(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    lost = WorkerLost(worker=1, at_s=9.5, why="silent", silent_from_s=6.0)

    marks = columns(conclude_records([*passing, lost]).run)["marks"]

    assert {"from_s": 6.0, "to_s": 9.5, "name": "worker 1 silent", "tone": "warn"} in marks["shades"]
    assert {"at_s": 9.5, "name": "worker 1 lost", "tone": "fail"} in marks["events"]


def test_a_time_in_which_the_target_answered_nobody_is_marked(make: Make) -> None:
    def vary(_: int, second: int) -> dict[str, Any]:
        return {"in_flight": 50, "recorded": 1000} if second in {10, 11} else {}

    shades = columns(Run(make.opened(vary, seconds=20)))["marks"]["shades"]

    assert {"from_s": 10, "to_s": 12, "name": "stood still", "tone": "warn"} in shades


def test_rare_kinds_beyond_the_colours_are_drawn_as_one(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    first = next(record for record in passing if isinstance(record, Interval))
    cells = [Cell("conversation.create", "minimal", "measure", f"http_{500 + i}", 20 - i, "") for i in range(9)]
    more = msgspec.structs.replace(first, n=99, worker=5, from_s=6.0, to_s=7.0, cells=cells)
    conclusion = conclude_records([*passing, more])

    found = columns(conclusion.run)["columns"]
    (errors,) = (chart for chart in charts.of_run(conclusion.run) if chart.name == "errors")

    kinds = [*(f"http_{500 + i}" for i in range(6)), "other kinds"]
    assert [line.label for line in errors.lines] == kinds
    assert [line.column for line in errors.lines] == [name for name in found if name.startswith("errors ")]
    assert found["errors other kinds"][6] == 14 + 13 + 12


def test_each_step_and_variant_is_a_view_with_a_rising_distribution(conclusion: Conclusion) -> None:
    views = columns(conclusion.run)["views"]

    assert [view["name"] for view in views if view["kind"] == "step"] == [
        "conversation.create",
        "conversation.close",
        "token.consumer",
    ]
    assert {view["name"] for view in views if view["kind"] == "variant"} == set(conclusion.summary.variants)
    for view in views:
        assert view["shapes"]["response_tail_x"] == sorted(view["shapes"]["response_tail_x"])
        assert view["shapes"]["response_tail_ms"] == sorted(view["shapes"]["response_tail_ms"])
        assert view["shapes"]["response_tail_x"][0] >= 1


def test_every_request_is_in_a_field_of_the_heat_map_and_a_bar_of_the_histogram(conclusion: Conclusion) -> None:
    found = columns(conclusion.run)

    for view in found["views"]:
        row = conclusion.summary.steps.get(view["name"]) or conclusion.summary.variants[view["name"]]
        assert sum(view["shapes"]["response_bars"]) == row.ok
        measured = [column for t, column in zip(found["t"], view["heat"]["response"], strict=True) if t > 3]
        assert sum(sum(column[1:]) for column in measured) == row.ok


def test_an_open_run_has_its_stages_its_backlog_and_both_clocks(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    found = columns(conclude_records(opened).run)
    create = found["views"][0]

    assert found["marks"]["stages"] == [{"name": "hold", "from_s": 4.0}, {"name": "surge", "from_s": 14.0}]
    assert max(found["columns"]["backlog"]) == found["columns"]["backlog"][9] == 45
    assert sum(found["columns"]["offered_per_s"]) == sum(found["columns"]["sent_per_s"]) == 2720
    assert create["columns"]["service_p99"][12] <= create["columns"]["p99"][12]
    assert max(value for value in create["columns"]["late_max"] if value is not None) > 500
    assert set(create["heat"]) == {"response", "service"}


def test_nothing_recorded_makes_empty_columns(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    found = columns(conclude_records(silent).run)

    assert found["t"] == found["views"] == []
    assert all(chart.otherwise for chart in charts.of_run(conclude_records(silent).run))


@pytest.fixture
def long(make: Make) -> RunLog:
    def vary(_: int, second: int) -> dict[str, Any]:
        return {"service_us": 9_000_000 if second == 390 else 1000 + second, "in_flight": 77 if second == 301 else 1}

    return make.opened(vary, seconds=MOST_BINS + 40, rate=10)


def test_a_long_run_is_drawn_in_few_bins_that_keep_the_lowest_and_the_highest(long: RunLog) -> None:
    found = columns(Run(long))
    seconds = MOST_BINS + 40

    assert found["bin_s"] == 2
    assert len(found["t"]) == -(-seconds // 2)
    assert max(found["views"][0]["columns"]["max"]) > 9000
    assert max(found["columns"]["in_flight.high"]) == 77
    assert min(found["columns"]["in_flight.low"]) == 1
    assert sum(sum(column[1:]) for column in found["views"][0]["heat"]["service"]) == 10 * seconds


def test_percentiles_of_a_bin_are_those_of_its_requests(long: RunLog) -> None:
    intervals = [record for record in long.records if isinstance(record, Interval)]

    found = columns(Run(long))["views"][0]["columns"]

    part = Histogram.merged(Histogram.decode(cell.service) for one in intervals[200:202] for cell in one.cells)
    assert found["service_p50"][100] == part.percentile(50) / 1000
    assert found["service_p99"][100] == part.percentile(99) / 1000


def test_a_course_that_grew_is_the_one_that_was_counted_at_once(long: RunLog) -> None:
    run = Run(long)
    grown = counted(run.intervals)

    assert grown.bin_s == 2
    assert course_data.columns(run, grown) == course_data.columns(run, run.course)


def test_of_many_workers_the_charts_show_lowest_median_and_highest(make: Make) -> None:
    workers = course_data.MOST_WORKERS + 1
    log = make.opened(lambda worker, _: {"cpu_share": 0.01 * worker}, rate=10 * workers, workers=workers)

    found = columns(Run(log))["columns"]

    assert [found[f"{name} cpu"][5] for name in ("lowest", "median", "highest")] == [0, (workers - 1) / 2, workers - 1]
    assert not any(name.startswith("worker ") for name in found)


def test_what_is_new_since_a_bin_goes_on_where_the_rest_ended(conclusion: Conclusion) -> None:
    whole = columns(conclusion.run)

    new = course_data.since(whole, 9)

    assert new["keep"] == 9
    assert new["t"] == whole["t"][9:]
    for name, column in whole["columns"].items():
        assert new["columns"][name] == column[9:]
    assert new["views"][0]["heat"]["response"] == whole["views"][0]["heat"]["response"][9:]
    assert new["views"][0]["shapes"] == whole["views"][0]["shapes"]


def test_the_limit_of_a_gate_stands_in_the_charts_of_what_it_is_about(make: Make) -> None:
    gates = ["create.p99 < 1s", "close.p50 < 2ms", "lateness.p99 < 3ms", "rate > 600/min", "errors < 1%"]
    conclusion = conclude(make.opened(gates=gates))

    limits = {
        chart.name: [(limit.value, limit.place) for limit in chart.limits]
        for chart in charts.of_run(conclusion.run, conclusion.gates)
        if chart.limits
    }

    create, close = (1000.0, "step conversation.create"), (2.0, "step conversation.close")
    assert limits == {
        "heat": [create, close],
        "latency": [create, close],
        "distribution": [create, close],
        "histogram": [create, close],
        "throughput": [(10.0, "")],
        "lateness": [(3.0, "step conversation.create")],
    }


def test_the_windows_of_two_targets_are_shaded_and_their_requests_looked_at_apart(make: Make) -> None:
    stages = [StageMark(f"{name} {at}", 5.0 * at, 5.0, 100, 100, target=name) for at, name in enumerate("ABBA")]

    found = columns(Run(make.opened(seconds=20, stages=stages)))

    assert [(one["tone"], one["from_s"]) for one in found["marks"]["shades"] if "tone" in one] == [
        ("a", 0.0),
        ("b", 5.0),
        ("b", 10.0),
        ("a", 15.0),
    ]
    of_targets = {view["name"]: view["columns"]["p50"] for view in found["views"] if view["kind"] == "target"}
    assert [value is None for value in of_targets["A"]] == [False] * 5 + [True] * 10 + [False] * 5
    assert [value is None for value in of_targets["B"]] == [True] * 5 + [False] * 10 + [True] * 5
