"""Figures of many workers are reckoned from columns, and are those of each worker added up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.run_logs import Make

from convload.results.health import Health
from convload.results.interval import Interval
from convload.results.measured import highest_together, risen
from convload.results.window import Window

SECONDS = st.floats(0, 12)


WORKERS = st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 9), min_size=1, max_size=8)), max_size=4)


def made(worker: int, first: int, sent: list[int]) -> list[Interval]:
    return [
        Make.interval(n, [], done, worker=worker, backlog=done, from_s=float(n), to_s=n + 1.0)
        for n, done in enumerate(np.cumsum(sent).tolist(), first)
    ]


@settings(max_examples=50, deadline=None)
@given(SECONDS, SECONDS, WORKERS)
def test_counts_rise_as_numpy_interpolates_them(
    begin_s: float, end_s: float, workers: list[tuple[int, list[int]]]
) -> None:
    parts = [made(worker, first, sent) for worker, (first, sent) in enumerate(workers)]

    expected = 0.0
    for own in parts:
        known = [(0.0, 0)] * (own[0].n == 0) + [(one.to_s, one.sent) for one in own]
        low, high = np.interp([begin_s, end_s], [at_s for at_s, _ in known], [count for _, count in known]).tolist()
        expected += high - low

    found = risen(Health.of(one for own in parts for one in own), Window(begin_s, end_s), "sent")
    assert found == pytest.approx(expected, abs=1e-9)


def test_what_workers_state_in_the_same_second_is_added_up() -> None:
    parts = [*made(0, 0, [1, 2, 3]), *made(1, 1, [5, 0])]

    assert highest_together(Health.of(parts), "backlog") == 6 + 5
