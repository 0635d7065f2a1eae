"""The body of an answer while it is read: bounded for itself, and with all others of a worker together."""

from typing import ClassVar

SMALL_BYTES = 65536
"""So large a body is never refused for what others take; an answer that convload reads has some hundred bytes."""


class Body:
    """What has come of the answer that a connection reads.

    Args:
        most_bytes: of one body.
        most_together_bytes: of all that are being read in this process.
    """

    __slots__ = ("_bytes", "_most_bytes", "_most_together_bytes", "_parts")

    _together_bytes: ClassVar[int] = 0

    def __init__(self, most_bytes: int, most_together_bytes: int) -> None:
        self._most_bytes, self._most_together_bytes = most_bytes, most_together_bytes
        self._parts: list[bytes] = []
        self._bytes = 0

    def add(self, data: bytes) -> str:
        """Adds a part; returns why that is too much, nothing where it is not."""
        self._parts.append(data)
        self._bytes += len(data)
        Body._together_bytes += len(data)
        if self._bytes > self._most_bytes:
            return f"a body of more than {self._most_bytes} bytes"
        if self._bytes > SMALL_BYTES and Body._together_bytes > self._most_together_bytes:
            return f"bodies of more than {self._most_together_bytes} bytes in all answers of a worker at once"
        return ""

    def take(self) -> bytes:
        """Returns all of it, and keeps nothing."""
        parts, self._parts = self._parts, []
        Body._together_bytes -= self._bytes
        self._bytes = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)
