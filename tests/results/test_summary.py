from typing import TYPE_CHECKING

import pytest

from convload.plan.schedule import StageMark
from convload.results.run import Run
from convload.results.runlog import Ended, MockLedger, Note, RunLog
from convload.results.summary import Received, RequestCounts

if TYPE_CHECKING:
    from tests.run_logs import Make


def test_statistics_are_nearest_rank_in_milliseconds(make: "Make") -> None:
    cell = make.cell(list(range(1, 1001)))

    create = Run(make.log(make.interval(2, [cell], 1000))).summary.steps["conversation.create"]

    assert create.response_ms == {
        "p50": 0.5,
        "p90": 0.9,
        "p95": 0.95,
        "p99": 0.99,
        "max": 1.0,
        "mean": 0.5,  # 500.5 µs, to the even microsecond
    }
    assert create.service_ms == create.response_ms
    assert create.unsupported == {"p99.9": "needs 2,995 samples, has 1,000"}


def test_empty_statistics_are_empty_and_never_zero(make: "Make") -> None:
    create = Run(make.log(make.interval(2, [make.cell([9], "dns")], 1))).summary.steps["conversation.create"]

    assert create.response_ms == create.service_ms == create.lateness_ms == {}
    assert create.failed_response_ms["max"] == 0.009


def test_the_achieved_rate_counts_failures_too_over_the_measured_time(make: "Make") -> None:
    log = make.log(
        make.interval(2, [make.cell([1] * 30), make.cell([1] * 10, "reset")], 40),
        make.interval(3, [make.cell([1] * 40)], 80),
    )

    summary = Run(log).summary

    assert (summary.duration_s, summary.achieved_rate) == (2.0, 40.0)
    assert (summary.offered_rate, summary.unsent) == (None, 0)


def test_without_measured_time_there_is_no_rate_rather_than_zero(make: "Make") -> None:
    summary = Run(make.log(make.interval(0, [], 0))).summary

    assert summary.achieved_rate is None
    assert summary.generator.cpu_share is None
    assert summary.steps == {}


def test_counts_are_the_last_of_each_worker_in_whatever_order_they_came(make: "Make") -> None:
    log = make.log(
        make.interval(0, [], 10, worker=0),
        make.interval(1, [], 7, worker=1, sent=6, recorded=5),
        make.interval(0, [], 3, worker=1),
        make.interval(1, [], 20, worker=0),
    )

    assert Run(log).summary.counts == RequestCounts(built=27, sent=26, recorded=25)


def test_the_generator_is_judged_by_its_busiest_worker_in_the_measured_time(make: "Make") -> None:
    log = make.log(
        make.interval(0, [], 0, cpu_share=1.0, memory_bytes=10),
        make.interval(2, [make.cell([1])], 1, cpu_share=0.2, memory_bytes=30),
        make.interval(3, [make.cell([1])], 2, cpu_share=0.4, memory_bytes=20, from_s=3.0, to_s=4.0),
        make.interval(2, [], 0, worker=1, cpu_share=0.9, memory_bytes=5, from_s=2.0, to_s=2.5),
        make.interval(3, [], 0, worker=1, cpu_share=0.5, memory_bytes=5, from_s=2.5, to_s=4.0),
    )

    generator = Run(log).summary.generator

    assert generator.cpu_share == pytest.approx(0.6)  # worker 1, weighted by time
    assert generator.cpu_share_sum == pytest.approx(0.9)
    assert generator.cpu_share_highest == 0.9
    assert generator.memory_bytes == 35


def test_lateness_is_empty_in_the_closed_model_and_stated_in_the_open_one(make: "Make") -> None:
    many = 300
    cell = make.cell([10] * many, response_us=[15] * many, lateness_us=[5] * many)
    interval = make.interval(2, [cell], many)

    closed = Run(make.log(make.interval(2, [make.cell([10])], 1))).summary
    opened = Run(make.log(interval, model="open", users=None)).summary

    assert closed.steps["conversation.create"].lateness_ms == {}
    assert closed.generator.lateness_p99_ms is None
    assert opened.steps["conversation.create"].lateness_ms["max"] == 0.005
    assert opened.generator.lateness_p99_ms == 0.005


def test_facts_notes_and_ledger_are_carried_over(make: "Make") -> None:
    log = make.log(Note(1.0, "timers are coarse"), MockLedger(5, 4), Ended(9.0, left_open=3), ended=False)

    summary = Run(log).summary

    assert summary.notes == ["timers are coarse"]
    assert summary.ledger == Received(5, 4)
    assert summary.left_open == 3
    assert (summary.plan, summary.model, summary.seed, summary.consumers) == ("smoke", "closed", 7, "close")
    assert (summary.target, summary.started) == ("http://127.0.0.1:8080", "2026-01-02T03:04:05Z")


def test_a_steady_open_run_achieves_what_it_offers(make: "Make") -> None:
    summary = Run(make.opened(workers=2)).summary

    assert (summary.duration_s, summary.offered_rate, summary.achieved_rate, summary.unsent) == (8.0, 100.0, 100.0, 0)
    create = summary.steps["conversation.create"]
    assert (create.response_ms["p99"], create.service_ms["p99"], create.lateness_ms["p99"]) == (1.05, 1.0, 0.05)
    assert summary.arrivals == "even"


def test_what_was_never_sent_was_offered_and_not_achieved(make: "Make") -> None:
    last = {"unsent": 80, "sent": 1000, "offered": 1080}

    summary = Run(make.opened(lambda _, second: last if second == 9 else {})).summary

    assert (summary.offered_rate, summary.achieved_rate, summary.unsent) == (110.0, 100.0, 80)


def test_requests_sent_after_the_end_of_the_schedule_were_not_achieved_in_it(make: "Make") -> None:
    half = make.opened(lambda _, second: {"sent": 200 + 50 * (second - 1) if second > 1 else 100 * (second + 1)})

    summary = Run(half).summary

    assert (summary.offered_rate, summary.achieved_rate) == (100.0, 50.0)


def test_each_measured_stage_has_its_own_figures(make: "Make") -> None:
    stages = [
        StageMark("warm-up", 0.0, 2.0, 100, 100, warmup=True),
        StageMark("low", 2.0, 3.0, 100, 100),
        StageMark("high", 5.0, 5.0, 100, 100),
    ]

    log = make.opened(lambda _, second: {"service_us": 3000, "failed": 10} if second >= 5 else {}, stages=stages)
    found = Run(log).summary.stages

    assert list(found) == ["low", "high"]
    assert (found["low"].count, found["low"].ok, found["low"].service_ms["p50"]) == (300, 300, 1.0)
    assert (found["high"].count, found["high"].errors, found["high"].response_ms["p50"]) == (
        500,
        {"http_503": 50},
        3.05,
    )
    assert found["high"].offered_rate == found["high"].achieved_rate == 100.0
    assert found["low"].unsupported == {"p99.9": "needs 2,995 samples, has 300"}


def test_an_interrupted_open_run_is_measured_until_the_last_arrival(make: "Make") -> None:
    log = make.opened(lambda _, second: {"offered": 600} if second >= 6 else {})
    cut = RunLog(log.manifest, [*log.records, Note(6.0, "interrupted", interrupted=True)], [])

    summary = Run(cut).summary

    assert (summary.duration_s, summary.stages["hold"].duration_s) == (4.0, 4.0)


def test_the_highest_backlog_is_that_of_all_workers_at_one_moment(make: "Make") -> None:
    log = make.opened(lambda worker, second: {"backlog": 5 + worker if second == 4 + worker else 1}, workers=2)

    assert Run(log).summary.backlog_highest == 7


def test_the_generators_watch_is_told_by_its_worst_measured_value(make: "Make") -> None:
    log = make.opened(
        lambda _, second: {
            "hub_delay_ms": float(900 - 100 * second),
            "files_free": 50 + second,
            "sockets_waiting": second,
        }
    )

    generator = Run(log).summary.generator

    assert (generator.hub_delay_highest_ms, generator.files_free_lowest, generator.sockets_waiting_highest) == (
        700,
        52,
        9,
    )
    assert generator.lateness_p99_ms == 0.05


def test_the_lateness_of_failed_requests_counts_for_the_generator(make: "Make") -> None:
    log = make.opened(lambda *_: {"failed": 100, "lateness_us": 7000})

    assert Run(log).summary.generator.lateness_p99_ms == 7.0


def test_the_most_users_and_the_schedule_are_those_of_the_model(make: "Make") -> None:
    replayed = Run(make.opened(replay="times.txt", max_in_flight=9)).summary
    closed = Run(make.log(max_in_flight=9, arrivals="even")).summary

    assert (replayed.arrivals, replayed.users) == ("replay", 9)
    assert (closed.arrivals, closed.users) == (None, 4)


def test_a_stage_offers_what_was_due_in_it_even_if_it_was_never_sent(make: "Make") -> None:
    log = make.opened(lambda _, second: {"offered": 1080, "unsent": 80} if second == 9 else {})

    assert Run(log).summary.stages["hold"].offered_rate == 110.0
