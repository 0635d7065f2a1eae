"""Marks a share of the creates with a W3C trace context, so that they are found again in the target's own traces."""

import hashlib
import secrets

_WEYL, _WORD, _SPAN_BYTES = 0x9E3779B97F4A7C15, 1 << 64, 8
"""Multiples of 2^64 over the golden ratio, cut to 64 bits, are spread evenly however the indices of a worker step."""


class Tracing:
    """Says which payloads are traced, and under which id: a function of the run and the index alone.

    Args:
        share: of all payloads, 0 for none.
        run_id: tells this run from all others.
    """

    def __init__(self, share: float = 0.0, run_id: str = "") -> None:
        self.is_on = share > 0
        self._below = round(share * _WORD)
        self._run_id = run_id

    def trace_id(self, index: int) -> str:
        """Returns the id of the trace of a payload, "" where it has none; a retry has that of the first attempt."""
        if index < 0 or index * _WEYL % _WORD >= self._below:
            return ""
        return hashlib.blake2b(f"{self._run_id}/{index}".encode(), digest_size=16).hexdigest()

    def header_line(self, index: int) -> bytes:
        """Returns the header line of one attempt, empty where the payload is not traced."""
        if not (trace := self.trace_id(index)):
            return b""
        return f"traceparent: 00-{trace}-{secrets.token_hex(_SPAN_BYTES)}-01\r\n".encode("ascii")
