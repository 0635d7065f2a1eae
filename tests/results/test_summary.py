from typing import TYPE_CHECKING

import pytest

from convload.results.runlog import Ended, Ledger, Note
from convload.results.summary import Counts, Received, summarise

if TYPE_CHECKING:
    from tests.results.conftest import Make


def test_statistics_are_nearest_rank_in_milliseconds(make: "Make") -> None:
    cell = make.cell(list(range(1, 1001)))

    create = summarise(make.log(make.interval(2, [cell], 1000))).steps["conversation.create"]

    assert create.response_ms == {
        "p50": 0.5,
        "p90": 0.9,
        "p95": 0.95,
        "p99": 0.99,
        "p99.9": 0.999,
        "max": 1.0,
        "mean": 0.5,  # 500.5 µs, to the even microsecond
    }
    assert create.service_ms == create.response_ms


def test_empty_statistics_are_empty_and_never_zero(make: "Make") -> None:
    create = summarise(make.log(make.interval(2, [make.cell([9], "dns")], 1))).steps["conversation.create"]

    assert create.response_ms == create.service_ms == create.lateness_ms == {}
    assert create.failed_response_ms["max"] == 0.009


def test_the_achieved_rate_counts_failures_too_over_the_measured_time(make: "Make") -> None:
    log = make.log(
        make.interval(2, [make.cell([1] * 30), make.cell([1] * 10, "reset")], 40),
        make.interval(3, [make.cell([1] * 40)], 80),
    )

    summary = summarise(log)

    assert (summary.duration_s, summary.achieved_rate) == (2.0, 40.0)
    assert (summary.offered_rate, summary.unsent) == (None, 0)


def test_without_measured_time_there_is_no_rate_rather_than_zero(make: "Make") -> None:
    summary = summarise(make.log(make.interval(0, [], 0)))

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

    assert summarise(log).counts == Counts(built=27, sent=26, recorded=25)


def test_the_generator_is_judged_by_its_busiest_worker_in_the_measured_time(make: "Make") -> None:
    log = make.log(
        make.interval(0, [], 0, cpu_share=1.0, memory_bytes=10),
        make.interval(2, [make.cell([1])], 1, cpu_share=0.2, memory_bytes=30),
        make.interval(3, [make.cell([1])], 2, cpu_share=0.4, memory_bytes=20, from_s=3.0, to_s=4.0),
        make.interval(2, [], 0, worker=1, cpu_share=0.9, memory_bytes=5, from_s=2.0, to_s=2.5),
        make.interval(3, [], 0, worker=1, cpu_share=0.5, memory_bytes=5, from_s=2.5, to_s=4.0),
    )

    generator = summarise(log).generator

    assert generator.cpu_share == pytest.approx(0.6)  # worker 1, weighted by time
    assert generator.cpu_share_sum == pytest.approx(0.9)
    assert generator.cpu_share_highest == 0.9
    assert generator.memory_bytes == 35


def test_lateness_is_empty_in_the_closed_model_and_stated_in_the_open_one(make: "Make") -> None:
    interval = make.interval(2, [make.cell([10], response_us=[15], lateness_us=[5])], 1)

    closed = summarise(make.log(make.interval(2, [make.cell([10])], 1)))
    opened = summarise(make.log(interval, model="open", users=None))

    assert closed.steps["conversation.create"].lateness_ms == {}
    assert closed.generator.lateness_p99_ms is None
    assert opened.steps["conversation.create"].lateness_ms["max"] == 0.005
    assert opened.generator.lateness_p99_ms == 0.005


def test_facts_notes_and_ledger_are_carried_over(make: "Make") -> None:
    log = make.log(Note(1.0, "timers are coarse"), Ledger(5, 4), Ended(9.0, left_open=3), ended=False)

    summary = summarise(log)

    assert summary.notes == ["timers are coarse"]
    assert summary.ledger == Received(5, 4)
    assert summary.left_open == 3
    assert (summary.plan, summary.model, summary.seed, summary.consumers) == ("smoke", "closed", 7, "close")
    assert (summary.target, summary.started) == ("http://127.0.0.1:8080", "2026-01-02T03:04:05Z")
