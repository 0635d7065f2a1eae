"""Says which of two targets is to be fired at: they are compared in windows that take turns."""

from bisect import bisect_right
from collections.abc import Sequence

from convload.plan.schedule import TARGETS, StageMark


class Turns:
    """The windows of a run, from its start as a reading of `time.monotonic`."""

    def __init__(self, windows: Sequence[StageMark], started_s: float) -> None:
        self._starts_s = [started_s + mark.starts_s for mark in windows]
        self._targets = [TARGETS.index(mark.target) for mark in windows]

    def position(self, at_s: float) -> int:
        """Returns whose window it is: 0 or 1 for A or B."""
        return self._targets[max(bisect_right(self._starts_s, at_s) - 1, 0)]
