"""Requests and replies of HTTP/1.1, and the bytes of a reply; knows nothing of the API."""

import re
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

import msgspec

from convload.mock.waiting_line import Visit

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"

_HOST = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[\w.~!$&'()*+;=%-]*)(:[0-9]*)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Request(msgspec.Struct, frozen=True, gc=False):
    """One whole request; `target` as it stands in the request line, header names in lower case."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes


class Head(msgspec.Struct, frozen=True):
    """The head of a request: `target` as it was sent, names of `headers` and of the `repeated` ones in lower case."""

    method: bytes
    target: bytes
    version: str
    headers: dict[bytes, bytes]
    repeated: frozenset[bytes]


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What to answer, when, and whether to reset the connection in place of it, or to leave it without an answer.

    `headers` are whole lines, each with its line end. Every body is JSON. It goes out after `delay_s`, or when its
    `visit` to the servers is over. `done` says that the request did what it asked for although it is refused.
    """

    status: int
    body: bytes = b""
    headers: bytes = b""
    delay_s: float = 0.0
    resets: bool = False
    stalls: bool = False
    done: bool = False
    visit: Visit | None = None


Respond = Callable[[Request], Reply]


class Traffic(msgspec.Struct):
    """Counts of one server below its endpoints."""

    connections_open: int = 0
    connections_total: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    refused: dict[int, int] = {}
    """Requests that broke HTTP or a limit and so reached no endpoint, by status."""


def refusal(status: int, why: str) -> Reply:
    """Returns the answer to a request that breaks HTTP itself, so that no endpoint ever sees it."""
    return Reply(status, msgspec.json.encode({"error": why}))


def header_reader(headers: dict[bytes, bytes], repeated: list[bytes]) -> Callable[[bytes, bytes], None]:
    """Returns what takes in a header: names in lower case; of a repeated one the last value, and its name."""

    def read(name: bytes, value: bytes) -> None:
        key = name.lower()
        if key in headers:
            repeated.append(key)
        headers[key] = value

    return read


def fault_of(head: Head) -> tuple[int, str] | None:
    """Returns why a head is refused that the parser has let through, though two servers could read it differently.

    With the parser's own strictness it is RFC 9112: 2.3 (version), 3.2 (target and host), 6.1 (codings).
    """
    host = head.headers.get(b"host")
    if head.method == b"CONNECT":
        return 501, "no proxy here"
    if head.version not in ("1.0", "1.1"):
        return (505, "HTTP/1.1 is served") if head.version > "1.1" else (400, "a request line without HTTP/1.1")
    if b"host" in head.repeated or (host is None and head.version != "1.0"):
        return 400, "a request needs one Host header, but for HTTP/1.0"
    if host is not None and not _HOST.fullmatch(host.strip()):
        return 400, "Host must be a name or an address, and a port if need be"
    return _fault_of_coding(head) or _fault_of_target(head, host)


def _fault_of_coding(head: Head) -> tuple[int, str] | None:
    codings = head.headers.get(b"transfer-encoding", b"chunked").lower().split(b",")
    if codings[-1].strip() != b"chunked" or (b"transfer-encoding" in head.headers and head.version == "1.0"):
        return 400, "Transfer-Encoding must end with chunked, and HTTP/1.0 has none"
    return None if len(codings) == 1 else (501, "the only Transfer-Encoding that can be read is chunked")


def _fault_of_target(head: Head, host: bytes | None) -> tuple[int, str] | None:
    target = head.target
    if b"#" in target:
        return 400, "a request target has no fragment"
    if target.startswith(b"/") or (target == b"*" and head.method == b"OPTIONS"):
        return None
    absolute = _ABSOLUTE.match(target)
    if absolute is None or not _HOST.fullmatch(absolute[1]):
        return 400, "a request target begins with / or with http:// and a host"
    if host is not None and absolute[1].lower() != host.strip().lower():
        return 400, "the request target and Host name different hosts"
    return None


class Encoder:
    """Writes replies. The constant part of a head is made once a second, because it holds the date."""

    def __init__(self) -> None:
        self._heads: dict[int, bytes] = {}

    def refresh_date(self) -> None:
        """Drops what holds the date of the last second."""
        self._heads.clear()

    def encode(self, reply: Reply, connection: bytes, method: bytes) -> bytes:
        """Returns the bytes of a reply; the head of an answer to HEAD has the length of its missing body."""
        head = self._heads.get(reply.status) or self._make_head(reply.status)
        body = reply.body
        shown = b"" if method == b"HEAD" else body
        return b"%b%d\r\n%b%b\r\n%b" % (head, len(body), reply.headers, connection, shown)

    def _make_head(self, status: int) -> bytes:
        head = (
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}\r\nDate: {formatdate(usegmt=True)}\r\n"
            "Content-Type: application/json;charset=utf-8\r\nContent-Length: "
        ).encode()
        self._heads[status] = head
        return head


class ConnectionLimits(msgspec.Struct, frozen=True):
    """When a client is too slow, too quiet, or sends too much."""

    read_timeout_s: float
    idle_timeout_s: float
    max_body_bytes: int
