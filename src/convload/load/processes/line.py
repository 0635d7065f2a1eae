"""A line between a worker and the coordinator on which nothing is lost, doubled or out of order though it may be cut.

Each message is kept until the other end has it, and sent again where that takes too long and the other end is heard.
The receiver takes messages in turn: one that it has is dropped, and so is one that comes before another that is missing
(go-back-N; Tanenbaum, "Computer Networks", §3.4).
"""

import struct
import time
from collections import deque
from collections.abc import Callable

RESEND_S = 0.5
"""Until a message is sent again. Too soon does no harm: it is known by its number."""

_HEAD = struct.Struct("!QQ")
"""The number of this message, 0 for none, and that of the last one that came."""


class Line:
    """One end.

    Args:
        send: sends bytes, which may be lost.
    """

    def __init__(self, send: Callable[[bytes], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._unanswered: deque[tuple[int, bytes]] = deque()
        self._sent = self._came = 0
        self._sent_s = 0.0

    def send(self, message: bytes) -> None:
        """Sends a message, now and as often as it takes."""
        self._sent += 1
        if not self._unanswered:
            self._sent_s = self._clock()
        self._unanswered.append((self._sent, message))
        self._send(_HEAD.pack(self._sent, self._came) + message)

    def take(self, received: bytes | None) -> bytes | None:
        """Returns the message in what came; None where it holds none, or none whose turn it is.

        What came from no line at all is an empty message, which is none that anybody sends.
        """
        if received is None or len(received) < _HEAD.size:
            return b""
        number, confirmed = _HEAD.unpack_from(received)
        while self._unanswered and self._unanswered[0][0] <= confirmed:
            self._unanswered.popleft()
            self._sent_s = self._clock()
        message = None
        if number == self._came + 1:
            self._came, message = number, received[_HEAD.size :]
        if number:
            self._send(_HEAD.pack(0, self._came))
        return message

    def repeat(self) -> None:
        """Sends again what has no answer; to be called when the other end is heard."""
        now_s = self._clock()
        if not self._unanswered or now_s - self._sent_s < RESEND_S:
            return
        self._sent_s = now_s
        for number, message in list(self._unanswered):
            self._send(_HEAD.pack(number, self._came) + message)
