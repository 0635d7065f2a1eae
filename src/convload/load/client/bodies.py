"""The body of an answer while it is read: bounded for itself, and with all others of a worker together."""

SMALL_BYTES = 65536
"""So large a body is never refused for what others take; an answer that convload reads has some hundred bytes."""


class Body:
    """What has come of the answer that a connection reads.

    An answer that comes whole at one go, as nearly all do, is never kept between two reads; only what is, counts.

    Args:
        most_bytes: of one body.
        most_together_bytes: of all that are being read in this process.

    Attributes:
        add: takes a part.
    """

    __slots__ = ("_kept", "_most_together_bytes", "_parts", "add", "most_bytes")

    def __init__(self, most_bytes: int, most_together_bytes: int) -> None:
        self.most_bytes, self._most_together_bytes = most_bytes, most_together_bytes
        self._parts: list[bytes] = []
        self._kept = bytearray()
        self.add = self._parts.append

    def keep(self) -> str:
        """Keeps what has come until more does; returns why that is too much, nothing where it is not."""
        before = len(self._kept)
        self._kept += b"".join(self._parts)
        self._parts.clear()
        size = len(self._kept)
        _all.bytes += size - before
        if size > SMALL_BYTES and _all.bytes > self._most_together_bytes:
            return f"bodies of more than {self._most_together_bytes} bytes in all answers of a worker at once"
        return self.too_large if size > self.most_bytes else ""

    @property
    def too_large(self) -> str:
        """What is said of a body of more than `most_bytes`."""
        return f"a body of more than {self.most_bytes} bytes"

    def take(self) -> bytes:
        """Returns all of it, and keeps nothing."""
        parts = self._parts
        if self._kept:
            self.keep()
            parts.append(bytes(self._kept))
            _all.bytes -= len(self._kept)
            self._kept.clear()
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return whole


class _All:
    """Counts the bytes that all bodies keep."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


_all = _All()
"""An object and no attribute of the class, which Python would look up anew after each change."""
