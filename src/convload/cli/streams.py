"""Standard output and error that a run outlives: what nobody reads any more is dropped, and nothing fails for it."""

import errno
import io
import os
import sys
from typing import Any, TextIO

from convload.errors import UsageError

_READER_GONE = {errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET}
"""The pipe's other end was closed, as by `| head -1`; the stream was never open (`>&-`); the terminal hung up."""


class LastingRaw(io.RawIOBase):
    """Writes to a file descriptor until its reader is gone; from then on everything is dropped.

    A full disk is no such case: whoever redirects into a file asked for what is in it, and hears of it once.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._gone = False

    def writable(self) -> bool:
        """Returns that it takes bytes."""
        return True

    def fileno(self) -> int:
        """Returns the file descriptor."""
        return self._fd

    def isatty(self) -> bool:
        """Says whether a terminal shows it."""
        return os.isatty(self._fd)

    def write(self, data: Any, /) -> int:
        """Writes some of the bytes and returns how many; all of them where nobody reads."""
        size = memoryview(data).nbytes
        if self._gone:
            return size
        try:
            return os.write(self._fd, data)
        except OSError as error:
            self._gone = True
            if error.errno in _READER_GONE:
                return size
            raise UsageError(f"standard {'output' if self._fd == 1 else 'error'}: {error.strerror}") from error


def lasting(stream: TextIO | None, fd: int) -> TextIO:
    """Returns a stream in place of a standard one, which is None where the process was started without it."""
    encoding, errors = (stream.encoding, stream.errors) if stream is not None else ("utf-8", "replace")
    if stream is not None:
        stream.flush()
    raw = LastingRaw(fd)
    # Lines come out as they are written: what is shown while a run goes on is read while it goes on.
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=True)


def make_streams_last() -> None:
    """Puts lasting streams in the place of standard output and error."""
    sys.stdout, sys.stderr = lasting(sys.stdout, 1), lasting(sys.stderr, 2)


def flush_streams() -> None:
    """Writes out what is left; raises UsageError where it cannot be written though somebody waits for it."""
    sys.stdout.flush()
    sys.stderr.flush()
