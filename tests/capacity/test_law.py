"""The fit of the scalability law against known parameters."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import stdtrit

from convload.capacity.law import check_little, fit
from convload.results.capacity_result import Bounded, Point, Trial, usl

USERS = [1, 2, 4, 8, 16, 32, 48, 64]


def exact(sigma: float, kappa: float, users: list[int] = USERS) -> list[Point]:
    return [Point(n, usl(n, 100, sigma, kappa)) for n in users]


def test_points_without_noise_give_the_parameters_back() -> None:
    found = fit(exact(0.05, 0.0005))

    assert found.sigma is not None
    assert found.kappa is not None
    assert found.lambda_per_s is not None
    assert (found.sigma.value, found.kappa.value) == pytest.approx((0.05, 0.0005), rel=1e-6)
    assert found.lambda_per_s.value == pytest.approx(100)
    assert max(abs(residual) for residual in found.residuals) < 1e-9
    assert found.peak_concurrency is not None
    assert found.peak_concurrency.value == pytest.approx((0.95 / 0.0005) ** 0.5)


def test_the_intervals_cover_the_parameters_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    covered = {"sigma": 0, "kappa": 0, "lambda": 0, "peak": 0}
    for _ in range(300):
        points = [Point(p.concurrency, p.per_s * (1 + random.normal(0, 0.02))) for p in exact(0.05, 0.0005)]
        found = fit(points)
        covered["sigma"] += within(found.sigma, 0.05)
        covered["kappa"] += within(found.kappa, 0.0005)
        covered["lambda"] += within(found.lambda_per_s, 100)
        covered["peak"] += within(found.peak_concurrency, (0.95 / 0.0005) ** 0.5)

    assert all(count >= 0.9 * 300 for name, count in covered.items() if name != "peak"), covered
    assert covered["peak"] >= 0.85 * 300, covered


def test_quantiles_of_student_are_scipys() -> None:
    assert [stdtrit(freedom, 0.975) for freedom in range(1, 60)] == pytest.approx(stats.t.ppf(0.975, range(1, 60)))


def within(bounded: Bounded | None, value: float) -> bool:
    if bounded is None:
        return False
    return (bounded.low or 0) <= value and (bounded.high is None or value <= bounded.high)


@pytest.mark.parametrize(
    ("users", "reason"),
    [([1, 2, 4, 8, 16], "at least 6 different"), ([10, 11, 12, 13, 14, 15], "too close together")],
)
def test_too_few_or_too_clustered_points_are_refused(users: list[int], reason: str) -> None:
    found = fit(exact(0.05, 0.001, users))

    assert reason in found.refused
    assert found.sigma is None
    assert found.at(10) is None


def test_a_peak_far_outside_of_what_was_measured_is_not_predicted() -> None:
    found = fit(exact(0.01, 0.00001))

    assert found.peak_concurrency is None
    assert "measure farther out" in found.peak_refused


def test_littles_law_is_checked_where_all_three_are_known_and_nothing_grows() -> None:
    def trial(in_flight: float, *, growing: bool = False) -> Trial:
        return Trial(
            rate=100,
            duration_s=10,
            outcome="pass",
            achieved_per_s=100,
            response_mean_ms=200,
            in_flight_mean=in_flight,
            growing=growing,
        )

    checks = check_little([trial(20), trial(30), trial(30, growing=True), Trial(rate=1, duration_s=1, outcome="pass")])

    assert [check.holds for check in checks] == [True, False]
    assert checks[1].in_flight / checks[1].expected == pytest.approx(1.5)


def test_what_a_target_sheds_at_once_is_not_in_flight() -> None:
    """A fifth of 600/s is refused; the others take 0.6 s each."""
    shedding = Trial(
        rate=600,
        duration_s=10,
        outcome="fail",
        achieved_per_s=600,
        response_mean_ms=600,
        in_flight_mean=288,
        error_share=0.2,
    )

    [check] = check_little([shedding])

    assert check.holds
    assert check.expected == pytest.approx(288)


def noisy(points: list[Point], seed: int, spread: float = 0.03) -> list[Point]:
    random = np.random.default_rng(seed)
    return [Point(point.concurrency, point.per_s * (1 + random.normal(0, spread))) for point in points]


def test_a_target_without_limit_is_given_no_peak() -> None:
    """Throughput that rises with what is in flight, measured with noise, as of an unlimited mock."""
    unlimited = [Point(n, 27 * n) for n in (1.1, 2.2, 4.4, 6.6, 8.8, 11, 13.2, 15.4)]

    peaks = [fit(noisy(unlimited, seed, 0.15)).peak_per_s for seed in range(200)]

    assert sum(peak is not None for peak in peaks) <= 0.05 * 200


def test_a_peak_that_measured_goodput_contradicts_is_not_predicted() -> None:
    """Goodput rises to 500/s and stays there: the law puts its peak above what no load has reached."""
    knee = [Point(n, min(50 * n, 500)) for n in (1, 2, 4, 8, 16, 32)]

    found = fit(knee, most_per_s=500)

    assert found.peak_per_s is None
    assert found.peak_refused == "goodput was 500/s at most, and the fitted peak is 549/s"


def test_a_peak_that_was_measured_is_still_predicted() -> None:
    found = fit(noisy(exact(0.05, 0.002), 1), most_per_s=1.02 * usl(22, 100, 0.05, 0.002))

    assert found.peak_concurrency is not None
    assert found.peak_concurrency.value == pytest.approx((0.95 / 0.002) ** 0.5, rel=0.2)


def test_a_fit_that_explains_nothing_is_not_shown() -> None:
    random = np.random.default_rng(3)
    found = fit([Point(n, random.uniform(50, 150)) for n in USERS])

    assert found.refused.startswith("the law explains ")
    assert found.sigma is None
    assert found.at(10) is None
