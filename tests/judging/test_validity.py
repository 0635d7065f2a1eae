from typing import TYPE_CHECKING

import pytest

from convload.judging.validity import Validity, examine
from convload.results.run import Run
from convload.results.runlog import MockLedger, Note, RunLog, WorkerLost

if TYPE_CHECKING:
    from tests.run_logs import Make


def examined(log: RunLog) -> Validity:
    return examine(Run(log))


def reasons(log: RunLog) -> list[str]:
    found = examined(log)
    assert found.valid == (not found.reasons)
    return found.reasons


def test_a_whole_log_that_adds_up_is_valid(make: "Make") -> None:
    assert reasons(make.sound()) == []


def test_two_whole_workers_are_valid(make: "Make") -> None:
    log = make.log(
        *(make.interval(0, [make.cell([5])], 1, worker=worker, last=True, from_s=2.0, to_s=3.0) for worker in (0, 1)),
        workers=2,
    )

    assert reasons(log) == []


def test_a_lost_worker_is_a_reason_and_told_once(make: "Make") -> None:
    log = make.log(
        make.interval(0, [make.cell([5])], 1, last=True),
        make.interval(0, [make.cell([5])], 1, worker=1),
        WorkerLost(1, 7.25, "killed by signal 9"),
        workers=2,
    )

    assert reasons(log) == ["worker 1 was lost after 7.2 s: killed by signal 9"]


def test_a_worker_that_never_reported_is_a_reason(make: "Make") -> None:
    log = make.log(make.interval(0, [make.cell([5])], 1, last=True), workers=2)

    assert reasons(log) == ["2 workers were started, but 1 reported"]


def test_a_run_that_never_started_is_a_reason(make: "Make") -> None:
    log = RunLog(make.manifest(), [], [])

    assert reasons(log) == ["the run never started", "no create request was measured"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 1, 3, 4, 6], "worker 0: intervals missing: 2, the first is number 2"),
        ([1, 2], "worker 0: intervals missing: 1, the first is number 0"),
        ([0, 1, 1, 2], "worker 0: intervals that came twice: 1"),
    ],
)
def test_a_gap_or_a_duplicate_of_intervals_is_a_reason(make: "Make", numbers: list[int], expected: str) -> None:
    done = len(numbers)
    parts = [make.interval(n, [make.cell([5])], done, last=n == max(numbers)) for n in numbers]

    assert reasons(make.log(*parts)) == [expected]


def test_intervals_may_come_in_any_order(make: "Make") -> None:
    parts = [make.interval(n, [make.cell([5])], n + 1, last=n == 2) for n in (1, 0, 2)]

    assert reasons(make.log(*parts)) == []


def test_a_missing_last_interval_is_a_reason(make: "Make") -> None:
    assert reasons(make.log(make.interval(0, [make.cell([5])], 1))) == ["worker 0 did not send its last interval"]


def test_a_note_that_invalidates_is_a_reason_and_another_is_not(make: "Make") -> None:
    log = make.sound(Note(1.0, "a remark"), Note(2.0, "the disk was full", invalidates=True))

    assert reasons(log) == ["the disk was full"]


def test_no_measured_create_request_is_a_reason(make: "Make") -> None:
    assert reasons(make.sound(ok=0)) == ["no create request was measured"]


@pytest.mark.parametrize(
    ("built", "sent", "recorded", "expected"),
    [
        (4, 3, 3, "4 create payloads were built but 3 were sent"),
        (4, 4, 3, "4 create requests were sent but 3 results were recorded"),
        (4, 4, 4, "4 results were recorded but the intervals hold 3"),
    ],
)
def test_counts_that_do_not_add_up_are_a_reason(
    make: "Make", built: int, sent: int, recorded: int, expected: str
) -> None:
    interval = make.interval(0, [make.cell([5] * 3)], built, sent=sent, recorded=recorded, last=True)

    assert reasons(make.log(interval)) == [expected]


def test_results_of_the_warm_up_count_in_the_reconciliation(make: "Make") -> None:
    cells = [make.cell([5], phase="warmup"), make.cell([5]), make.cell([5], phase="cleanup")]

    assert reasons(make.log(make.interval(0, cells, 3, last=True))) == []


@pytest.mark.parametrize(
    ("received", "unanswered", "expected"),
    [
        (10, "http_503", []),
        (9, "http_503", ["the mock received 9 of 10 create requests sent; "]),
        (9, "read_timeout", []),
        (8, "connect_refused", []),
        (7, "reset", ["the mock received 7 of 10 create requests sent; "]),
        (11, "reset", ["the mock received 11 create requests but only 10 were sent"]),
    ],
)
def test_the_mocks_ledger_must_be_explained_by_failed_connections(
    make: "Make", received: int, unanswered: str, expected: list[str]
) -> None:
    cells = [make.cell([5] * 8), make.cell([5], unanswered), make.cell([5], unanswered, phase="warmup")]
    log = make.log(make.interval(0, cells, 10, last=True), MockLedger(received, received))

    found = reasons(log)

    assert len(found) == len(expected)
    assert all(reason.startswith(start) for reason, start in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("outcome", "explains"),
    [
        ("connect_refused", True),
        ("connect_timeout", True),
        ("dns", True),
        ("tls", True),
        ("reset", True),
        ("read_timeout", True),
        ("malformed_http", True),
        ("http_500", False),
        ("rate_limited", False),
        ("invalid_json", False),
        ("contract", False),
        ("partial", False),
    ],
)
def test_only_requests_that_may_not_have_arrived_explain_a_shortfall(
    make: "Make", outcome: str, *, explains: bool
) -> None:
    cells = [make.cell([5] * 9), make.cell([5], outcome)]

    found = reasons(make.log(make.interval(0, cells, 10, last=True), MockLedger(9, 9)))

    assert (found == []) == explains


def test_a_damaged_log_is_a_reason(make: "Make") -> None:
    log = make.log(make.interval(0, [make.cell([5])], 1, last=True), damage=("line 9 was cut off",))

    assert reasons(log) == ["line 9 was cut off"]
