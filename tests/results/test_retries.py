"""A run of 100 conversations, 30 of which failed at first; 20 were ok after a retry."""

from typing import Any

import msgspec
import numpy as np
import pytest
from tests.run_logs import Make

from convload.contract.steps import ATTEMPTS, CREATE
from convload.judging import record_rules
from convload.judging.plan_gates import judge_plan
from convload.results.histogram import Histogram
from convload.results.run import Run
from convload.results.runlog import Backoff, Interval, MockLedger, RunLog
from convload.results.summary import Summary

FIRST, RETRY = ATTEMPTS
POLICY = {"policy": "exponential", "attempts": 3}


def waits(milliseconds: int, count: int) -> str:
    return Histogram.of(np.array([1000 * milliseconds] * count)).encode()


BACKOFFS = [
    Backoff("measure", "http_503", "retried", "honoured", 20, waits(100, 20)),
    Backoff("measure", "http_503", "retried", "", 8, waits(50, 8)),
    Backoff("measure", "rate_limited", "retried", "ignored", 10, waits(50, 10)),
    Backoff("measure", "rate_limited", "gave_up", "ignored", 5),
    Backoff("measure", "http_400", "not_retried", "", 3),
    Backoff("measure", "http_503", "cut_off", "honoured", 2),
    Backoff("warmup", "http_503", "retried", "honoured", 7, waits(9000, 7)),
]


def log(make: Make, *, ledger: int = 0, **changes: Any) -> RunLog:
    """18 + 20 retries: 20 ok, 18 failed again, of which 8 were retried once more."""
    cells = [
        make.cell([1000] * 70 + [90_000] * 20),
        make.cell([2000] * 10, "rate_limited"),
        make.cell([1000] * 70, step=FIRST, variant=""),
        make.cell([500] * 27, "http_503", step=FIRST, variant=""),
        make.cell([500] * 3, "http_400", step=FIRST, variant=""),
        make.cell([700] * 20, step=RETRY, variant=""),
        make.cell([700] * 18, "rate_limited", step=RETRY, variant=""),
    ]
    counts = {"built": 100, "sent": 138, "retried": 38, "recorded": 138, "backoffs": BACKOFFS, "last": True}
    records = [make.interval(0, [], 0), make.interval(1, [], 0), make.interval(2, cells, 0, **(counts | changes))]
    return make.log(*records, *([MockLedger(ledger, 90)] if ledger else []), retry=POLICY)


def said(run: RunLog) -> list[str]:
    return [text for _, text in record_rules.findings(Run(run))]


def test_a_run_without_a_policy_says_nothing_of_retries(make: Make) -> None:
    assert Run(make.sound()).summary.retries is None


def test_the_figures_are_of_the_measured_conversations(make: Make) -> None:
    retries = Run(log(make)).summary.retries

    assert retries is not None
    assert (retries.policy, retries.max_attempts) == ("exponential", 3)
    assert (retries.conversations, retries.attempts, retries.amplification) == (100, 138, 1.38)
    assert (retries.first_failed, retries.first_failed_share, retries.recovered) == (30, 0.3, 20)
    assert retries.retried == {"http_503": 28, "rate_limited": 10}
    assert (retries.gave_up, retries.not_retried, retries.cut_off) == (5, 3, 2)
    assert retries.shed == {"rate_limited": 18, "http_503": 27}
    assert (retries.retry_after_seen, retries.retry_after_honoured) == (37, 20)
    assert retries.waited_ms["max"] == pytest.approx(100)
    assert retries.waited_ms["mean"] == pytest.approx((20 * 100 + 18 * 50) / 38, abs=0.001)


def test_a_conversation_counts_once_wherever_conversations_are_judged(make: Make) -> None:
    run = log(make)
    summary = Run(run).summary

    assert summary.steps[CREATE].count == sum(row.count for row in summary.variants.values()) == 100
    assert list(summary.steps) == [CREATE, FIRST, RETRY]
    assert summary.achieved_rate == pytest.approx(100 / summary.duration_s, abs=0.001)
    assert "10 of 100" in judge_plan(Run(run))[0].message


def test_the_first_attempts_have_a_latency_of_their_own(make: Make) -> None:
    steps = Run(log(make)).summary.steps

    assert steps[CREATE].response_ms["p95"] == pytest.approx(90, rel=0.001)
    assert steps[FIRST].response_ms["max"] == 1.0


@pytest.mark.parametrize("ledger", [0, 138])
def test_attempts_add_up(make: Make, ledger: int) -> None:
    assert said(log(make, ledger=ledger)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"built": 101}, "101 create payloads were built but 138 were sent, 38 of them again"),
        ({"retried": 37}, "37 creates were retried but there are 38 results of retries"),
        ({"recorded": 137}, "138 create requests were sent but 137 results were recorded"),
        ({"sent": 139}, "139 create requests were sent but 138 results were recorded"),
        ({"ledger": 137}, "the mock received 137 of 138 create requests sent"),
        ({"ledger": 139}, "the mock received 139 create requests but only 138 were sent"),
    ],
)
def test_attempts_that_do_not_add_up_are_a_reason(make: Make, changes: dict[str, int], told: str) -> None:
    assert any(told in text for text in said(log(make, **changes)))


def test_a_conversation_whose_end_was_not_told_is_a_reason(make: Make) -> None:
    run = log(make)
    interval = run.records[-2]
    assert isinstance(interval, Interval)
    without = msgspec.structs.replace(interval, cells=interval.cells[1:])
    run.records[-2] = without

    assert [text.partition(" conversations were begun")[0] for text in said(run)] == ["100"]
    assert said(run)[0].endswith("100 results of first attempts and 10 of whole conversations")


def test_in_the_open_model_rates_count_arrivals_and_not_their_retries(make: Make) -> None:
    """Twice as many requests as arrivals are on the way; the schedule was kept all the same."""

    def again(_: int, second: int) -> dict[str, Any]:
        return {"sent": 200 * (second + 1), "retried": 100 * (second + 1)}

    summary: Summary = Run(make.opened(again)).summary

    assert summary.offered_rate == summary.achieved_rate == 100
    assert all(stage.achieved_rate == 100 for stage in summary.stages.values())
