"""What an objective asks of a target that is like a queue."""

import math

import numpy as np
import pytest

from convload.capacity.objective import allowed_share, decay_per_s, growth
from convload.plan.gate import Gate
from convload.plan.gate_grammar import parse


def gates(*texts: str) -> list[Gate]:
    return [parse(text) for text in texts]


def test_the_strictest_percentile_decides_how_fast_the_tail_must_fall() -> None:
    assert decay_per_s(gates("create.p99 < 250ms", "create.p50 < 200ms")) == pytest.approx(math.log(100) / 0.25)
    assert decay_per_s(gates("create.p99 < 250ms", "create.p50 < 20ms")) == pytest.approx(math.log(2) / 0.02)


@pytest.mark.parametrize("text", ["create.max < 1s", "create.service.p99 < 250ms", "errors < 1%", "rate > 10/s"])
def test_other_gates_say_nothing_of_the_tail(text: str) -> None:
    assert decay_per_s(gates(text)) == 0


def test_the_smallest_share_of_errors_is_what_is_allowed() -> None:
    assert allowed_share(gates("errors < 1%", "errors < 5%", "create.p99 < 1s")) == pytest.approx(0.01)
    assert allowed_share(gates("create.p99 < 1s", "consumer.errors < 2%")) == 0


def test_a_steady_climb_is_growth_and_a_level_is_none() -> None:
    assert growth([10.0 * n for n in range(41)], 4_000).growing
    assert not growth([20.0] * 41, 4_000).growing
    assert growth([20.0] * 41, 4_000).strain == 0


def test_what_wanders_by_chance_is_seldom_taken_for_growth() -> None:
    random = np.random.default_rng(1)
    walks = [np.cumsum(random.normal(0, 10, 41)).tolist() for _ in range(400)]

    assert sum(growth(walk, 4_000).growing for walk in walks) < 0.06 * 400
