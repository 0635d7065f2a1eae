"""Where requests go: scheme, host, port, addresses, TLS context; and the requests, put together from ready heads."""

import ssl
import time

from gevent import socket as gevent_socket

from convload import __version__
from convload.addresses import split_origin
from convload.errors import UsageError

ADDRESS_LIFETIME_S = 30.0
"""How long a name's addresses are kept: short enough to follow a failover, long enough to cost nothing."""

PLAIN_JSON = {"Accept": "application/json", "Accept-Encoding": "identity"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Address = tuple[int, tuple[str | int, ...]]


class Origin:
    """One server by scheme, host and port.

    Args:
        url: `http(s)://host[:port]`, a path is not allowed.
        context: the process's shared TLS context, for `https`.

    Raises:
        UsageError: no such URL can be fired at.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        parts = split_origin(url)
        if parts is None:
            raise UsageError(f"target {url!r}: must be http://HOST[:PORT] or https://HOST[:PORT]")
        self.scheme = parts.scheme
        self.host = str(parts.hostname)
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.context = context if parts.scheme == "https" else None
        self._addresses: list[Address] = []
        self._resolved_s = 0.0

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in {80, 443} else f"{host}:{self.port}"

    def addresses(self) -> list[Address]:
        """Returns (family, sockaddr) pairs in the resolver's order.

        Raises:
            OSError: the name has no address.
        """
        if not self._addresses or time.monotonic() - self._resolved_s > ADDRESS_LIFETIME_S:
            found = gevent_socket.getaddrinfo(self.host, self.port, type=gevent_socket.SOCK_STREAM)
            self._addresses = [(int(family), address) for family, _, _, _, address in found]
            self._resolved_s = time.monotonic()
        return self._addresses

    def head(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        """Returns the head of a request, written once for many: without the length and the empty line of `complete`.

        Raises:
            ValueError: a header holds a line break or a character outside Latin-1.
        """
        lines = {"Host": self.authority, "User-Agent": f"convload/{__version__}"} | PLAIN_JSON | headers
        if any(char in value for value in lines.values() for char in "\r\n"):
            raise ValueError("a header value must not hold a line break")
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{text}".encode("latin-1")


def complete(head: bytes, body: bytes, headers: bytes = b"") -> bytes:
    """Returns the whole request: head, ready-made header lines, length, body."""
    return b"".join((head, headers, b"Content-Length: %d\r\n\r\n" % len(body), body))


def tls_context(ca_pem: str, *, verify: bool) -> ssl.SSLContext:
    """Returns the context that all connections of a process share; making one costs milliseconds.

    Args:
        ca_pem: certificates to trust in place of the system's; "" for the system's.
        verify: whether certificate and host name are checked.

    Raises:
        UsageError: `ca_pem` holds no certificate.
    """
    try:
        context = ssl.create_default_context(cadata=ca_pem or None)
    except ssl.SSLError as error:
        raise UsageError(f"ca_file: holds no PEM certificate: {error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
