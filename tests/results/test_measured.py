from typing import TYPE_CHECKING

import pytest

from convload.errors import RunLogError
from convload.results.run import Run

if TYPE_CHECKING:
    from tests.run_logs import Make


def test_only_phase_measure_counts(make: "Make") -> None:
    log = make.log(
        make.interval(0, [make.cell([1] * 9, phase="warmup")], 9),
        make.interval(1, [make.cell([2] * 3, phase="warmup"), make.cell([3] * 5)], 17),
        make.interval(2, [make.cell([4] * 2), make.cell([5], phase="cleanup", step="conversation.close")], 19),
    )

    measured = Run(log)

    assert measured.create.count == 7
    assert measured.create.service.max_us == 4
    assert list(measured.steps) == ["conversation.create"]


def test_a_step_is_the_sum_of_its_variants_workers_and_seconds(make: "Make") -> None:
    log = make.log(
        make.interval(2, [make.cell([10, 20], variant="a"), make.cell([30], variant="b")], 3),
        make.interval(2, [make.cell([40], variant="a")], 1, worker=1),
        make.interval(3, [make.cell([50], "reset", variant="b")], 4),
    )

    measured = Run(log)

    assert {name: (part.count, part.ok) for name, part in measured.variants.items()} == {
        "a": (3, 3),
        "b": (2, 1),
    }
    assert (measured.create.count, measured.create.ok, measured.create.errors) == (5, 4, {"reset": 1})
    assert measured.create.service.percentiles([25, 50, 75, 100]) == [10, 20, 30, 40]


def test_times_of_failed_requests_are_kept_apart(make: "Make") -> None:
    log = make.log(make.interval(2, [make.cell([10, 20]), make.cell([900], "http_500")], 3))

    create = Run(log).create

    assert create.response.max_us == create.service.max_us == 20
    assert create.failed_response.max_us == 900
    assert create.failed == 1


def test_response_is_service_where_the_log_leaves_it_out(make: "Make") -> None:
    closed = make.cell([10, 20])
    due = make.cell([10, 20], response_us=[15, 28], lateness_us=[5, 8], variant="b")

    measured = Run(make.log(make.interval(2, [closed, due], 4)))

    assert measured.variants["seed_example"].response.percentile(100) == 20
    assert measured.variants["seed_example"].lateness.count == 0
    assert measured.variants["b"].response.percentile(100) == 28
    assert measured.variants["b"].lateness.percentile(100) == 8


def test_steps_come_create_first_then_in_the_order_of_a_conversation(make: "Make") -> None:
    names = ["token.app", "something.else", "conversation.close", "conversation.create"]
    cells = [make.cell([1], step=name, variant="") for name in names]

    assert list(Run(make.log(make.interval(2, cells, 1))).steps) == [
        "conversation.create",
        "conversation.close",
        "token.app",
        "something.else",
    ]


@pytest.mark.parametrize(
    ("last_second", "duration_s", "expected"),
    [
        (12, 10.0, (2.0, 12.0)),  # a result that was due in time came in late: the time is not stretched
        (5, 10.0, (2.0, 6.0)),  # ended early
        (5, None, (2.0, 6.0)),  # ends by the number of conversations
    ],
)
def test_the_window_runs_from_warm_up_to_planned_end_or_the_last_result(
    make: "Make", last_second: int, duration_s: float | None, expected: tuple[float, float]
) -> None:
    log = make.log(
        make.interval(3, [make.cell([1])], 1),
        make.interval(last_second, [make.cell([1])], 2),
        make.interval(last_second + 1, [make.cell([1], phase="cleanup")], 2),
        duration_s=duration_s,
    )

    found = Run(log).window

    assert (found.from_s, found.to_s) == expected


def test_nothing_measured_makes_a_window_of_no_length(make: "Make") -> None:
    assert Run(make.log(make.interval(0, [make.cell([1], phase="warmup")], 1))).window.length_s == 0


def test_all_that_is_wrong_with_the_plan_is_told_at_once(make: "Make") -> None:
    with pytest.raises(RunLogError) as caught:
        _ = Run(make.log(seed="seven", model=None)).plan

    assert [problem.split(":")[1].strip() for problem in caught.value.problems] == ["$.model", "$.seed"]
