import math
import statistics

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.mock.faults import FAULTS, NO_FAULT, Faults
from convload.plan.mock_behaviour import FAULT_SHARES, Behaviour

DRAWS = 20_000


def test_a_true_mock_draws_nothing() -> None:
    faults = Faults(Behaviour())

    assert not faults.meets("create")
    assert faults.draw("create", 7) == NO_FAULT
    assert faults.service_s(7) == 0


def test_each_fault_comes_as_often_as_its_share_says() -> None:
    shares = dict(zip(FAULT_SHARES, (0.01, 0.02, 0.05, 0.1, 0.13, 0.16, 0.2, 0.06, 0.04, 0.03), strict=True))
    faults = Faults(msgspec.convert({"seed": 7, **shares}, Behaviour))
    drawn = [faults.draw("create", number) for number in range(DRAWS)]

    for name, share in [*zip(FAULTS, shares.values(), strict=True), (NO_FAULT, 1 - sum(shares.values()))]:
        deviation = math.sqrt(DRAWS * share * (1 - share))
        assert abs(drawn.count(name) - DRAWS * share) < 4 * deviation, name


@pytest.mark.parametrize("name", FAULT_SHARES)
def test_a_share_of_one_is_every_request(name: str) -> None:
    faults = Faults(msgspec.convert({name: 1.0}, Behaviour))

    assert {faults.draw("create", number) for number in range(1000)} == {name.removesuffix("_share")}


def test_log_normal_delays_have_the_median_and_sigma_that_were_asked_for() -> None:
    faults = Faults(Behaviour(service_time="lognormal(40ms, 0.6)"))
    delays_ms = sorted(faults.service_s(number) * 1000 for number in range(DRAWS))
    logs = [math.log(delay) for delay in delays_ms]

    assert statistics.median(delays_ms) == pytest.approx(40, rel=0.03)
    assert statistics.stdev(logs) == pytest.approx(0.6, rel=0.03)
    assert delays_ms[int(DRAWS * 0.99)] == pytest.approx(40 * math.exp(0.6 * 2.3263), rel=0.06)


def test_a_constant_service_time_is_the_same_for_every_request() -> None:
    faults = Faults(Behaviour(service_time="constant(25ms)"))

    assert {faults.service_s(number) for number in range(100)} == {0.025}


def test_delays_and_faults_are_drawn_independently() -> None:
    faults = Faults(Behaviour(service_time="lognormal(40ms, 0.5)", reset_share=0.5))
    slow = [faults.draw("create", number) for number in range(DRAWS) if faults.service_s(number) > 0.04]

    assert abs(slow.count("reset") / len(slow) - 0.5) < 0.02


@given(st.integers(0, 2**64), st.integers(0, 2**40))
def test_the_same_seed_and_number_have_the_same_fate(seed: int, number: int) -> None:
    behaviour = Behaviour(seed=seed, service_time="lognormal(5ms, 0.5)", reset_share=0.3, bad_json_share=0.3)

    assert Faults(behaviour).draw("create", number) == Faults(behaviour).draw("create", number)
    assert Faults(behaviour).service_s(number) == Faults(behaviour).service_s(number)


def test_another_seed_is_another_sequence() -> None:
    one, two = (Faults(Behaviour(seed=seed, reset_share=0.5)) for seed in (1, 2))
    differing = sum(one.draw("create", number) != two.draw("create", number) for number in range(1000))

    assert 400 < differing < 600


def test_steps_have_faults_of_their_own() -> None:
    faults = Faults(Behaviour(fault_steps="create, send", reset_share=0.5))
    differing = sum(faults.draw("create", number) != faults.draw("send", number) for number in range(1000))

    assert 400 < differing < 600
    assert not any(faults.draw("close", number) for number in range(100))


def test_a_step_may_have_a_part_of_the_shares() -> None:
    faults = Faults(Behaviour(fault_steps="create,close=0.1,send=0", reset_share=0.5))

    drawn = {step: sum(bool(faults.draw(step, k)) for k in range(10_000)) for step in ("create", "close", "send")}

    assert drawn["create"] == pytest.approx(5_000, rel=0.05)
    assert drawn["close"] == pytest.approx(500, rel=0.15)
    assert drawn["send"] == 0
    assert not faults.meets("send")
