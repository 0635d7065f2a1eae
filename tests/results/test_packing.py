"""Columns and histograms come back from their text as they were, and what is none is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.errors import RunLogError
from convload.results.histogram import HIGHEST_US, Histogram
from convload.results.packing import Histograms, pack, unpack

columns = st.lists(st.lists(st.integers(-(2**50), 2**50), max_size=20), min_size=1, max_size=6)
times = st.lists(st.lists(st.integers(0, 2 * HIGHEST_US), max_size=30), max_size=6)


def histograms(lists: list[list[int]]) -> list[Histogram]:
    return [Histogram.of(np.array(one, np.int64)) for one in lists]


@given(columns)
def test_columns_come_back_as_they_were(lists: list[list[int]]) -> None:
    found = unpack(pack([np.array(one, np.int64) for one in lists]), len(lists))

    assert [column.tolist() for column in found] == lists


@given(times)
def test_histograms_come_back_as_they_were(lists: list[list[int]]) -> None:
    made = histograms(lists)

    found = Histograms.unpack(Histograms.of(made).pack())

    assert [one.encode() for one in found.all()] == [one.encode() for one in made]
    assert found.each_count.tolist() == [len(one) for one in lists]


@given(st.lists(st.lists(st.lists(st.integers(0, 5000), max_size=9), min_size=2, max_size=2), min_size=1, max_size=4))
def test_added_histograms_are_those_of_all_values(parts: list[list[list[int]]]) -> None:
    rows = [np.array([1, 0])] * len(parts)

    found = Histograms.merged([Histograms.of(histograms(part)) for part in parts], rows, 2)

    together = [[value for part in parts for value in part[place]] for place in (1, 0)]
    assert [one.encode() for one in found.all()] == [one.encode() for one in histograms(together)]
    assert found.is_sound()


def test_chosen_histograms_are_added_to_one() -> None:
    found = Histograms.of(histograms([[1, 2], [100], [3, 5000]])).together(np.array([True, False, True]))

    assert found.encode() == histograms([[1, 2, 3, 5000]])[0].encode()


@pytest.mark.parametrize(
    "text", ["", ";", "1B0;", "1B0,1B0;AAAA", "xB0;AwA=", "1B0;AwA=", "-1B0;AwA=", f"{10**9}Q0;AwA=", "1B9e9;YwAA"]
)
def test_what_is_no_columns_is_refused(text: str) -> None:
    with pytest.raises(RunLogError, match="damaged"):
        unpack(text, 1)


@pytest.mark.parametrize(
    ("column", "change"), [(0, 2), (0, -1), (1, 5), (1, -9), (2, 4000), (3, 10**6), (4, 10**6), (5, -5)]
)
def test_histograms_whose_columns_do_not_fit_are_refused(column: int, change: int) -> None:
    columns = unpack(Histograms.of(histograms([[7, 8, 3000], [4]])).pack(), 6)
    columns[column][-1] += change

    with pytest.raises(RunLogError, match="damaged"):
        Histograms.unpack(pack(columns))
