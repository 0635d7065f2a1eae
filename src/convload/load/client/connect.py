"""Opens connections: name, TCP, TLS; and says whose fault it is when that fails."""

import errno
import socket
from collections.abc import Callable

import gevent
from gevent import get_hub
from gevent.monkey import get_original

from convload.load.client.origin import Address, Origin
from convload.load.client.tls import TlsFailed, TlsLayer

# A plain non-blocking socket: gevent's own would wrap every call to wait where the client waits itself.
_socket: Callable[..., socket.socket] = get_original("socket", "socket")

READ_BYTES = 65536
READABLE, WRITABLE = 1, 2  # libev's event bits

CONNECT_FAILURES = {
    errno.ECONNREFUSED: "connect_refused",
    errno.ECONNRESET: "connect_refused",
    errno.EHOSTUNREACH: "connect_refused",
    errno.ENETUNREACH: "connect_refused",
    errno.ETIMEDOUT: "connect_timeout",
}
"""What the target or the way to it did. Any other error (no file descriptor, no local port) is ours:
it must not be charged to the target, so it is raised."""


class RequestFailed(Exception):  # noqa: N818 -- it never leaves the client: a failed request is data
    """Ends an exchange with an error kind of the outcome table."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def open_connection(origin: Origin, timeout_s: float) -> tuple[socket.socket, TlsLayer | None]:
    """Connects to the first address that answers, and shakes hands, within `timeout_s` for all of it.

    Raises:
        RequestFailed: the target cannot be connected to.
        OSError: this machine has no file descriptor or port left.
    """
    with gevent.Timeout(timeout_s, RequestFailed("connect_timeout", str(origin))):
        try:
            addresses = origin.addresses()
        except OSError as error:
            raise RequestFailed("dns", f"{origin.host}: {error}") from error
        sock = _connect_any(addresses)
        try:
            return sock, _secure(sock, origin)
        except BaseException:
            sock.close()
            raise


def _connect_any(addresses: list[Address]) -> socket.socket:
    for position, (family, address) in enumerate(addresses, 1):
        try:
            return _connect(family, address)
        except RequestFailed:
            if position == len(addresses):
                raise
    raise RequestFailed("dns", "the name has no address")


def _connect(family: int, address: tuple[str | int, ...]) -> socket.socket:
    sock = _socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            wait_for(sock, WRITABLE)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        _raise_for(code, f"{address[0]}:{address[1]}")
    except BaseException:
        sock.close()
        raise
    return sock


def _raise_for(code: int, where: str) -> None:
    if code in CONNECT_FAILURES:
        raise RequestFailed(CONNECT_FAILURES[code], f"{where}: {errno.errorcode[code]}")
    if code:
        raise OSError(code, f"cannot connect to {where}: {errno.errorcode.get(code, code)}")


def _secure(sock: socket.socket, origin: Origin) -> TlsLayer | None:
    if origin.context is None:
        return None
    layer = TlsLayer(origin.context, origin.host)
    try:
        while not layer.shake_hands():
            _send_all(sock, layer.to_send())
            wait_for(sock, READABLE)
            layer.received(sock.recv(READ_BYTES))
        _send_all(sock, layer.to_send())
    except (TlsFailed, OSError) as error:
        raise RequestFailed("tls", f"{origin.host}: {error}") from error
    return layer


def _send_all(sock: socket.socket, data: bytes) -> None:
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            wait_for(sock, WRITABLE)


def wait_for(sock: socket.socket, events: int) -> None:
    """Waits until a socket is READABLE or WRITABLE."""
    hub = get_hub()
    watcher = hub.loop.io(sock.fileno(), events)
    try:
        hub.wait(watcher)
    finally:
        watcher.close()
