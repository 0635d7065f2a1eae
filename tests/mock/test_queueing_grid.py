import math
from fractions import Fraction

import pytest

from convload.mock.queueing import MMc, quantile_s
from convload.mock.queueing_grid import mg1_tails, response_tail
from convload.plan.service_times import Constant, Exponential, LogNormal

SHARES = (0.5, 0.9, 0.95, 0.99)


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
    tails = mg1_tails(load, Constant(1.0))

    assert tails is not None
    for share in SHARES:
        wait_s = quantile_s(tails[0], share)
        if wait_s:
            assert erlang_m_d_1(load, 1.0, wait_s) == pytest.approx(1 - share, rel=0.02)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_exponential_services_give_back_m_m_1(load: float) -> None:
    tails, exact = mg1_tails(load / 0.02, Exponential(0.02)), MMc(1, None, load / 0.02, 0.02)

    assert tails is not None
    for share in SHARES:
        assert quantile_s(tails[0], share) == pytest.approx(quantile_s(exact.wait_tail(), share), rel=5e-3)
        assert quantile_s(tails[1], share) == pytest.approx(quantile_s(exact.response_tail(), share), rel=5e-3)


def test_wait_plus_service_is_the_response() -> None:
    exact = MMc(4, None, 144.0, 0.02)
    found = response_tail(exact.wait_tail(), Exponential(0.02))

    assert found is not None
    for share in SHARES:
        assert quantile_s(found, share) == pytest.approx(quantile_s(exact.response_tail(), share), rel=5e-3)


def test_what_no_grid_can_hold_is_not_told() -> None:
    assert mg1_tails(1e-4, LogNormal(1.0, 4.0)) is None
    assert response_tail(lambda t: 0.5 * math.exp(-t), LogNormal(1.0, 4.0)) is None
