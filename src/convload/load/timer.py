"""A timer that wakes within tens of microseconds, where libev rounds to a millisecond.

Where the kernel has no timerfd, gevent's own timer serves, and `precise` says so.
"""

import time
from collections.abc import Callable
from typing import Any

from gevent import get_hub

from convload.timerfd import TimerFd

_READABLE = 1


class Timer:
    """Calls `on_due` in the hub's greenlet at an instant of `time.monotonic`; one instant at a time.

    Args:
        on_due: what to call.
        kernel: whether the kernel's timer may be used, where there is one.

    Attributes:
        precise: whether it is used.
    """

    def __init__(self, on_due: Callable[[], None], *, kernel: bool = True) -> None:
        self._on_due = on_due
        self._timer = TimerFd() if kernel else None
        self.precise = self._timer is not None and self._timer.fd >= 0
        self._due_s = 0.0
        self._fresh = False
        self._watcher: Any = None
        if self.precise and self._timer is not None:
            self._watcher = get_hub().loop.io(self._timer.fd, _READABLE)
            self._watcher.start(self._on_readable)

    def arm(self, due_s: float) -> None:
        """Sets the instant, in place of the one that was set; one that has passed is due at once."""
        if self.precise and self._timer is not None:
            self._due_s, self._fresh = due_s, True
            self._timer.set(due_s)
            return
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = get_hub().loop.timer(max(due_s - time.monotonic(), 0.0))
        # libev counts from the instant at which its loop last woke, which may be milliseconds ago.
        self._watcher.start(self._on_due, update=True)

    def _on_readable(self) -> None:
        if time.monotonic() < self._due_s:
            return  # it was set anew after it had run out
        self._fresh = False
        self._on_due()
        # Setting it anew, which is what nearly always happens, also clears what there is to read.
        if not self._fresh and self._timer is not None and self._timer.fd >= 0:
            self._timer.clear()

    def close(self) -> None:
        """Ends the timer."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._timer is not None:
            self._timer.close()
