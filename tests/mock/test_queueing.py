import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.mock.queueing import (
    MMc,
    allen_cunneen_s,
    birth_and_death,
    erlang_b,
    erlang_c,
    pollaczek_khinchine_s,
    quantile_s,
)

SHARES = (0.5, 0.9, 0.95, 0.99)


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
    model = MMc(servers, None, load * servers / 0.02, 0.02)
    spare = servers / 0.02 - model.rate

    assert model.mean_wait_s() == pytest.approx(model.wait_tail()(0.0) / spare)
    assert model.response_tail()(0.0) == pytest.approx(1)


@pytest.mark.parametrize("servers", [1, 2, 3, 8])
@pytest.mark.parametrize("load", [0.3, 0.5, 2 / 3, 0.9])
def test_the_mean_response_is_the_area_under_its_tail(servers: int, load: float) -> None:
    model = MMc(servers, None, load * servers, 1.0)
    tail, step_s = model.response_tail(), 0.01
    area = step_s * (0.5 + math.fsum(tail(k * step_s) for k in range(1, 20_000)))

    assert area == pytest.approx(model.mean_wait_s() + 1.0, rel=1e-4)


def test_one_server_has_an_exponential_response() -> None:
    tail = MMc(1, None, 35.0, 0.02).response_tail()

    for share in SHARES:
        assert quantile_s(tail, share) == pytest.approx(-math.log(1 - share) / (50 - 35))


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (4, 0.72), (4, 0.95)])
def test_a_queue_that_is_never_full_is_as_one_without_a_limit(servers: int, load: float) -> None:
    rate = load * servers / 0.02
    bounded, free = MMc(servers, 2000, rate, 0.02), MMc(servers, None, rate, 0.02)

    assert bounded.shed_share() == pytest.approx(0, abs=1e-12)
    assert bounded.mean_wait_s() == pytest.approx(free.mean_wait_s())
    for share in SHARES:
        assert quantile_s(bounded.wait_tail(), share) == pytest.approx(quantile_s(free.wait_tail(), share), rel=1e-6)


def test_no_room_to_wait_is_erlangs_loss_system() -> None:
    model = MMc(10, 0, 7.5106, 1.0)

    assert model.shed_share() == pytest.approx(0.1, rel=1e-3)
    assert (model.mean_wait_s(), model.wait_probability(), model.wait_tail()(0.0)) == (0, 0, 0)


def test_a_single_server_with_a_limit_sheds_as_its_formula_says() -> None:
    for load in (0.5, 0.999, 1.5):
        states = 1 + 7
        assert MMc(1, 7, load, 1.0).shed_share() == pytest.approx(
            (1 - load) * load**states / (1 - load ** (states + 1))
        )


def test_a_long_queue_under_a_high_load_is_nearly_always_full() -> None:
    model = MMc(4, 20_000, 10 * 4 / 0.02, 0.02)

    assert model.shed_share() == pytest.approx(0.9)
    assert model.mean_wait_s() == pytest.approx(20_000 * 0.02 / 4, rel=1e-4)
    assert quantile_s(model.wait_tail(), 0.5) == pytest.approx(20_000 * 0.02 / 4, rel=1e-3)


@pytest.mark.parametrize("room", [None, 0, 1, 30])
@pytest.mark.parametrize("load", [0.3, 0.9])
def test_a_chain_of_equal_servers_is_m_m_c(room: int | None, load: float) -> None:
    servers, rate = 4, load * 4 / 0.02
    model = MMc(servers, room, rate, 0.02)
    chain = birth_and_death(rate, servers, room, lambda n: min(n, servers) / 0.02)

    assert chain is not None
    assert chain.shed_share == pytest.approx(model.shed_share())
    assert chain.wait_probability == pytest.approx(model.wait_probability(), abs=1e-9)
    assert chain.mean_wait_s == pytest.approx(model.mean_wait_s(), abs=1e-9)
    assert chain.mean_response_s == pytest.approx(model.mean_wait_s() + 0.02)


def test_a_chain_that_grows_for_ever_has_no_stationary_state() -> None:
    assert birth_and_death(5.0, 2, None, lambda n: min(n, 2) * 1.0) is None


def test_the_mean_waits_of_general_services_meet_where_they_must() -> None:
    assert pollaczek_khinchine_s(0.5, 1.0, 1.0) == pytest.approx(MMc(1, None, 0.5, 1.0).mean_wait_s())
    assert pollaczek_khinchine_s(0.5, 1.0, 0.0) == pytest.approx(0.5)  # M/D/1: half of M/M/1
    assert allen_cunneen_s(1, 0.5, 1.0, 3.0) == pytest.approx(pollaczek_khinchine_s(0.5, 1.0, 3.0))
    assert allen_cunneen_s(3, 2.0, 1.0, 1.0) == pytest.approx(4 / 9)
    assert pollaczek_khinchine_s(1.0, 1.0, 1.0) == allen_cunneen_s(2, 2.0, 1.0, 1.0) == math.inf
