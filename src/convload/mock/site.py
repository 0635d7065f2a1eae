"""What the connections of one server share."""

import asyncio
from typing import Protocol

import msgspec

from convload.mock.messages import Encoder, Respond, Traffic

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
        *,
        tls: bool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.respond = respond
        self.limits = limits
        self.tls = tls
        self.loop = loop
        self.check_every_s = min(limits.read_timeout_s, limits.idle_timeout_s) / CHECKS
        self.encoder = Encoder()
        self.traffic = traffic
        self.connections: set[Member] = set()
        self.empty = asyncio.Event()
        self.empty.set()
