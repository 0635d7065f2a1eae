import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.mock.queueing import (
    Tail,
    erlang_b,
    erlang_c,
    mg1,
    mmc,
    mmc_response,
    pollaczek_khinchine_s,
    quantile_s,
    response_tail,
    stationary_states,
    waits_in,
)
from convload.plan.service_times import constant, exponential, lognormal

SHARES = (0.5, 0.9, 0.95, 0.99)


def tail_of(servers: int, room: int | None, rate: float, mean_s: float) -> Tail:
    found = mmc(servers, room, rate, mean_s).tail
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("servers", "erlangs", "lost"),
    [
        (1, 0.0101, 0.01),
        (5, 1.3608, 0.01),
        (10, 4.4612, 0.01),
        (20, 12.031, 0.01),
        (100, 84.064, 0.01),
        (10, 7.5106, 0.1),
    ],
)
def test_erlang_b_is_that_of_the_published_tables(servers: int, erlangs: float, lost: float) -> None:
    assert erlang_b(servers, erlangs) == pytest.approx(lost, rel=2e-3)


def test_erlang_c_is_that_of_the_textbooks() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)  # 2ρ²/(1 + ρ)
    assert erlang_c(3, 2.0) == pytest.approx(4 / 9)
    assert erlang_c(4, 4.0) == erlang_c(4, 9.0) == 1


@given(st.integers(1, 60), st.floats(0.01, 0.98))
def test_mean_and_tail_of_a_wait_agree(servers: int, load: float) -> None:
    rate = load * servers / 0.02
    spare = servers / 0.02 - rate

    assert mmc(servers, None, rate, 0.02).mean_s == pytest.approx(tail_of(servers, None, rate, 0.02)(0.0) / spare)
    assert mmc_response(servers, rate, 0.02)(0.0) == pytest.approx(1)


@pytest.mark.parametrize("servers", [1, 2, 3, 8])
@pytest.mark.parametrize("load", [0.3, 0.5, 2 / 3, 0.9])
def test_the_mean_response_is_the_area_under_its_tail(servers: int, load: float) -> None:
    tail, step_s = mmc_response(servers, load * servers, 1.0), 0.01
    area = step_s * (0.5 + math.fsum(tail(k * step_s) for k in range(1, 20_000)))

    assert area == pytest.approx(mmc(servers, None, load * servers, 1.0).mean_s + 1.0, rel=1e-4)


def test_one_server_has_an_exponential_response() -> None:
    tail = mmc_response(1, 35.0, 0.02)

    for share in SHARES:
        assert quantile_s(tail, share) == pytest.approx(-math.log(1 - share) / (50 - 35))


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (4, 0.72), (4, 0.95)])
def test_a_queue_that_is_never_full_is_as_one_without_a_limit(servers: int, load: float) -> None:
    rate = load * servers / 0.02
    bounded, free = mmc(servers, 2000, rate, 0.02), mmc(servers, None, rate, 0.02)
    bounded_tail, free_tail = tail_of(servers, 2000, rate, 0.02), tail_of(servers, None, rate, 0.02)

    assert bounded.shed_share == pytest.approx(0, abs=1e-12)
    assert bounded.mean_s == pytest.approx(free.mean_s)
    for share in SHARES:
        assert quantile_s(bounded_tail, share) == pytest.approx(quantile_s(free_tail, share), rel=1e-6)


def test_no_room_to_wait_is_erlangs_loss_system() -> None:
    model = mmc(10, 0, 7.5106, 1.0)

    assert model.shed_share == pytest.approx(0.1, rel=1e-3)
    assert (model.mean_s, model.probability, tail_of(10, 0, 7.5106, 1.0)(0.0)) == (0, 0, 0)


def test_a_single_server_with_a_limit_sheds_as_its_formula_says() -> None:
    for load in (0.5, 0.999, 1.5):
        states = 1 + 7
        assert mmc(1, 7, load, 1.0).shed_share == pytest.approx((1 - load) * load**states / (1 - load ** (states + 1)))


def test_a_long_queue_under_a_high_load_is_nearly_always_full() -> None:
    model = mmc(4, 20_000, 10 * 4 / 0.02, 0.02)

    assert model.shed_share == pytest.approx(0.9)
    assert model.mean_s == pytest.approx(20_000 * 0.02 / 4, rel=1e-4)
    assert quantile_s(tail_of(4, 20_000, 10 * 4 / 0.02, 0.02), 0.5) == pytest.approx(20_000 * 0.02 / 4, rel=1e-3)


@pytest.mark.parametrize("room", [None, 0, 1, 30])
@pytest.mark.parametrize("load", [0.3, 0.9])
def test_a_chain_of_equal_servers_is_m_m_c(room: int | None, load: float) -> None:
    servers, rate = 4, load * 4 / 0.02
    model = mmc(servers, room, rate, 0.02)
    states = stationary_states(rate, servers, room, lambda n: min(n, servers) / 0.02)
    assert states is not None
    chain = waits_in(states, rate, servers, room)

    assert chain.shed_share == pytest.approx(model.shed_share)
    assert chain.probability == pytest.approx(model.probability, abs=1e-9)
    assert chain.mean_s == pytest.approx(model.mean_s, abs=1e-9)
    assert chain.in_service_s == pytest.approx(0.02)


def test_a_chain_that_grows_for_ever_has_no_stationary_state() -> None:
    assert stationary_states(5.0, 2, None, lambda n: min(n, 2) * 1.0) is None


def test_the_mean_waits_of_general_services_meet_where_they_must() -> None:
    assert pollaczek_khinchine_s(0.5, 1.0, 1.0) == pytest.approx(mmc(1, None, 0.5, 1.0).mean_s)
    assert pollaczek_khinchine_s(0.5, 1.0, 0.0) == pytest.approx(0.5)  # M/D/1: half of M/M/1
    assert mmc(3, None, 2.0, 1.0).mean_s == pytest.approx(4 / 9)
    assert pollaczek_khinchine_s(1.0, 1.0, 1.0) == math.inf


# On a grid


def erlang_m_d_1(rate: float, service_s: float, wait_s: float) -> float:
    """Returns the share of waits in M/D/1 that are longer: Erlang's alternating sum, in exact numbers."""
    total = Fraction(0)
    for k in range(int(wait_s / service_s) + 1):
        x = Fraction(rate) * (Fraction(wait_s) - k * Fraction(service_s))
        # exp(x) to 60 digits: the terms cancel.
        exponential = sum((x**n / math.factorial(n) for n in range(120)), Fraction(0)).limit_denominator(10**60)
        total += (-x) ** k / math.factorial(k) * exponential
    return float(1 - (1 - Fraction(rate) * Fraction(service_s)) * total)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_m_d_1_is_erlangs_formula(load: float) -> None:
    waits, _ = mg1(load, constant(1.0))

    assert waits.tail is not None
    for share in SHARES:
        wait_s = quantile_s(waits.tail, share)
        if wait_s:
            assert erlang_m_d_1(load, 1.0, wait_s) == pytest.approx(1 - share, rel=0.02)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_exponential_services_give_back_m_m_1(load: float) -> None:
    rate = load / 0.02
    waits, response = mg1(rate, exponential(0.02))
    exact_wait, exact_response = tail_of(1, None, rate, 0.02), mmc_response(1, rate, 0.02)

    assert waits.tail is not None
    assert response is not None
    for share in SHARES:
        assert quantile_s(waits.tail, share) == pytest.approx(quantile_s(exact_wait, share), rel=5e-3)
        assert quantile_s(response, share) == pytest.approx(quantile_s(exact_response, share), rel=5e-3)


def test_wait_plus_service_is_the_response() -> None:
    found, exact = response_tail(tail_of(4, None, 144.0, 0.02), exponential(0.02)), mmc_response(4, 144.0, 0.02)

    assert found is not None
    for share in SHARES:
        assert quantile_s(found, share) == pytest.approx(quantile_s(exact, share), rel=5e-3)


def test_percentiles_that_no_grid_can_hold_are_left_out() -> None:
    waits, response = mg1(1e-4, lognormal(1.0, 4.0))

    assert waits.tail is response is None
    assert response_tail(lambda t: 0.5 * math.exp(-t), lognormal(1.0, 4.0)) is None
