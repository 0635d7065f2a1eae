import pytest

from convload.report import figures
from convload.results.verdict import Conclusion


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


def test_the_sentence_beside_the_outcome_does_not_repeat_it(conclusion: Conclusion) -> None:
    assert conclusion.verdict.text.startswith("Fail: 44 of ")
    assert figures.sentence(conclusion.verdict).startswith("44 of ")
