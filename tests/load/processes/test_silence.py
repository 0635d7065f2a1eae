"""For how long nobody was answered, by a watch that looks again and again."""

import pytest

from convload.load.processes.silence import BEAT_S, Silence, SilenceWatch


class Target:
    """Answers until an instant, and again from another one; users wait for it."""

    def __init__(self, *, silent_from_s: float, silent_to_s: float, awaiting: int = 3) -> None:
        self._from_s, self._to_s, self._awaiting = silent_from_s, silent_to_s, awaiting
        self._answered = 0
        self._now_s = 0.0
        self._watch = SilenceWatch(lambda: self._answered, lambda: self._awaiting, 0.0)

    def go_on(self, until_s: float) -> Silence:
        """Returns what the watch tells then."""
        while self._now_s < until_s:
            self._now_s += BEAT_S
            self._answered += not self._from_s <= self._now_s < self._to_s
            self._watch.look(self._now_s)
        return self._watch.take()

    def stop_looking(self, seconds: float) -> None:
        self._now_s += seconds


def test_a_silence_is_told_with_its_ends_to_two_beats() -> None:
    found = Target(silent_from_s=3.2, silent_to_s=4.3).go_on(6.0)

    assert (found.from_s, found.to_s) == pytest.approx((3.2, 4.3), abs=2 * BEAT_S)


def test_a_silence_that_goes_on_is_told_again_from_its_beginning() -> None:
    target = Target(silent_from_s=3.2, silent_to_s=9.0)

    first, second = target.go_on(4.0), target.go_on(5.0)

    assert first.from_s == second.from_s
    assert second.to_s == pytest.approx(5.0, abs=BEAT_S)


def test_where_nobody_waits_there_is_no_silence() -> None:
    assert Target(silent_from_s=3.2, silent_to_s=9.0, awaiting=0).go_on(8.0).length_s == 0


def test_a_time_in_which_the_worker_did_not_look_is_no_silence() -> None:
    target = Target(silent_from_s=3.2, silent_to_s=9.0)
    target.go_on(3.5)
    target.stop_looking(4.0)

    assert target.go_on(8.0).length_s < 1.0
