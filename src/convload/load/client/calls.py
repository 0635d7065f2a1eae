"""The requests on the wire: heads that are written once, and bodies put behind them."""

from collections.abc import Mapping

from convload import __version__
from convload.load.client.origin import Origin

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def head(method: str, path: str, origin: Origin, headers: Mapping[str, str]) -> bytes:
    """Returns the head of a request without the length and the empty line that `complete` adds.

    Raises:
        ValueError: a header holds a line break or a character outside Latin-1.
    """
    lines = {"Host": origin.authority, "User-Agent": f"convload/{__version__}", "Accept": "application/json"}
    lines |= headers
    if any(char in value for value in lines.values() for char in "\r\n"):
        raise ValueError("a header value must not hold a line break")
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{text}".encode("latin-1")


def complete(head_: bytes, body: bytes, headers: bytes = b"") -> bytes:
    """Returns the whole request: head, ready-made header lines, length, body."""
    return b"".join((head_, headers, b"Content-Length: %d\r\n\r\n" % len(body), body))


def get(path: str, origin: Origin) -> bytes:
    """Returns a GET request."""
    return head("GET", path, origin, {}) + b"\r\n"
