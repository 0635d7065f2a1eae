"""Watches the generator itself: a figure it is too busy to take is no figure of the target."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import gevent

BEAT_S = 0.05
BEATS_A_COUNT = 2


class GeneratorWatch:
    """Notes how late the event loop wakes a greenlet that sleeps for a fixed time, and meanwhile how much is pending.

    Args:
        pending: what is in flight and what waits to be sent.
    """

    def __init__(self, pending: Callable[[], int]) -> None:
        self._longest_s = 0.0
        self._pending = pending
        self._counts: list[int] = []
        gevent.spawn(self._beat)

    def _beat(self) -> None:
        while True:
            for _ in range(BEATS_A_COUNT):
                began_s = time.monotonic()
                gevent.sleep(BEAT_S)
                self._longest_s = max(self._longest_s, time.monotonic() - began_s - BEAT_S)
            self._counts.append(self._pending())

    def take_counts(self) -> list[int]:
        """Returns what was pending about every tenth of a second since the last call."""
        counts, self._counts = self._counts, []
        return counts

    def take_delay_s(self) -> float:
        """Returns the longest delay since the last call; libev's own rounding makes a millisecond of it."""
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s


def files_free() -> int:
    """Returns how many file descriptors this process may still open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - sum(1 for _ in Path("/proc/self/fd").iterdir())


def sockets_waiting() -> int:
    """Returns the sockets of this machine in TIME_WAIT, each of which holds a local port; 0 where it cannot tell."""
    try:
        lines = Path("/proc/net/sockstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    words = next((line.split() for line in lines if line.startswith("TCP:")), [])
    return int(words[words.index("tw") + 1]) if "tw" in words else 0
