"""Requests and replies of HTTP/1.1, the bytes of a reply, and what connections share; knows nothing of the API."""

import asyncio
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import msgspec

from convload.mock.waiting_line import Visit

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Request(msgspec.Struct, frozen=True, gc=False):
    """One whole request; `target` as it stands in the request line, header names in lower case."""

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes


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


CHECKS = 4
"""How often within the shorter timeout a connection is looked at; a timeout is late by up to one check."""


class Limits(msgspec.Struct, frozen=True):
    """When a client is too slow, too quiet, or sends too much."""

    read_timeout_s: float
    idle_timeout_s: float
    max_body_bytes: int


class Member(Protocol):
    """A connection, as the server sees it."""

    def shut_down(self) -> None:
        """Closes after the replies that are owed."""

    def abort(self) -> None:
        """Drops the connection and what is owed on it."""


class Site:
    """What all connections of one server share. `empty` is set while there is none."""

    def __init__(
        self,
        respond: Respond,
        limits: Limits,
        traffic: Traffic,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.respond = respond
        self.limits = limits
        self.loop = loop
        self.check_every_s = min(limits.read_timeout_s, limits.idle_timeout_s) / CHECKS
        self.encoder = Encoder()
        self.traffic = traffic
        self.connections: set[Member] = set()
        self.empty = asyncio.Event()
        self.empty.set()
