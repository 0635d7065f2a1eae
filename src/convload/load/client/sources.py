"""Which addresses of this machine connections leave from: those that were named, in turn, else as routes have it."""

import contextlib
import ipaddress
import itertools
import socket
from collections.abc import Iterable, Iterator, Sequence

from convload.errors import UsageError
from convload.load.client.origin import Address

_PORT_AT_CONNECT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
"""Linux: the port is chosen when the goal is known, so each source address has all ports to each goal."""


class SourceAddresses:
    """The source addresses of this process's connections."""

    def __init__(self) -> None:
        self._turns: dict[int, Iterator[str]] = {}

    def use(self, addresses: Sequence[str]) -> None:
        """Takes these from now on; without any the routes of the machine choose.

        Raises:
            UsageError: one is no address of this machine.
        """
        by_family: dict[int, list[str]] = {}
        for text in addresses:
            by_family.setdefault(_family_here(text), []).append(text)
        self._turns = {family: itertools.cycle(texts) for family, texts in by_family.items()}

    def reached(self, goals: Iterable[Address]) -> list[Address]:
        """Returns the goals that there is a source for: an IPv4 address reaches none of IPv6."""
        return [goal for goal in goals if not self._turns or goal[0] in self._turns]

    def bind(self, sock: socket.socket) -> None:
        """Gives a new socket the next of them."""
        if turn := self._turns.get(sock.family):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, _PORT_AT_CONNECT, 1)
            sock.bind((next(turn), 0))


def _family_here(text: str) -> int:
    try:
        family = socket.AF_INET if ipaddress.ip_address(text).version == 4 else socket.AF_INET6  # noqa: PLR2004 -- a version
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((text, 0))
    except (ValueError, OSError) as error:
        raise UsageError(f"source_addresses: {text!r} is no address of this machine") from error
    return family


sources = SourceAddresses()
"""Those of this process, which is one worker's."""
