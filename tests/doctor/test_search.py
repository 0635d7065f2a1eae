"""The search against generators whose ceiling is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.doctor.search import NEAR_ENOUGH, Ceiling, search
from convload.doctor.trials import CeilingTrial


class Generator:
    """Holds every rate up to its ceiling; remembers what it was asked for."""

    def __init__(self, ceiling: float) -> None:
        self.ceiling = ceiling
        self.asked: list[float] = []

    def __call__(self, rate: float) -> CeilingTrial:
        self.asked.append(rate)
        return CeilingTrial(rate, valid=rate <= self.ceiling)


@given(st.floats(100, 500_000))
def test_with_enough_trials_the_ceiling_is_found_to_a_tenth(ceiling: float) -> None:
    found = search(Generator(ceiling), 2_000.0, 40)

    assert found.best is not None
    assert found.beyond is not None
    assert found.best.rate <= ceiling < found.beyond.rate <= NEAR_ENOUGH * found.best.rate * (1 + 1e-9)
    assert not found.at_least


@given(st.floats(1, 1e9), st.integers(1, 8))
def test_no_more_trials_are_made_than_allowed_and_no_rate_twice(ceiling: float, most: int) -> None:
    generator = Generator(ceiling)

    found = search(generator, 2_000.0, most)

    assert 1 <= len(generator.asked) <= most
    assert len(set(generator.asked)) == len(generator.asked)
    assert [trial.rate for trial in found.trials] == generator.asked


def test_the_rate_is_doubled_then_narrowed() -> None:
    generator = Generator(10_000)

    search(generator, 2_000.0, 8)

    assert [round(rate) for rate in generator.asked] == [2_000, 4_000, 8_000, 16_000, 11_314, 9_514, 10_375]


def test_a_generator_that_never_fails_has_at_least_the_highest_rate_tried() -> None:
    found = search(Generator(1e9), 2_000.0, 3)

    assert found.best is not None
    assert (found.best.rate, found.beyond, found.at_least) == (8_000.0, None, True)


def test_where_the_first_rate_is_too_high_lower_ones_are_tried() -> None:
    generator = Generator(600)

    found = search(generator, 2_000.0, 3)

    assert generator.asked == [2_000.0, 1_000.0, 500.0]
    assert found.best is not None
    assert found.beyond is not None
    assert (found.best.rate, found.beyond.rate) == (500.0, 1_000.0)


@pytest.mark.parametrize("most", [1, 3])
def test_where_no_rate_holds_there_is_no_ceiling(most: int) -> None:
    found = search(Generator(0), 2_000.0, most)

    assert (found.best, found.at_least) == (None, False)
    assert found.beyond is not None
    assert found.beyond.rate == found.trials[-1].rate


def test_without_a_trial_nothing_is_found() -> None:
    assert search(Generator(1), 1.0, 0) == Ceiling([], None, None)
