"""What the generator itself may have added to a time never breaks a gate; what the target did still does."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from convload.comparison.conclusion import conclude
from convload.judging.gate_result import GateResult
from convload.judging.plan_gates import judge_plan
from convload.plan.schedule import StageMark
from convload.results.histogram import Histogram
from convload.results.run import Run
from convload.results.runlog import RunLog

if TYPE_CHECKING:
    from tests.run_logs import Make

USERS = 50
IDLE = {"awaiting": 1, "users": 10}
ALL_WAIT = {"awaiting": USERS, "users": USERS}


def late_by(*delays_ms: float) -> str:
    """What a worker notes in a second: beats as late as this, and all others on time."""
    return Histogram.of(np.rint(1000 * np.array([*delays_ms, *[0.06] * (100 - len(delays_ms))])).astype(int)).encode()


def judged(log: RunLog) -> GateResult:
    [result] = judge_plan(Run(log))
    return result


def sent_late(make: "Make", gate: str, **changes: Any) -> GateResult:
    """All arrivals are sent 2 ms late and answered in 1 ms."""
    fields = {"lateness_us": 2000} | IDLE | changes
    return judged(make.opened(lambda *_: dict(fields), seconds=32, gates=[gate], users=USERS))


def read_late(make: "Make", gate: str, service_us: list[int], beats: str, **plan: Any) -> GateResult:
    """A closed load whose event loop was so late in each second."""
    parts = [
        make.interval(n, [make.cell(service_us)], len(service_us) * (n - 1), last=n == 31, hub_delays=beats)
        for n in range(2, 32)
    ]
    return judged(make.log(*parts, gates=[gate], duration_s=30.0, **plan))


def test_a_gate_that_breaks_by_late_sending_alone_is_undecided(make: "Make") -> None:
    found = sent_late(make, "create.p50 < 2ms")

    assert (found.outcome, found.value, found.undelayed, found.hangs_on_delays) == ("inconclusive", 3.0, 1.0, True)
    assert found.message.endswith(
        "; the generator itself was late, which may be all that decides it, and without that it may be 1 ms"
    )


def test_a_gate_that_breaks_without_late_sending_too_fails(make: "Make") -> None:
    found = sent_late(make, "create.p50 < 0.9ms")

    assert (found.outcome, found.hangs_on_delays) == ("fail", False)


def test_late_sending_takes_no_pass_away(make: "Make") -> None:
    found = sent_late(make, "create.p99 < 4ms")

    assert (found.outcome, found.undelayed, found.value) == ("pass", 1.0, 3.0)


def test_a_plan_that_waives_lateness_is_judged_by_what_was_measured(make: "Make") -> None:
    waived: dict[str, Any] = {"validity": {"waive": ["late", "hub_delay"]}}
    sent = make.opened(
        lambda *_: {"lateness_us": 2000} | IDLE, seconds=32, gates=["create.p50 < 2ms"], users=USERS, **waived
    )
    stops = late_by(*np.linspace(0.1, 8, 48))

    read = read_late(make, "create.p99 < 4ms", [1300] * 50 + [10_600] * 2, stops, **waived)

    assert [judged(sent).outcome, read.outcome] == ["fail", "fail"]


def test_a_floor_that_late_sending_alone_reaches_is_undecided(make: "Make") -> None:
    assert sent_late(make, "create.p50 > 2ms").outcome == "inconclusive"


@pytest.mark.parametrize(
    "waits",
    [ALL_WAIT, {"awaiting": 40, "users": 40, "lateness_us": 900_000}],
    ids=["no user left", "longer than starting one takes"],
)
def test_arrivals_that_a_target_kept_waiting_fail_a_gate(make: "Make", waits: dict[str, Any]) -> None:
    found = sent_late(make, "create.p50 < 2ms", **waits)

    assert (found.outcome, found.undelayed) == ("fail", found.value)


def test_a_wait_that_the_generators_own_clock_explains_is_not_the_targets(make: "Make") -> None:
    assert sent_late(make, "create.p50 < 2ms", hub_delay_ms=1.5, **ALL_WAIT).outcome == "inconclusive"


def test_a_log_that_does_not_say_who_waited_is_judged_as_it_was(make: "Make") -> None:
    assert sent_late(make, "create.p50 < 2ms", awaiting=0).outcome == "fail"


def test_often_stopped_reading_leaves_a_gate_undecided(make: "Make") -> None:
    stops = late_by(*np.linspace(0.1, 8, 48))

    found = read_late(make, "create.p99 < 4ms", [1300] * 50 + [10_600] * 2, stops)

    assert found.outcome == "inconclusive"
    assert found.undelayed == pytest.approx(2.7, abs=0.1)


def test_a_median_outside_of_all_delays_fails_all_the_same(make: "Make") -> None:
    assert read_late(make, "create.p50 < 4ms", [13_000] * 50, late_by(*np.linspace(0.1, 8, 48))).outcome == "fail"


def test_rare_delays_do_not_excuse_a_slow_median(make: "Make") -> None:
    assert read_late(make, "create.p50 < 4ms", [4500] * 50, late_by(150.0)).outcome == "fail"


@pytest.mark.parametrize(("slow", "outcome"), [(60, "inconclusive"), (600, "fail")])
def test_one_stop_excuses_as_many_slow_requests_as_met_it(make: "Make", slow: int, outcome: str) -> None:
    """180 ms without reading in 40 s at 200/s delay 40 requests or so; p99.5 breaks with as many slow ones."""
    stop = late_by(*np.arange(180, 0, -10))

    def vary(_: int, second: int) -> dict[str, Any]:
        return IDLE | {"hub_delays": stop if second == 20 else late_by()}

    log = make.opened(vary, rate=200, seconds=42, gates=["create.service.p99.5 < 20ms"])
    part = next(one for one in Run(log).intervals if one.n == 20)
    assert isinstance(part.cells, list)
    part.cells.append(make.cell(np.linspace(1000, 180_000, slow).astype(int).tolist(), stage="hold"))

    assert judged(log).outcome == outcome


def test_delays_count_by_the_requests_that_met_them(make: "Make") -> None:
    """Nine in ten requests are of a spike of ten seconds, in which the loop is late by 5 ms all the time."""
    marks = [StageMark("calm", 0, 90, 10, 10), StageMark("spike", 90, 10, 1000, 1000)]
    parts = [
        make.interval(
            n,
            [make.cell([6000] * (1000 if n >= 90 else 10), stage="spike" if n >= 90 else "calm")],
            0,
            hub_delays=late_by(*[5.0] * (100 if n >= 90 else 0)),
        )
        for n in range(100)
    ]
    log = make.log(*parts, gates=["create.p50 < 4ms", "create{stage=calm}.p50 < 4ms"], warmup_s=0.0, duration_s=100.0)
    log.manifest.stages.extend(marks)

    whole, calm = judge_plan(Run(log))

    assert (whole.outcome, calm.outcome) == ("inconclusive", "fail")


def test_a_window_that_breaks_by_the_generator_alone_leaves_all_undecided(make: "Make") -> None:
    found = sent_late(make, "create.p50 < 2ms over every 10s")

    assert (found.outcome, found.hangs_on_delays, found.undelayed) == ("inconclusive", True, 1.0)
    assert "the generator itself was late" in found.message


def test_a_valid_run_whose_gate_hangs_on_delays_is_inconclusive(make: "Make") -> None:
    log = make.opened(lambda *_: {"lateness_us": 2000} | IDLE, seconds=32, gates=["create.p50 < 2ms"], users=USERS)

    found = conclude(log)

    assert (found.validity.valid, found.verdict.outcome) == (True, "inconclusive")
    assert "the generator itself was late" in found.verdict.text
