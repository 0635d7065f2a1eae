"""What is added up by place and kind is what was there, however often room is made for more."""

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convload.results.cells import MEASURE, Cell
from convload.results.counting import count
from convload.results.histogram import Histogram
from convload.results.run import Run
from convload.results.sums import Sums

if TYPE_CHECKING:
    from tests.run_logs import Make

PLACES = st.tuples(st.just(0), st.integers(0, 3))
KINDS = st.integers(0, 60)
TIMES = st.lists(st.sampled_from([0, 1, 900, 20_000, 21_000, 1_000_000]), max_size=5)
MANY = st.sampled_from([1, 300, 70_000, 5_000_000_000])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(PLACES, st.lists(st.tuples(KINDS, TIMES, MANY), max_size=30)), max_size=12))
def test_a_sum_is_the_histogram_of_all_that_was_added(
    added: list[tuple[tuple[int, int], list[tuple[int, list[int], int]]]],
) -> None:
    sums = Sums()
    expected: dict[tuple[tuple[int, int], str], list[Histogram]] = {}
    for place, cells in added:
        times = [(f"kind {kind}", _times(values, many)) for kind, values, many in cells]
        sums.add([Cell("step", name, MEASURE, "ok", one.count, one) for name, one in times], place)
        for name, one in times:
            expected.setdefault((place, name), []).append(one)

    found = {(one.place, one.key[1]): one.service.encode() for one in sums}

    assert found == {kind: Histogram.merged(parts).encode() for kind, parts in expected.items()}


def _times(values: list[int], many: int) -> Histogram:
    one = Histogram.of(np.array(values, np.int64))
    return Histogram(one.index, one.counts * many, one.min_us, one.max_us, one.sum_us * many)


def test_what_is_counted_side_by_side_is_what_is_counted_alone(make: "Make") -> None:
    log = make.opened()
    beside, alone = Run(log), Run(log)

    count(beside)

    assert beside.summary == alone.summary
    assert beside.series == alone.series
    rows = [{place: seen.rows for place, seen in run.course.places.items()} for run in (beside, alone)]
    assert rows[0] == rows[1]
