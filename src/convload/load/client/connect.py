"""Opens connections: name, TCP, TLS; and says whose fault it is when that fails.

TLS is a layer between bytes and bytes, so that the one read and write path of the client serves both schemes.
"""

import errno
import socket
import ssl
from collections.abc import Callable

import gevent
from gevent import get_hub
from gevent.monkey import get_original

from convload.load.client.origin import Address, Origin
from convload.load.client.sources import sources

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


class TlsFailed(Exception):  # noqa: N818 -- it is turned into the outcome `tls` or `reset` by the client
    """The handshake, the verification or a record failed."""


class TlsLayer:
    """One TLS session over memory buffers; the caller moves the bytes.

    Args:
        context: the process's shared context.
        host: the name for SNI and for the verification of the certificate.
    """

    __slots__ = ("_incoming", "_outgoing", "_session", "ended")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.ended = False

    def shake_hands(self) -> bool:
        """Goes on with the handshake; False when it needs to hear from the peer first."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from error
        return True

    def received(self, data: bytes) -> None:
        """Takes bytes from the peer; none means that it has closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def to_send(self) -> bytes:
        """Returns what must go to the peer."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """Returns the records that carry `data`."""
        self._session.write(data)
        return self._outgoing.read()

    def decrypt(self) -> bytes:
        """Returns what the received records carry; sets `ended` when the peer has said goodbye."""
        parts = []
        try:
            while self._incoming.pending or self._session.pending():
                part = self._session.read(READ_BYTES)
                if not part:
                    self.ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still on its way
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from error
        return b"".join(parts)


def open_connection(origin: Origin, timeout_s: float) -> tuple[socket.socket, TlsLayer | None]:
    """Connects to the first address that answers, and shakes hands, within `timeout_s` for all of it.

    Raises:
        RequestFailed: the target cannot be connected to.
        OSError: this machine has no file descriptor or port left.
    """
    with gevent.Timeout(timeout_s, RequestFailed("connect_timeout", str(origin))):
        try:
            addresses = sources.reached(origin.addresses())
        except OSError as error:
            raise RequestFailed("dns", f"{origin.host}: {error}") from error
        sock = _connect_any(addresses)
        try:
            return sock, _secure(sock, origin)
        except BaseException:
            sock.close()
            raise


def probe(origin: Origin, timeout_s: float) -> RequestFailed | None:
    """Opens a connection and closes it again: is there somebody, and does TLS work?"""
    try:
        open_connection(origin, timeout_s)[0].close()
    except RequestFailed as failed:
        return failed
    return None


def _connect_any(addresses: list[Address]) -> socket.socket:
    for position, (family, address) in enumerate(addresses, 1):
        try:
            return _connect(family, address)
        except RequestFailed:
            if position == len(addresses):
                raise
    raise RequestFailed("dns", "the name has no address, or none of the family of the source addresses")


def _connect(family: int, address: tuple[str | int, ...]) -> socket.socket:
    sock = _socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sources.bind(sock)
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


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or str(error)
