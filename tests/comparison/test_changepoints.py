import numpy as np
import pytest
from scipy import stats

from convload.comparison.changepoints import FEWEST_RUNS, changes, levels, penalty, weigh


def series(*parts: tuple[int, float], seed: int = 1, noise: float = 0.02) -> list[float]:
    chance = np.random.default_rng(seed)
    return [float(level * np.exp(chance.normal(0, noise))) for runs, level in parts for _ in range(runs)]


def found(values: list[float]) -> list[tuple[int, bool]]:
    return [(one.at, one.confirmed) for one in changes(values, least_relative=0.05, least_absolute=0.2)]


def test_a_step_is_found_where_it_is() -> None:
    assert found(series((9, 20.0), (9, 23.0))) == [(9, True)]


def test_several_steps_are_found_each_in_its_place() -> None:
    assert found(series((10, 20.0), (10, 24.0), (10, 18.0))) == [(10, True), (20, True)]


def test_its_levels_are_the_medians_around_it() -> None:
    (change,) = changes(series((9, 20.0), (9, 30.0)), least_relative=0.05, least_absolute=0.2)

    assert change.before == pytest.approx(20, rel=0.02)
    assert change.after == pytest.approx(30, rel=0.02)
    assert change.relative == pytest.approx(0.5, abs=0.05)


def test_p_is_mann_and_whitneys() -> None:
    values = series((6, 20.0), (6, 23.0))
    (change,) = changes(values, least_relative=0.05, least_absolute=0.2)

    assert change.p == pytest.approx(stats.mannwhitneyu(values[:6], values[6:], method="exact").pvalue)


def test_a_single_outlier_is_no_change() -> None:
    values = series((20, 20.0))
    values[12] *= 5

    assert found(values) == []


def test_a_step_too_small_to_matter_is_left_alone() -> None:
    assert found(series((20, 20.0), (20, 20.6), noise=0.002)) == []
    assert found(series((20, 1.0), (20, 1.15), noise=0.002)) == []


def test_a_short_series_knows_no_change_and_neither_does_one_that_never_varies() -> None:
    assert found(series((4, 20.0), (5, 30.0))) == []
    assert found([20.0] * 30) == []


def test_ten_runs_are_the_fewest_that_can_show_a_step() -> None:
    assert found(series((5, 20.0), (5, 30.0))) == [(5, True)]
    assert FEWEST_RUNS == 10


def test_a_change_that_too_few_runs_can_confirm_is_told_as_possible() -> None:
    told = weigh([20.0, 20.1, 20.2, 20.3], [30.0, 30.1, 30.2, 30.3], 4)

    assert not told.confirmed
    assert told.why == "4 runs before and 4 after reach p = 0.029 at best, it must be 0.01"


def test_noise_alone_changes_hardly_ever() -> None:
    alarms = [
        bool(changes(series((14, 20.0), seed=seed, noise=0.1), least_relative=0, least_absolute=0))
        for seed in range(300)
    ]

    assert sum(alarms) <= stats.binom.ppf(0.999, 300, 0.01)


def test_the_penalty_grows_with_the_places_a_change_may_have() -> None:
    assert penalty(10) < penalty(20) < penalty(60)


def test_levels_step_at_confirmed_changes_and_skip_what_is_missing() -> None:
    values = series((6, 20.0), (6, 30.0), noise=0.0001)
    told = changes(values, least_relative=0.05, least_absolute=0.2)

    drawn = levels([*values[:6], *values[6:11], None], told)

    assert [round(level or 0) for level in drawn] == [20] * 6 + [30] * 6
    assert levels([None, None], []) == [None, None]
