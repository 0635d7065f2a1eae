"""A timer that wakes within tens of microseconds, where libev rounds to a millisecond.

A timerfd is a kernel timer that an event loop watches like a socket. Python gets `os.timerfd_create` with 3.13; until
then it is reached through the C library. Where there is none, gevent's own timer serves, and `precise` says so.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Callable
from typing import Any

from gevent import get_hub

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_READABLE = 1
_NS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


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
        self._fd = _create() if kernel else -1
        self.precise = self._fd >= 0
        self._spec = _Itimerspec()
        self._due_s = 0.0
        self._fresh = False
        self._watcher: Any = None
        if self.precise:
            self._watcher = get_hub().loop.io(self._fd, _READABLE)
            self._watcher.start(self._on_readable)

    def arm(self, due_s: float) -> None:
        """Sets the instant, in place of the one that was set; one that has passed is due at once."""
        if self.precise:
            self._due_s, self._fresh = due_s, True
            # A value of zero would turn the timer off.
            due_ns = max(int(due_s * _NS), 1)
            self._spec.value.seconds, self._spec.value.nanoseconds = divmod(due_ns, _NS)
            _settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None)
            return
        if self._watcher is not None:
            self._watcher.close()
        self._watcher = get_hub().loop.timer(max(due_s - time.monotonic(), 0.0))
        self._watcher.start(self._on_due)

    def _on_readable(self) -> None:
        if time.monotonic() < self._due_s:
            return  # it was set anew after it had run out
        self._fresh = False
        self._on_due()
        # Setting it anew, which is what nearly always happens, also clears what there is to read.
        if not self._fresh and self._fd >= 0:
            with contextlib.suppress(BlockingIOError):
                os.read(self._fd, 8)

    def close(self) -> None:
        """Ends the timer."""
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _create() -> int:
    return int(_libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)) if _settime is not None else -1


_libc = ctypes.CDLL(None, use_errno=True)
_settime: Any = getattr(_libc, "timerfd_settime", None)
