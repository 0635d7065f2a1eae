"""Notes for how long the target answered nobody, though somebody waited."""

import time
from collections.abc import Callable
from typing import NamedTuple

import gevent

BEAT_S = 0.025
STALL_S = 0.1
"""Behind its beat the worker itself has stood still, and knows nothing of the target's silence."""


class Silence(NamedTuple):
    """Readings of `time.monotonic`; from and to are the same where there was none."""

    from_s: float
    to_s: float

    @property
    def length_s(self) -> float:
        """How long it lasted."""
        return self.to_s - self.from_s


NONE = Silence(0.0, 0.0)


class SilenceWatch:
    """Looks forty times a second whether anything was answered; what it tells is at most two beats too short.

    Args:
        answered: a number that changes with each answer.
        awaiting: how many users wait for the target.
    """

    def __init__(self, answered: Callable[[], int], awaiting: Callable[[], int], now_s: float) -> None:
        self._answered, self._awaiting = answered, awaiting
        self._seen = answered()
        self._since_s = self._looked_s = now_s
        self._longest = NONE

    def look_again_and_again(self) -> None:
        """Never returns."""
        while True:
            gevent.sleep(BEAT_S)
            self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Looks whether anything was answered."""
        answered = self._answered()
        if answered != self._seen or not self._awaiting() or now_s - self._looked_s > STALL_S:
            self._seen, self._since_s = answered, now_s
        self._longest = max(self._longest, Silence(self._since_s, now_s), key=lambda one: one.length_s)
        self._looked_s = now_s

    def take(self) -> Silence:
        """Returns the longest silence since the last call; one that goes on is told again, when it is longer."""
        longest, self._longest = self._longest, NONE
        return longest
