"""The kernel's timer as a file descriptor, which an event loop watches like a socket: it wakes within about 50 µs.

Python gets `os.timerfd_create` with 3.13; until then it is reached through the C library.
"""

import contextlib
import ctypes
import os
from typing import Any

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_NS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


class TimerFd:
    """One timer on the clock of `time.monotonic`. `fd` is readable from its instant on, and -1 where there is none."""

    def __init__(self) -> None:
        self.fd = int(_libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)) if _settime is not None else -1
        self._spec = _Itimerspec()

    def set(self, due_s: float) -> None:
        """Sets the instant in place of the one before, which also clears what there is to read."""
        # A value of zero would turn the timer off.
        due_ns = max(int(due_s * _NS), 1)
        self._spec.value.seconds, self._spec.value.nanoseconds = divmod(due_ns, _NS)
        _settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None)

    def clear(self) -> None:
        """Reads what there is, so that the descriptor is quiet until it is set again."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        """Gives the descriptor back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


_libc = ctypes.CDLL(None, use_errno=True)
_settime: Any = getattr(_libc, "timerfd_settime", None)
