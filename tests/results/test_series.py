from typing import TYPE_CHECKING

from convload.results.run import Run

if TYPE_CHECKING:
    from tests.run_logs import Make


def test_workers_are_merged_second_by_second(make: "Make") -> None:
    log = make.log(
        make.interval(2, [make.cell([1000] * 3)], 3, users=2, in_flight=1),
        make.interval(2, [make.cell([3000]), make.cell([9], "reset")], 2, worker=1, users=3, in_flight=2),
    )

    (row,) = Run(log).series

    assert (row.t_s, row.requests_per_s, row.ok_per_s, row.errors_per_s) == (2, 5.0, 4.0, {"reset": 1.0})
    assert row.response_ms == row.service_ms == {"p50": 1.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
    assert (row.users, row.in_flight) == (5, 3)


def test_intervals_that_start_a_hair_early_or_late_stay_in_their_second(make: "Make") -> None:
    log = make.log(
        make.interval(0, [], 0, from_s=0.0, to_s=0.998),
        make.interval(1, [], 0, from_s=0.998, to_s=2.004),
        make.interval(2, [], 0, from_s=2.004, to_s=3.0),
    )

    assert [row.t_s for row in Run(log).series] == [0, 1, 2]


def test_a_short_last_interval_is_no_dip_in_the_rate(make: "Make") -> None:
    log = make.log(make.interval(2, [make.cell([1] * 25)], 25, from_s=2.0, to_s=2.25))

    assert Run(log).series[0].requests_per_s == 100.0


def test_the_last_milliseconds_of_a_run_are_told_with_the_second_before(make: "Make") -> None:
    log = make.log(
        make.interval(0, [make.cell([1] * 100)], 100, from_s=2.0, to_s=3.0, users=4),
        make.interval(1, [make.cell([1] * 4)], 104, from_s=3.0, to_s=3.04, users=0, last=True),
    )

    (row,) = Run(log).series

    assert (row.t_s, row.requests_per_s, row.users) == (2, 100.0, 4)


def test_two_short_intervals_of_one_worker_in_one_second_are_one_rate(make: "Make") -> None:
    log = make.log(
        make.interval(0, [make.cell([1] * 10)], 10, from_s=2.0, to_s=2.5, users=4),
        make.interval(1, [make.cell([1] * 10)], 20, from_s=2.5, to_s=2.9, users=5),
    )

    (row,) = Run(log).series

    assert round(row.requests_per_s, 3) == round(20 / 0.9, 3)
    assert row.users == 4  # of the longer one


def test_all_phases_are_in_the_series_and_marked(make: "Make") -> None:
    late = make.cell([1])
    cells = [[make.cell([1], phase="warmup")], [], [make.cell([1])], *[[]] * 9, [late], []]
    log = make.log(*(make.interval(n, part, n) for n, part in enumerate(cells)))

    phases = [row.phase for row in Run(log).series]

    assert phases == ["warmup"] * 2 + ["measure"] * 10 + ["cleanup"] * 2


def test_a_second_without_success_has_no_times(make: "Make") -> None:
    log = make.log(
        make.interval(2, [make.cell([1], "dns"), make.cell([5], step="token.app", variant="")], 1),
        make.interval(3, [], 1),
    )

    failed, idle = Run(log).series

    assert failed.response_ms == idle.service_ms == {}
    assert (failed.requests_per_s, failed.ok_per_s) == (1.0, 0.0)
    assert idle.errors_per_s == {}


def test_response_and_service_stay_apart_in_the_open_model(make: "Make") -> None:
    log = make.log(make.interval(2, [make.cell([1000], response_us=[1500])], 1), model="open")

    (row,) = Run(log).series

    assert (row.response_ms["max"], row.service_ms["max"]) == (1.5, 1.0)
