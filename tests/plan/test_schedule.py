import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.plan.schedule import Arrivals, RateProfile, Stage, Times, blocks

rates = st.floats(0, 2000)
stages = st.lists(st.builds(Stage, rates, rates, st.floats(0.01, 20)), min_size=1, max_size=5)


def all_of(profile: RateProfile, arrivals: str, seed: int = 1, worker: int = 0, workers: int = 1) -> Times:
    parts = list(blocks(profile, arrivals, seed, worker, workers))  # type: ignore[arg-type]  # a plain word is one of the two
    return np.concatenate(parts) if parts else np.empty(0)


def hold(rate: float, duration_s: float) -> RateProfile:
    return RateProfile([Stage(rate, rate, duration_s)])


def test_a_held_rate_gives_exactly_its_arrivals_at_even_distances() -> None:
    times = all_of(hold(500, 30), "even")

    assert len(times) == 15_000
    assert times[0] == 0.0
    np.testing.assert_allclose(np.diff(times), 0.002, rtol=1e-6)


def test_a_ramp_gives_as_many_arrivals_as_its_area() -> None:
    times = all_of(RateProfile([Stage(0, 100, 10)]), "even")

    assert len(times) == 500
    # The area up to t is 5 t², so arrival k is due at √(k/5).
    np.testing.assert_allclose(times, np.sqrt(np.arange(500) / 5), atol=1e-9)


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
def test_no_stage_has_no_arrivals(arrivals: Arrivals) -> None:
    assert list(blocks(RateProfile([]), arrivals, 7)) == []


def test_a_pause_has_no_arrivals() -> None:
    times = all_of(RateProfile([Stage(10, 10, 1), Stage(0, 0, 5), Stage(10, 10, 1)]), "even")

    assert len(times) == 20
    assert not ((times > 1.0) & (times < 6.0)).any()


@given(stages=stages, workers=st.integers(1, 7))
def test_the_workers_together_make_the_even_schedule_of_one(stages: list[Stage], workers: int) -> None:
    profile = RateProfile(stages)

    together = np.sort(np.concatenate([all_of(profile, "even", 1, worker, workers) for worker in range(workers)]))

    np.testing.assert_array_equal(together, all_of(profile, "even"))


@given(stages=stages, arrivals=st.sampled_from(["even", "poisson"]), seed=st.integers(0, 2**63 - 1))
def test_times_rise_lie_within_the_stages_and_follow_from_the_seed(
    stages: list[Stage], arrivals: str, seed: int
) -> None:
    profile = RateProfile(stages)

    times = all_of(profile, arrivals, seed)

    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times <= profile.ends_s)).all()
    np.testing.assert_array_equal(times, all_of(profile, arrivals, seed))


@given(stages=stages)
def test_even_arrivals_are_where_the_integral_of_the_rate_is_a_whole_number(stages: list[Stage]) -> None:
    profile = RateProfile(stages)
    times = all_of(profile, "even")

    counts = _integrals(stages, times)

    assert abs(len(times) - profile.total) <= 1
    np.testing.assert_allclose(counts, np.arange(len(times)), atol=1e-3)


def _integrals(stages: list[Stage], until_s: Times) -> Times:
    totals, start = np.zeros_like(until_s), 0.0
    for stage in stages:
        within = np.clip(until_s - start, 0.0, stage.duration_s)
        slope = (stage.to_rate - stage.from_rate) / stage.duration_s
        totals += stage.from_rate * within + slope * within * within / 2
        start += stage.duration_s
    return totals


def anderson_darling(gaps: Times) -> float:
    """The statistic against an exponential of unknown mean, with Stephens' correction for the sample's size."""
    n = len(gaps)
    p = np.clip(-np.expm1(-np.sort(gaps) / gaps.mean()), 1e-15, 1 - 1e-15)
    k = np.arange(1, n + 1)
    a2 = -n - np.mean((2 * k - 1) * (np.log(p) + np.log1p(-p[::-1])))
    return float(a2 * (1 + 0.6 / n))


@pytest.mark.parametrize("workers", [1, 3])
def test_poisson_gaps_are_exponential_for_one_worker_and_for_all_together(workers: int) -> None:
    profile = hold(1000, 20)

    times = np.sort(np.concatenate([all_of(profile, "poisson", 7, worker, workers) for worker in range(workers)]))

    assert abs(len(times) - 20_000) < 5 * np.sqrt(20_000)
    # 1.959 is the 1 % point of the statistic for an exponential with estimated mean (Stephens 1974).
    assert anderson_darling(np.diff(times)) < 1.959
    assert anderson_darling(np.full(1000, 1.0)) > 1.959


def test_poisson_counts_of_disjoint_seconds_spread_as_they_should() -> None:
    times = all_of(hold(200, 200), "poisson", 3)

    counts, _ = np.histogram(times, bins=200, range=(0, 200))

    # Index of dispersion: variance over mean is 1 ± 5 sd, sd = sqrt(2 / 199).
    assert abs(counts.var(ddof=1) / counts.mean() - 1) < 5 * np.sqrt(2 / 199)


def test_workers_and_seeds_draw_streams_of_their_own() -> None:
    profile = hold(100, 5)
    streams = [tuple(all_of(profile, "poisson", seed, worker, 2)) for seed in (1, 2) for worker in (0, 1)]

    assert len(set(streams)) == 4
