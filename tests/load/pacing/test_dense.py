"""Arrivals that come too densely for a process to sleep between them, in a time that passes when the test says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.load.pacing.crew import Crew, blocks

from convload.load.pacing.hand_out import GATHER_S

ROUNDING_S = 1e-6
GAPS_S = st.lists(st.sampled_from([0.0, 0.00001, 0.00003, 0.0001, 0.001]), min_size=1, max_size=8)


def fire(times_s: list[float], *, cut: int = 0, users: int = 3, precise: bool = True, hold_s: float = 0.0) -> Crew:
    """Lets a crew take arrivals, those before `cut` in a block of their own, until all are over."""
    crew = Crew(only=hold_s)
    crew.time.precise = precise
    parts = [part for part in (times_s[:cut], times_s[cut:]) if part]
    crew.begin(times_s[-1], users, only=blocks(*parts))
    crew.pass_to(times_s[-1] + 1)
    assert crew.end() == 0
    return crew


def even(rate: int, count: int = 300) -> list[float]:
    return [round(0.001 + number / rate, 6) for number in range(count)]


def test_arrivals_at_30_000_a_second_share_settings_of_the_timer() -> None:
    crew = fire(even(30_000))

    assert crew.due() == even(30_000)
    assert max(crew.waits()) <= GATHER_S + ROUNDING_S
    assert crew.time.settings < 300 / 2


def test_users_that_come_back_set_no_timer_for_dense_arrivals() -> None:
    crew = fire(even(30_000), users=20, hold_s=0.0003)

    assert crew.due() == even(30_000)
    assert crew.time.settings < 300 / 2


@pytest.mark.parametrize("rate", [1_000, 10_000])
def test_arrivals_that_are_not_dense_are_never_gathered(rate: int) -> None:
    assert set(fire(even(rate)).waits()) == {0.0}


def test_bursts_of_10_000_a_second_by_chance_are_not_gathered() -> None:
    gaps_s = np.random.default_rng(1).exponential(1 / 10_000, 2_000)

    assert max(fire(np.cumsum(gaps_s).round(6).tolist()).waits()) == 0.0


def test_dense_arrivals_wait_for_none_where_the_timer_is_coarse() -> None:
    assert set(fire(even(30_000), precise=False).waits()) == {0.0}


@settings(max_examples=40)
@given(GAPS_S, st.integers(0, 100), st.integers(1, 3), st.sampled_from([0.0, 0.0002]))
def test_dense_or_not_each_arrival_is_taken_once_in_order_and_never_early(
    gaps_s: list[float], cut: int, users: int, hold_s: float
) -> None:
    times_s = np.cumsum(np.repeat(gaps_s, 40)).round(6).tolist()

    crew = fire(times_s, cut=cut, users=users, hold_s=hold_s)

    assert crew.due() == times_s
    assert min(crew.waits()) >= 0
    assert hold_s or max(crew.waits()) <= GATHER_S + ROUNDING_S
