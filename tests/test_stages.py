import numpy as np
import pytest

from convload.errors import UsageError
from convload.stages import parse_replay


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
