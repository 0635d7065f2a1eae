import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.errors import UsageError
from convload.plan.schedule import SHORTEST_WINDOW_S
from convload.plan.stages import alternating_windows, parse_replay, window_s


def test_recorded_starts_may_be_seconds_or_iso_times_and_name_a_variant() -> None:
    replay = parse_replay(
        "# from the gateway's log\n2026-01-01T00:00:01Z seed\n\n2026-01-01T00:00:00.5+00:00,minimal\n"
        "2026-01-01T01:00:02+01:00\n",
        "starts.txt",
    )

    np.testing.assert_allclose(replay.times_s, [0.0, 0.5, 1.5])
    assert replay.variants == ["minimal", "seed", ""]
    np.testing.assert_allclose(parse_replay("10.5\n11\n", "x").times_s, [0.0, 0.5])


def test_every_line_that_is_no_time_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        parse_replay("1\nsoon\n2\nnan\n", "starts.txt")

    assert list(caught.value.problems) == [
        "starts.txt:2: 'soon' is neither seconds nor an ISO 8601 time",
        "starts.txt:4: 'nan' is neither seconds nor an ISO 8601 time",
    ]


def test_a_file_without_a_start_is_told() -> None:
    with pytest.raises(UsageError, match=r"starts\.txt: holds no start time"):
        parse_replay("# nothing\n", "starts.txt")


@pytest.mark.parametrize(("duration_s", "expected"), [(200.0, 5.0), (30.0, 1.5), (12.0, 0.6), (4.0, 0.25)])
def test_a_turn_is_as_short_as_ten_pairs_need_and_a_plan_may_have(duration_s: float, expected: float) -> None:
    assert window_s(duration_s) == expected


@given(st.floats(1.0, 1000.0), st.floats(0.25, 60.0))
def test_turns_are_whole_groups_and_never_too_short(duration_s: float, length_s: float) -> None:
    turns = alternating_windows(10.0, 0.0, duration_s, length_s)

    assert len(turns) % 4 == 0
    assert sum(turn.duration_s for turn in turns) == pytest.approx(duration_s)
    assert min(turn.duration_s for turn in turns) >= SHORTEST_WINDOW_S
