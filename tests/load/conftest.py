"""A server whose every byte is written by the test: real sockets, one thread a connection."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from convload.load.client.http import Client, Exchange, Limits
from convload.load.client.origin import JSON, Origin, complete

Behave = Callable[["Peer"], None]


class Peer:
    """One accepted connection, as the test's script sees it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self._buffer = bytearray()

    def read_request(self) -> bytes:
        """Returns one whole request; b"" when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return b""
        head, _, _ = self._buffer.partition(b"\r\n\r\n")
        lines = (line.partition(b":") for line in head.split(b"\r\n"))
        length = next((int(value) for name, _, value in lines if name == b"Content-Length"), 0)
        end = len(head) + 4 + length
        while len(self._buffer) < end:
            if not self._more():
                return b""
        request, self._buffer = bytes(self._buffer[:end]), self._buffer[end:]
        return request

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def send(self, *parts: bytes) -> None:
        """Sends each part in a packet of its own."""
        for part in parts:
            self.sock.sendall(part)

    def reset(self) -> None:
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Script:
    """A server that does what `behave` says with each connection, and remembers the requests."""

    def __init__(self, behave: Behave, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._behave = behave
        self._context = context
        self._threads: list[threading.Thread] = []
        self._peers: list[socket.socket] = []
        self.accepted = 0
        self.port = self._listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if context else 'http'}://{name}:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._peers.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.accepted), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            with sock:
                self._behave(Peer(sock, number))
        except OSError:
            pass  # the client went away, which some tests want

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._peers:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            sock.close()
        for thread in (self._accepting, *self._threads):
            thread.join(timeout=5)


@pytest.fixture
def serve() -> Iterator[Callable[..., Script]]:
    """Starts scripted servers; all of them are gone when the test ends."""
    scripts: list[Script] = []

    def start(behave: Behave, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Script:
        scripts.append(Script(behave, host, context))
        return scripts[-1]

    yield start
    for script in scripts:
        script.close()


BODY = b'{"code":"OK"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY


def request(origin: Origin, body: bytes = b"[]") -> bytes:
    return complete(origin.head("POST", "/x", JSON), body)


def answers(*parts: bytes, hang_up: bool = False) -> Callable[[Peer], None]:
    """Answers every request of a connection with the same bytes."""

    def behave(peer: Peer) -> None:
        while peer.read_request():
            peer.send(*parts)
            if hang_up:
                return

    return behave


SHORT = Limits(connect_timeout_s=2.0, timeout_s=0.3)


def exchange_once(script: Script, limits: Limits = SHORT) -> Exchange:
    origin = Origin(script.url)
    client = Client(origin, limits)
    try:
        return client.exchange(request(origin))
    finally:
        client.close()
