import random
from typing import Any

import numpy as np
import pytest

from convload.mock.truth import AtRate, Truth, describe, truth_of
from convload.mock.waiting_line import WaitingLine, station_of
from convload.plan.mock_behaviour import Behaviour

ARRIVALS = 40_000


def at_rate(behaviour: Behaviour, rate: float) -> AtRate:
    found = truth_of(behaviour, rate).at_rate
    assert found is not None
    return found


def simulated(behaviour: Behaviour, rate: float) -> dict[str, float]:
    """Returns what the mock's own line does with Poisson arrivals, in virtual time."""
    line, service = WaitingLine(station_of(behaviour), 0.0), behaviour.service
    chance, now_s, visits = random.Random(5), 0.0, []
    for _ in range(ARRIVALS):
        now_s += chance.expovariate(rate)
        visits.append(line.arrive(now_s, service.quantile_s(chance.random())))
    line.advance(now_s + 1000)
    took_ms = np.array([(v.done_s - v.arrived_s) * 1000 for v in visits if v])
    return {
        "mean": float(took_ms.mean()),
        "p50": float(np.percentile(took_ms, 50)),
        "p95": float(np.percentile(took_ms, 95)),
        "shed": line.counts.shed / ARRIVALS,
        "waits": float(np.mean([v.started_s > v.arrived_s for v in visits if v])),
    }


@pytest.mark.parametrize(
    ("settings", "model", "capacity"),
    [
        ({"servers": 4, "service_time": "exponential(8ms)"}, "M/M/4", 500),
        ({"servers": 1, "service_time": "constant(20ms)"}, "M/D/1", 50),
        ({"servers": 2, "service_time": "gamma(20ms, 2)", "queue": 8}, "M/G/2/10", 100),
        ({"servers": 2, "service_time": "gamma(20ms, 1)", "queue": 0}, "M/M/2/2", 100),
        (
            {"servers": 2, "service_time": "constant(20ms)", "stall_every": "1s", "stall_for": "100ms"},
            "M/D/2",
            90,
        ),
    ],
)
def test_the_capacity_and_the_model_follow_from_the_settings(
    settings: dict[str, Any], model: str, capacity: float
) -> None:
    truth = truth_of(Behaviour(**settings))

    assert (truth.format, truth.model, truth.capacity) == ("convload/truth/1", model, "exact")
    assert truth.capacity_per_s == truth.overloaded_per_s == pytest.approx(capacity)
    assert truth.at_rate is None


def test_contention_lowers_the_capacity_and_coherency_gives_it_a_peak() -> None:
    contended = truth_of(Behaviour(servers=10, service_time="constant(10ms)", usl_sigma=0.1))
    coherent = truth_of(Behaviour(servers=50, service_time="constant(10ms)", usl_sigma=0.05, usl_kappa=0.002))

    assert contended.capacity_per_s == pytest.approx(1000 / 1.9)
    assert (contended.capacity, contended.best_in_service) == ("exact", 10)
    assert coherent.best_in_service == 22  # √((1 − σ)/κ) = 21.8
    assert coherent.capacity_per_s == pytest.approx(2200 / (1 + 21 * 0.05 + 22 * 21 * 0.002))
    assert coherent.overloaded_per_s == pytest.approx(5000 / (1 + 49 * 0.05 + 50 * 49 * 0.002))
    assert coherent.capacity == "metastable"


def test_degradation_says_what_is_left_of_the_capacity() -> None:
    settings: dict[str, Any] = {"servers": 2, "service_time": "constant(10ms)", "degrade": 0.1, "degrade_cap": 4.0}
    free, bounded = truth_of(Behaviour(**settings)), truth_of(Behaviour(queue=20, **settings))

    assert (free.capacity_per_s, free.overloaded_per_s, free.capacity) == (200, 50, "metastable")
    assert (bounded.capacity_per_s, bounded.overloaded_per_s) == (200, 100)


@pytest.mark.parametrize(
    ("settings", "rate", "trust", "within"),
    [
        ({"servers": 4, "service_time": "exponential(8ms)"}, 350.0, "exact", 0.05),
        ({"servers": 4, "service_time": "exponential(8ms)", "queue": 6}, 600.0, "exact", 0.03),
        ({"servers": 1, "service_time": "lognormal(8ms, 0.8)"}, 60.0, "exact", 0.06),
        ({"servers": 4, "service_time": "lognormal(20ms, 0.4)"}, 140.0, "approximate", 0.06),
        ({"servers": 4, "service_time": "lognormal(20ms, 0.4)", "queue": 10}, 180.0, "approximate", 0.12),
        ({"servers": 4, "service_time": "lognormal(20ms, 0.4)", "queue": 10}, 300.0, "approximate", 0.08),
        ({"servers": 4, "service_time": "gamma(20ms, 0.5)", "queue": 0}, 300.0, "exact", 0.05),
    ],
)
def test_what_is_expected_is_what_the_line_does(
    settings: dict[str, Any], rate: float, trust: str, within: float
) -> None:
    behaviour = Behaviour(**settings)
    expected, found = at_rate(behaviour, rate), simulated(behaviour, rate)

    assert expected.trust == trust
    for name in ("mean", "p50", "p95"):
        assert found[name] == pytest.approx(expected.response_ms[name], rel=within)
    assert found["shed"] == pytest.approx(expected.shed_share, rel=within, abs=0.01)
    assert found["waits"] == pytest.approx(expected.wait_probability, rel=within, abs=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {"usl_sigma": 0.05, "usl_kappa": 0.01, "queue": 20},
        {"usl_sigma": 0.05},
        {"degrade": 0.1, "queue": 20},
    ],
)
def test_with_load_dependent_speed_the_means_are_exact_and_percentiles_left_out(settings: dict[str, Any]) -> None:
    behaviour = Behaviour(servers=4, service_time="exponential(8ms)", **settings)
    expected, found = at_rate(behaviour, 280.0), simulated(behaviour, 280.0)

    assert (expected.trust, expected.response_ms["p95"]) == ("exact", None)
    assert found["mean"] == pytest.approx(expected.response_ms["mean"], rel=0.06)
    assert found["shed"] == pytest.approx(expected.shed_share, rel=0.3, abs=0.003)


@pytest.mark.parametrize(
    "settings",
    [
        {"service_time": "exponential(8ms)", "stall_every": "1s", "stall_for": "100ms"},
        {"service_time": "constant(8ms)", "usl_sigma": 0.1},
    ],
)
def test_what_no_theory_covers_is_unknown(settings: dict[str, Any]) -> None:
    found = at_rate(Behaviour(servers=4, **settings), 100.0)

    assert (found.trust, found.wait_ms, found.response_ms) == ("unknown", {}, {})


def test_a_rate_that_cannot_be_carried_has_no_expected_wait() -> None:
    found = at_rate(Behaviour(servers=4, service_time="exponential(8ms)"), 500.0)

    assert not found.stable
    assert found.response_ms == {}


def test_a_slow_start_makes_the_figures_approximate() -> None:
    behaviour = Behaviour(servers=4, service_time="exponential(8ms)", slow_start_factor=3.0)

    assert at_rate(behaviour, 100.0).trust == "approximate"
    assert "slow start" in truth_of(behaviour).notes[0]


def test_without_servers_nothing_is_claimed() -> None:
    truth: Truth = truth_of(Behaviour(service_time="constant(3ms)"), 100.0)

    assert (truth.capacity_per_s, truth.capacity, truth.at_rate) == (None, "unknown", None)
    assert list(describe(truth, Behaviour())) == []


def test_the_capacity_is_told_in_words() -> None:
    behaviour = Behaviour(servers=4, service_time="exponential(8ms)", queue=100, shed=503)
    first, *others = describe(truth_of(behaviour), behaviour)

    assert first.startswith(
        "capacity: 500 creates/s (exact); M/M/4/104, service exponential(8ms), mean 8 ms, at most 100"
    )
    assert [line.split(" a ")[0].strip() for line in others] == [
        "at 250/s (50%)",
        "at 350/s (70%)",
        "at 400/s (80%)",
        "at 450/s (90%)",
    ]


def test_a_mock_of_more_than_a_million_creates_a_second_says_so_in_full() -> None:
    behaviour = Behaviour(servers=2000, service_time="constant(1ms)")

    first, *others = describe(truth_of(behaviour), behaviour)

    assert first.startswith("capacity: 2,000,000 creates/s (exact)")
    assert "e+" not in "".join(others)
