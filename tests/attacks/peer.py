"""Somebody who speaks to a coordinator without Locust: with a key or without, in good order or not."""

from typing import Any, Self

import msgpack
import msgspec
import zmq

from convload.load.processes.keys import pair
from convload.load.processes.line import Line
from convload.load.processes.messages import CHANNEL, ProcessMessage, ToWorker

_zmq: Any = zmq
NODE = b"a worker"
RECEIVE_TIMEOUT_MS = 30_000


class Peer:
    """Somebody who speaks ZeroMQ without Locust: with a key, or in clear text."""

    def __init__(self, port: int, key: str | None, node: bytes = NODE, host: str = "127.0.0.1") -> None:
        self._context = _zmq.Context()
        self._line = Line(self._send)
        self.socket = self._context.socket(_zmq.DEALER)
        self.socket.identity = node
        self.socket.linger = 0
        self.socket.sndhwm = 0
        self.socket.rcvtimeo = RECEIVE_TIMEOUT_MS
        self.socket.heartbeat_ivl, self.socket.heartbeat_timeout = 1_000, 3_000  # as a worker has it
        if key is not None:
            self.socket.curve_serverkey = pair(bytes.fromhex(key), b"coordinator")[0]
            own = pair(bytes.fromhex(key), b"worker")
            self.socket.curve_publickey, self.socket.curve_secretkey = own
        self.socket.connect(f"tcp://{host}:{port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def greet(self, text: str) -> None:
        self.socket.send(msgpack.dumps(("convload.hello", text.encode(), NODE.decode())))

    def send(self, message: ProcessMessage | bytes) -> None:
        """Sends what a worker would send, or what is wrapped as such."""
        self._line.send(message if isinstance(message, bytes) else message.encode())

    def _send(self, data: bytes) -> None:
        self.socket.send(msgpack.dumps((CHANNEL, data, self.socket.identity.decode())))

    def receive(self, kind: type[ProcessMessage]) -> ProcessMessage:
        """Returns the next message of a kind; others are passed over."""
        while True:
            name, data, _ = msgpack.loads(self.socket.recv())
            if name != CHANNEL or (taken := self._line.take(data)) is None:
                continue
            if isinstance(message := msgspec.json.decode(taken, type=ToWorker), kind):
                return message

    def close(self) -> None:
        self._context.destroy(linger=0)
