"""A child's side of the pipes to the parent of a run: a message a line, read while the load goes on."""

import os
from collections.abc import Iterator
from typing import TypeVar

import msgspec
from gevent.os import make_nonblocking, nb_read

from convload.errors import UsageError
from convload.load.processes.messages import Admission, Command, Job, ProcessMessage

First = TypeVar("First", Job, Admission)


class Parent:
    """The process that started this one, on standard input and output."""

    def __init__(self) -> None:
        make_nonblocking(0)
        self._lines = _lines()

    def read_first(self, wanted: type[First]) -> First:
        """Returns what this process is started for, which comes before anything else.

        Raises:
            UsageError: nothing came.
        """
        line = next(self._lines, None)
        if line is None:
            raise UsageError("this process is started by `convload run`, which says what it is for")
        return msgspec.json.decode(line, type=wanted)

    def commands(self) -> Iterator[Command]:
        """Yields what comes then, until the parent has ended or closes the pipe."""
        for line in self._lines:
            yield msgspec.json.decode(line, type=Command)

    def answer(self, message: ProcessMessage) -> None:
        """Sends a message."""
        os.write(1, message.encode() + b"\n")


def _lines() -> Iterator[bytes]:
    unread = b""
    while part := nb_read(0, 65536):
        *lines, unread = (unread + part).split(b"\n")
        yield from lines
