"""Watches the generator itself: how late its event loop comes to what is due, and meanwhile how much is pending."""

import time
from collections.abc import Callable
from typing import Any

import gevent
import numpy as np
from gevent import get_hub

from convload.results.histogram import Histogram
from convload.timerfd import TimerFd

BEAT_S = 0.01
"""A delay that is shorter may fall between two beats, but one that comes again and again does not."""

BEATS_A_COUNT = 10
MOST_MISSED = 6000
"""Beats that are made up for after a stop, a minute of them: their delays fall by a beat each."""

_READABLE = 1


class GeneratorWatch:
    """Notes at each hundredth of a second how late the event loop comes to it.

    As answers come at any time, the loop is as late to read them as it is to a beat: what it notes is what the
    generator itself adds to the times that it measures. A stop of 180 ms makes 18 beats late, each less than the one
    before, and all of them count: an answer could have come at any of them.

    Args:
        pending: what is in flight and what waits to be sent.
        awaiting: how many users wait for the target.
    """

    def __init__(self, pending: Callable[[], int], awaiting: Callable[[], int] = lambda: 0) -> None:
        self._pending, self._awaiting = pending, awaiting
        self._delays_s: list[float] = []
        self._awaiting_highest = self._beats = 0
        self._counts: list[int] = []
        self._due_s = time.monotonic() + BEAT_S
        self._timer = TimerFd()
        if self._timer.fd >= 0:
            # libev's own timers wake up to a millisecond late, more than what is to be seen.
            self._watcher: Any = get_hub().loop.io(self._timer.fd, _READABLE)
            self._watcher.start(self._on_readable)
            self._timer.set(self._due_s)
        else:
            gevent.spawn(self._sleep)

    def _sleep(self) -> None:
        while True:
            gevent.sleep(max(self._due_s - time.monotonic(), 0.0))
            self._beat()

    def _on_readable(self) -> None:
        self._beat()
        self._timer.set(self._due_s)

    def _beat(self) -> None:
        late_s = max(time.monotonic() - self._due_s, 0.0)
        missed = min(int(late_s / BEAT_S), MOST_MISSED)
        self._delays_s += (late_s - n * BEAT_S for n in range(missed + 1))
        self._due_s += (int(late_s / BEAT_S) + 1) * BEAT_S
        self._awaiting_highest = max(self._awaiting_highest, self._awaiting())
        self._beats += 1
        if self._beats % BEATS_A_COUNT == 0:
            self._counts.append(self._pending())

    def take_counts(self) -> list[int]:
        """Returns what was pending about every tenth of a second since the last call."""
        counts, self._counts = self._counts, []
        return counts

    def take_awaiting(self) -> int:
        """Returns how many users waited for the target at once, at most, since the last call."""
        highest, self._awaiting_highest = self._awaiting_highest, 0
        return highest

    def take_delays(self) -> Histogram:
        """Returns how late the beats since the last call were."""
        delays_s, self._delays_s = self._delays_s, []
        return Histogram.of(np.rint(1e6 * np.array(delays_s)).astype(np.int64))
