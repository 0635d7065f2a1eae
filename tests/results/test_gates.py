import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.results.gates import judge, wilson
from convload.results.summary import summarise

if TYPE_CHECKING:
    from tests.results.conftest import Make


@pytest.mark.parametrize(
    ("failed", "ok", "outcome"),
    [(0, 100, "pass"), (1, 99, "pass"), (2, 98, "fail"), (7, 693, "pass"), (8, 692, "fail"), (5, 0, "fail")],
)
def test_at_most_one_percent_of_failed_creates_passes(make: "Make", failed: int, ok: int, outcome: str) -> None:
    (gate,) = judge(summarise(make.sound(failed=failed, ok=ok)))

    assert gate.outcome == outcome
    assert gate.value == pytest.approx(100 * failed / (failed + ok), abs=1e-4)
    assert None not in (gate.low, gate.value, gate.high)
    assert sorted([gate.low or 0, gate.value or 0, gate.high or 0]) == [gate.low, gate.value, gate.high]
    assert (gate.gate, gate.limit, gate.unit, gate.builtin) == ("errors <= 1%", 1.0, "%", True)


def test_no_sample_is_inconclusive_and_never_a_pass(make: "Make") -> None:
    (gate,) = judge(summarise(make.sound(ok=0)))

    assert gate.outcome == "inconclusive"
    assert gate.value is gate.low is gate.high is None


def test_only_create_requests_count(make: "Make") -> None:
    cells = [make.cell([1] * 10), make.cell([1] * 10, "http_500", step="token.app", variant="")]

    (gate,) = judge(summarise(make.log(make.interval(2, cells, 10))))

    assert (gate.outcome, gate.value) == ("pass", 0.0)


def test_the_message_says_what_was_measured_allowed_and_which_figure_decides(make: "Make") -> None:
    (gate,) = judge(summarise(make.sound(failed=2, ok=98)))

    assert gate.message == (
        "2 of 100 create requests failed: 2 % (99 % Wilson interval 0.391 % to 9.58 %); "
        "at most 1 % is allowed; the point value decides"
    )


@pytest.mark.parametrize(("failed", "unsent", "outcome"), [(5, 3, "pass"), (5, 4, "fail"), (0, 9, "fail")])
def test_what_was_never_sent_is_an_error_of_the_run(make: "Make", failed: int, unsent: int, outcome: str) -> None:
    def vary(_: int, second: int) -> dict[str, int]:
        return {"unsent": unsent} if second == 9 else {"failed": failed} if second == 5 else {}

    (gate,) = judge(summarise(make.opened(vary)))

    assert gate.outcome == outcome
    assert gate.value == pytest.approx(100 * (failed + unsent) / (800 + unsent), abs=1e-4)
    assert gate.message.startswith(
        f"{failed + unsent} of {800 + unsent} arrivals came to nothing: {failed} failed, {unsent} were never sent"
    )


@given(st.integers(1, 10**7), st.data())
def test_the_bounds_are_the_two_solutions_of_the_score_equation(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))

    low, high = wilson(hits, count)

    assert 0 <= low <= hits / count <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            deviation = abs(hits / count - bound) / math.sqrt(bound * (1 - bound) / count)
            assert deviation == pytest.approx(2.5758293, rel=1e-3)


def test_the_interval_holds_the_true_share_about_as_often_as_it_claims() -> None:
    # Exact coverage: the chance of each count, added up where its interval holds the share.
    count = 2000
    for share in (0.005, 0.01, 0.03):
        held = 0.0
        for hits in range(count + 1):
            low, high = wilson(hits, count)
            if low <= share <= high:
                chance = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
                held += math.exp(chance + hits * math.log(share) + (count - hits) * math.log(1 - share))
        assert 0.98 < held < 1
