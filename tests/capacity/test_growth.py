"""When a backlog counts as growing."""

import numpy as np

from convload.capacity.objective import growth


def test_a_steady_climb_is_growth_and_a_level_is_none() -> None:
    assert growth([10.0 * n for n in range(41)], 4_000).growing
    assert not growth([20.0] * 41, 4_000).growing
    assert growth([20.0] * 41, 4_000).strain == 0


def test_what_wanders_by_chance_is_seldom_taken_for_growth() -> None:
    random = np.random.default_rng(1)
    walks = [np.cumsum(random.normal(0, 10, 41)).tolist() for _ in range(400)]

    assert sum(growth(walk, 4_000).growing for walk in walks) < 0.06 * 400
