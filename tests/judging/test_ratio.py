"""Baselines of another kind of machine: what calibration runs say of them, against simulations whose truth is known."""

import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.judging.test_gates import one, timed
from tests.run_logs import Make

from convload.contract.steps import CREATE
from convload.judging.alike import RunKind
from convload.judging.baseline import Baseline, freeze, of_run, read_frozen
from convload.judging.calibration import why_not, with_own
from convload.judging.dependence import INDEPENDENT
from convload.judging.estimates import Confidences, Estimate, estimate
from convload.judging.ratio import Machines, NoRatioError, as_here
from convload.plan.gate import Subject
from convload.plan.gate_grammar import parse
from convload.plan.gate_names import TIME
from convload.results.histogram import Histogram
from convload.results.measured import Figures, Totals

SLOWER = 1.4
EACH = 0.95
RUNS, SAMPLES = 400, 800
P90 = Subject("time", CREATE, "response", "p90")
SMALL = {"system": "Linux 6.1", "processor": "x", "cores": 2, "memory_bytes": 2**33}
LARGE = SMALL | {"cores": 16}


def totals(times_ms: Any) -> Totals:
    none = Histogram.of(np.array([], np.int64))
    times = Histogram.of((np.asarray(times_ms) * 1000).astype(np.int64))
    return Totals({(CREATE, "", ""): Figures(times.count, {}, times, times, none, none, none)}, {})


def work(chance: np.random.Generator, scale: float = 1.0) -> Any:
    return scale * 20 * np.exp(0.5 * chance.standard_normal(SAMPLES))


def simulated(waits_ms: float, seed: int) -> tuple[Estimate, Estimate]:
    """Returns a figure of a baseline as it would be on the slower machine, and how many times as long work takes."""
    chance = np.random.default_rng(seed)
    # What the mock waits on purpose differs from request to request.
    base = totals(waits_ms * chance.exponential(size=SAMPLES) + work(chance))
    machines = Machines(totals(work(chance, 0.7)), totals(work(chance, 0.7 * SLOWER)), all_work=not waits_ms)
    sure = Confidences(EACH, EACH)
    found = as_here(estimate(P90, TIME, base, sure), machines, P90, sure, INDEPENDENT)
    assert found.ratio is not None
    return found.figure, found.ratio


def missed(waits_ms: float) -> list[int]:
    """Returns how often the truth lay below the lower bound, and above the upper one."""
    chance = np.random.default_rng(9)
    here = waits_ms * chance.exponential(size=2_000_000) + SLOWER * 20 * np.exp(0.5 * chance.standard_normal(2_000_000))
    true_ms = float(np.percentile(here, 90))

    found = [simulated(waits_ms, seed)[0] for seed in range(RUNS)]

    return [sum((one.low or 0) > true_ms for one in found), sum((one.high or 0) < true_ms for one in found)]


@pytest.mark.parametrize("waits_ms", [0.0, 30.0])
def test_bounds_of_a_baseline_as_it_would_be_here_hold_as_often_as_they_say(waits_ms: float) -> None:
    allowed = RUNS * (1 - EACH)
    assert max(missed(waits_ms)) <= allowed + 3 * np.sqrt(allowed)  # to what so many runs can tell


def test_bounds_are_wider_than_those_of_a_baseline_of_the_same_machine() -> None:
    figure, ratio = simulated(0.0, 1)
    chance = np.random.default_rng(1)
    alone = estimate(P90, TIME, totals(work(chance)), Confidences(EACH, EACH))

    widths = [(one.high or 0) / (one.low or 1) for one in (figure, alone, ratio)]
    assert widths[0] > max(widths[1:])


def test_where_the_mock_waits_the_limit_lies_between_no_and_all_of_the_ratio() -> None:
    figure, ratio = simulated(30.0, 2)

    assert (ratio.low or 0) > 1
    assert figure.low is not None
    assert figure.value is not None
    assert figure.low < figure.value < figure.value * SLOWER < (figure.high or 0)


@pytest.mark.parametrize("subject", [Subject("errors"), Subject("rate"), Subject("time", CREATE, "response", "max")])
def test_calibration_runs_say_nothing_of_what_is_no_percentile_of_times(subject: Subject) -> None:
    same = totals([1.0] * 900)

    with pytest.raises(NoRatioError, match="calibration runs say nothing of"):
        as_here(
            Estimate(1.0, 1.0, 1.0), Machines(same, same, all_work=True), subject, Confidences(0.9, 0.9), INDEPENDENT
        )


def test_a_calibration_run_too_short_for_bounds_decides_nothing() -> None:
    short = totals([1.0] * 5)

    with pytest.raises(NoRatioError, match=r"too few samples for bounds of create\.p90"):
        as_here(Estimate(1.0, 1.0, 1.0), Machines(short, short, all_work=True), P90, Confidences(0.9, 0.9), INDEPENDENT)


def run_on(make: Make, machine: dict[str, Any], times_us: list[int], **mock: Any) -> Baseline:
    """Returns what is kept of a run of that machine at the embedded mock."""
    made = of_run(timed(make, times_us, independent=True))
    settings = {f"mock.{key}": value for key, value in mock.items()}
    identity = msgspec.structs.replace(
        made.identity, target="mock", kind=RunKind(settings, {}, machine, {"convload": "1"})
    )
    return msgspec.structs.replace(made, identity=identity)


TIMES = list(range(1000, 2000))
SLOW = [2 * time for time in TIMES]


def test_a_gate_is_judged_by_the_ratio_and_says_so(make: Make) -> None:
    gate = "create.p50 <= baseline * 1.2"
    own, here = run_on(make, SMALL, TIMES), run_on(make, LARGE, SLOW)
    base = msgspec.structs.replace(with_own(run_on(make, SMALL, TIMES), own), calibrations=[own, here])
    frozen = read_frozen(freeze(base, [parse(gate)], [], "base"))
    assert frozen is not None

    outcomes = {
        times: one(timed(make, [int(times * time) for time in TIMES], independent=True), gate, baseline=frozen.totals())
        for times in (2.0, 3.0, 0.5)
    }

    assert {times: result.outcome for times, result in outcomes.items()} == {2.0: "pass", 3.0: "fail", 0.5: "pass"}
    assert outcomes[2.0].limit == pytest.approx(3.6, rel=0.01)
    assert "by calibration runs all work takes 1.92 to 2.08 times as long here" in outcomes[2.0].message


def test_a_gate_on_errors_of_another_machine_is_undecided(make: Make) -> None:
    own, here = run_on(make, SMALL, TIMES), run_on(make, LARGE, SLOW)
    base = msgspec.structs.replace(own, calibrations=[own, here])

    result = one(timed(make, TIMES), "errors <= baseline + 1%", baseline=base.totals())

    assert result.outcome == "inconclusive"
    assert "another kind of machine, and calibration runs say nothing of errors" in result.message


def test_what_cannot_be_judged_by_ratio_is_told_with_its_reason(make: Make) -> None:
    own, here = run_on(make, SMALL, TIMES), run_on(make, LARGE, SLOW)
    base = with_own(run_on(make, SMALL, TIMES, service_time="constant(20ms)"), own)
    remote = msgspec.structs.replace(base, identity=msgspec.structs.replace(base.identity, target="https"))
    kind = msgspec.structs.replace(
        own.identity.kind or RunKind({}, {}, {}, {}), versions={"convload": "2"}, machine=LARGE
    )
    newer = msgspec.structs.replace(here, identity=msgspec.structs.replace(here.identity, kind=kind))
    busier = msgspec.structs.replace(base.flows[""], sent=10 * base.flows[""].sent)

    assert why_not(base, LARGE, here) == ""
    assert "not the embedded mock" in why_not(remote, LARGE, here)
    assert "no calibration run was kept with it" in why_not(run_on(make, SMALL, TIMES), LARGE, here)
    assert "no calibration run of this machine" in why_not(base, LARGE, None)
    assert "no calibration run of this machine" in why_not(base, LARGE, own)
    assert "made with other versions" in why_not(base, LARGE, newer)
    assert "it fired more" in why_not(msgspec.structs.replace(base, flows={"": busier}), LARGE, here)


def test_only_the_calibration_run_of_its_own_machine_is_kept_with_a_baseline(make: Make) -> None:
    base = run_on(make, SMALL, TIMES)

    assert with_own(base, run_on(make, LARGE, SLOW)).calibrations == []
    assert len(with_own(base, run_on(make, SMALL, TIMES)).calibrations) == 1


if __name__ == "__main__":
    for waits in (0.0, 30.0):
        sys.stdout.write(f"waits {waits:g} ms: of {RUNS} bounds {missed(waits)} were wrong\n")
