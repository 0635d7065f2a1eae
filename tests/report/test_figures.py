import pytest

from convload.comparison.conclusion import Conclusion
from convload.judging.gate_result import GateResult
from convload.report import figures


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 10, "10.00 %"),
        (1, 10**6, "<0.01 %"),
        (10**6 - 1, 10**6, ">99.99 %"),
        (0, 0, "—"),
    ],
)
def test_a_share_reads_0_or_100_percent_only_when_it_is(part: int, whole: int, shown: str) -> None:
    assert figures.percent(part, whole) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "—"), (0.123, "0.12"), (12.345, "12.3"), (123.6, "124"), (12345.6, "12,346")]
)
def test_a_figure_that_stands_alone_has_about_three_digits(value: float | None, shown: str) -> None:
    assert figures.about(value) == shown


@pytest.mark.parametrize(
    "write", [figures.milliseconds, figures.about, figures.count, figures.core_share], ids=lambda f: f.__name__
)
def test_what_was_not_measured_is_a_dash_and_never_a_zero(write: type) -> None:
    assert write(None) == "—"


def test_the_reconciliation_follows_a_request_from_hand_to_hand(conclusion: Conclusion) -> None:
    names = [name for name, _ in figures.reconciliation(conclusion.summary)]

    assert names == ["built", "sent", "recorded", "received by the mock", "accepted by it"]


@pytest.mark.parametrize(
    ("value", "low", "high", "limit", "unit", "shown"),
    [
        (251.25, 240.5, 1262.0, 99.99, "ms", "value 251 ms, 99 % bounds 240 to 1,262 ms, limit 99.99 ms"),
        (None, None, None, 250.0, "ms", "value —, 99 % bounds —, limit 250 ms"),
        (3.0, None, 4.5, 4.0, "ms", "value 3 ms, 99 % bounds at most 4.5 ms, limit 4 ms"),
        (3.0, 2.5, None, 4.0, "ms", "value 3 ms, 99 % bounds at least 2.5 ms, limit 4 ms"),
        (498.04, 498.04, 498.04, 1450.0, "/s", "value 498/s, 99 % bounds 498 to 498/s, limit 1,450/s"),
        (0.0, 0.0, 0.0, 0.0, "", "value 0, 99 % bounds 0 to 0, limit 0"),
        (3.0, 2.5, 3.5, None, "ms", "value 3 ms, 99 % bounds 2.5 to 3.5 ms, limit —"),
    ],
)
def test_the_figures_of_a_gate_have_their_unit_and_no_exponent(
    value: float | None, low: float | None, high: float | None, limit: float | None, unit: str, shown: str
) -> None:
    gate = GateResult("a gate", "inconclusive", value, low, high, limit, unit, False, "")

    assert figures.gate_figures(gate) == shown


def test_what_was_counted_is_exact_and_has_no_bounds() -> None:
    gate = GateResult("unsent == 0", "fail", 3.0, 3.0, 3.0, 0.0, "", False, "", exact=True)

    assert figures.gate_figures(gate) == "value 3, exact, limit 0"
