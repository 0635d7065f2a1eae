"""What the coordinator takes from workers: intervals that can be true, and a count of all the rest."""

from collections import Counter

import msgspec
import pytest
from tests.run_logs import Make

from convload.load.processes.intake import MOST_NOTES, Intake
from convload.load.processes.messages import Measured
from convload.results.runlog import LONGEST_RUN_S, Interval


@pytest.fixture
def second(make: Make) -> Interval:
    return make.interval(1, [], 20)


@pytest.fixture
def intake(make: Make) -> Intake:
    one = Intake()
    assert one.take(Measured.of(make.interval(0, [], 10)), 0, 1.0)
    return one


def test_intervals_that_follow_each_other_are_taken(intake: Intake, second: Interval) -> None:
    assert intake.take(Measured.of(second), 0, 2.0)
    later = Measured.of(msgspec.structs.replace(second, n=5, from_s=7.0, to_s=8.0))
    assert intake.take(later, 0, 8.0), "one may be missing"
    assert list(intake.notes(9.0, Counter(), 0)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"worker": 1}, "in another's name"),
        ({"n": 0}, "out of turn"),
        ({"from_s": 0.5}, "of a time that was reported before"),
        ({"to_s": 1.0}, "of a time that was reported before"),
        ({"to_s": 100_000.0}, "of a time that is still to come"),
        ({"recorded": 9}, "with counts that fall"),
    ],
)
def test_an_interval_that_cannot_be_true_is_dropped_and_invalidates(
    intake: Intake, second: Interval, change: dict[str, float], fault: str
) -> None:
    assert not intake.take(Measured.of(msgspec.structs.replace(second, **change)), 0, 2.0)

    [note] = intake.notes(2.0, Counter(), 0)
    assert note.invalidates
    assert f"worker 0: {fault}: 1" in note.text
    assert intake.take(Measured.of(second), 0, 2.0), "the next one is looked at anew"


@pytest.mark.parametrize(
    "change", [{"to_s": 1e8}, {"n": 10**18}, {"sent": -1}, {"to_s": float("inf")}, {"pending": [-1]}]
)
def test_figures_that_no_run_has_are_no_message(second: Interval, change: dict[str, float]) -> None:
    impossible = msgspec.structs.replace(second, **change)

    assert Intake().read(Measured.of(impossible).encode(), is_of_worker=True) is None


@pytest.mark.parametrize("data", [None, b"", b"\xff", b"[]", b'{"type":"Setup"}', b'{"type":7}', b"[" * 100_000])
def test_what_is_no_message_is_a_hole_where_a_worker_sent_it_and_else_counted(data: bytes | None) -> None:
    intake = Intake()

    assert intake.read(data, is_of_worker=True) is None
    assert intake.read(data, is_of_worker=False) is None
    hole, dropped = intake.notes(1.0, Counter({"too short": 2}), 0)
    assert (hole.text, hole.invalidates) == ("1 messages of workers could not be read and were dropped", True)
    assert dropped.text.startswith("3 messages that could not be read were dropped (too short: 2, ")
    assert not dropped.invalidates


def test_strangers_are_counted() -> None:
    [note] = Intake().notes(1.0, Counter(), 4)

    assert note.text == "4 attempts to connect without the key of this run were refused"


def test_a_worker_cannot_fill_the_log_with_notes() -> None:
    intake = Intake()

    assert [intake.takes_note() for _ in range(MOST_NOTES + 2)].count(True) == MOST_NOTES


def test_a_log_whose_time_no_run_reaches_is_refused_when_it_is_read(second: Interval) -> None:
    late = msgspec.json.encode(msgspec.structs.replace(second, to_s=LONGEST_RUN_S * 2))

    with pytest.raises(msgspec.ValidationError, match="to_s"):
        msgspec.json.decode(late, type=Interval)
