import time

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.load.pacing.closed import ClosedPacing
from convload.load.pacing.protocol import NOW
from convload.plan.plan import assemble


def pacing(worker: int = 0, workers: int = 1, **keys: str) -> ClosedPacing:
    return ClosedPacing(assemble(None, {}, keys), worker, workers)


@given(total=st.integers(1, 500), workers=st.integers(1, 12))
def test_the_workers_shares_add_up_to_the_conversations_of_the_plan(total: int, workers: int) -> None:
    shares = []
    for worker in range(workers):
        paced = pacing(worker, workers, conversations=str(total), users="12")
        shares.append(sum(1 for _ in iter(paced.take, None)))

    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_nobody_starts_after_the_end() -> None:
    paced = pacing()
    paced.stop_s = time.monotonic() + 60

    before = paced.take()
    paced.stop_s = time.monotonic()

    assert before == NOW
    assert paced.take() is None
    assert paced.stopped.is_set()


def test_who_thinks_is_woken_by_the_end() -> None:
    paced = pacing()
    thinking = gevent.spawn(paced.pause, 60.0)
    gevent.spawn(paced.stop)

    thinking.join(timeout=5)

    assert thinking.ready()


@pytest.mark.parametrize(
    ("think", "low", "high", "mean"),
    [
        ("none", 0, 0, 0),
        ("constant 2s", 2, 2, 2),
        ("uniform 1s 3s", 1, 3, 2),
        ("exponential 2s", 0, 60, 2),
    ],
)
def test_think_times_follow_their_distribution(think: str, low: float, high: float, mean: float) -> None:
    paced = pacing(think=think)

    drawn = [paced.think_s() for _ in range(20_000)]

    assert low <= min(drawn)
    assert max(drawn) <= high
    # 20,000 draws of at most sigma 2 have a mean within 5 * 2 / sqrt(20,000) = 0.07, but for one in a million.
    assert abs(sum(drawn) / len(drawn) - mean) < 0.08


def test_the_same_seed_draws_the_same_think_times_and_each_worker_its_own() -> None:
    def draws(worker: int) -> list[float]:
        paced = pacing(worker, 2, think="exponential 1s")
        return [paced.think_s() for _ in range(5)]

    assert draws(0) == draws(0)
    assert draws(0) != draws(1)


def test_users_are_counted_while_they_take_part() -> None:
    paced = pacing()

    with pytest.raises(KeyError), paced.taking_part():  # noqa: PT012 -- the second line is what raises
        during = paced.in_progress
        raise KeyError

    assert (during, paced.in_progress) == (1, 0)
