"""The channel between coordinator and workers: Locust's sockets, encrypted, for whoever has the run's key.

Theory of operation
-------------------
Locust's runners talk over two sockets that they get from a name of their module, `rpc`: a server (ROUTER) and a client
(DEALER). `secure` puts ours there; the runners stay as they are.

    key ──"coordinator"──▶ key pair of the server     CURVE: each side proves that it has its secret half and
        └──"worker"──────▶ key pair of the workers    encrypts with keys of this connection alone

Who has the key can derive both pairs; who has not can derive none. So the worker knows the only coordinator that it may
obey (CURVE's server key), and the coordinator the only workers that it may believe (asked of `_admit`, by ZAP, for each
connection). What was recorded of another connection cannot be replayed: its keys were of that connection (CurveZMQ,
RFC 26). Whoever cannot prove himself is cut off before a message of his is read: he costs a handshake and no memory.

Of an admitted peer a message may still be broken: other version, other program, a fault. Locust ends its listener at
the first one it cannot read, and the run with it. Here such a message is counted and dropped: a receiver goes on until
one has two frames, is a message of a known kind in the shape that Locust's own handler expects, and names the node it
came from. What is within a message of ours (the kinds that begin with `convload.`) is checked where it is decoded.
libzmq itself ends a connection that announces more than `MOST_BYTES`, before it takes the memory.
"""

import time
from collections import Counter
from collections.abc import Callable
from socket import create_connection, getaddrinfo
from typing import Any

import gevent
import zmq.green as zmq
from locust import runners
from locust.exception import RPCError
from locust.rpc.protocol import Message
from locust.rpc.zmqrpc import BaseSocket
from zmq.utils import z85

from convload.addresses import write_address
from convload.errors import UsageError
from convload.load.processes.keys import pair

MOST_BYTES = 64 * 1024 * 1024
"""Of one message: payload files of a run come to some megabytes, an interval to some hundred kilobytes."""

HEARTBEAT_MS = 1000
HEARTBEAT_TIMEOUT_MS = 3000
"""After this a worker connects anew. TCP itself would wait the longer, the longer the connection was cut."""

OURS = "convload."
TRY_EVERY_S = 0.5
TRY_TIMEOUT_S = 5.0
REFUSAL_S = 0.25
ZAP = "inproc://zeromq.zap.01"
"""Where libzmq asks whether a peer may connect (RFC 27)."""


def secure(key: str) -> "Sockets":
    """Lets the runners that Locust makes from now on in this process talk to those with the same key alone."""
    sockets = Sockets(bytes.fromhex(key))
    runners.rpc = sockets
    return sockets


class Sockets:
    """Stands where Locust's runners look for their sockets."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._clients: list[WorkerSocket] = []

    @property
    def refused(self) -> int:
        """How many handshakes of a worker have failed so far."""
        return sum(client.refused.count for client in self._clients)

    def Server(self, host: str, port: int) -> "CoordinatorSocket":  # noqa: N802 -- the runners call it so
        """Makes the coordinator's end."""
        return CoordinatorSocket(host, port, self._key)

    def Client(self, host: str, port: int, identity: str) -> "WorkerSocket":  # noqa: N802 -- as above
        """Makes a worker's end."""
        self._clients.append(WorkerSocket(host, port, identity, self._key))
        return self._clients[-1]


class CoordinatorSocket(BaseSocket):  # type: ignore[misc]
    """The coordinator's end.

    Attributes:
        dropped: how many messages could not be read, by what was wrong with them.
        refused: how many connections were ended because whoever made them had not the key.
    """

    def __init__(self, host: str, port: int, key: bytes) -> None:
        super().__init__(zmq.ROUTER, _is_ipv4(host))
        self.dropped: Counter[str] = Counter()
        self._workers_key = z85.decode(pair(key, b"worker")[0])
        self._asked = self.socket.context.socket(zmq.REP)
        self._asked.bind(ZAP)
        self._admitting = gevent.spawn(self._admit)
        self.socket.curve_server = True
        self.socket.curve_publickey, self.socket.curve_secretkey = pair(key, b"coordinator")
        self.socket.zap_domain = b"convload"
        self.socket.maxmsgsize = MOST_BYTES
        self.socket.router_handover = (
            True  # a worker that comes back is known before its old connection is seen to be gone
        )
        # Not those that left before they said anything, as a worker does that only looks whether somebody listens.
        self.refused = _Refusals(self.socket, zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        self.port = self._bind(host, port)

    def _bind(self, host: str, port: int) -> int:
        address = f"tcp://[{host}]" if ":" in host else f"tcp://{host}"
        try:
            if port == 0:
                return int(self.socket.bind_to_random_port(address))
            self.socket.bind(f"{address}:{port}")
        except zmq.ZMQError as error:
            raise RPCError(f"Socket bind failure: {error}") from error
        return port

    def _admit(self) -> None:
        """Answers libzmq's questions: who has the workers' key may come in."""
        while True:
            version, request, _domain, _address, _identity, mechanism, *credentials = self._asked.recv_multipart()
            admitted = mechanism == b"CURVE" and credentials == [self._workers_key]
            status = [b"200", b"OK"] if admitted else [b"400", b"the key is not that of this run"]
            self._asked.send_multipart([version, request, *status, b"worker", b""])

    def recv_from_client(self) -> tuple[str, Message]:
        """Returns the next message that can be read, and who sent it."""
        while True:
            frames = self.socket.recv_multipart()
            try:
                return _read(frames)
            except _UnreadableError as error:
                self.dropped[str(error)] += 1

    def close(self, linger: int | None = None) -> None:
        """Closes the socket, and the one that admits to it."""
        self.refused.end()
        self._admitting.kill()
        self._asked.close(linger=0)
        super().close(linger)


class WorkerSocket(BaseSocket):  # type: ignore[misc]
    """A worker's end."""

    def __init__(self, host: str, port: int, identity: str, key: bytes) -> None:
        super().__init__(zmq.DEALER, _is_ipv4(host))
        self.dropped: Counter[str] = Counter()
        self.socket.identity = identity.encode()
        self.socket.curve_serverkey = pair(key, b"coordinator")[0]
        self.socket.curve_publickey, self.socket.curve_secretkey = pair(key, b"worker")
        self.socket.maxmsgsize = MOST_BYTES
        self.socket.sndhwm = 0  # what waits while the connection is cut is bounded by the patience of both ends
        self.socket.heartbeat_ivl, self.socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
        self.socket.connect_timeout = HEARTBEAT_MS
        # Without detail it fails where the other end just closes: it does so to whoever has another key.
        self.refused = _Refusals(
            self.socket,
            zmq.EVENT_HANDSHAKE_FAILED_AUTH,
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
        )
        self.socket.connect(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}")

    def recv(self) -> Message:
        """Returns the next message that can be read."""
        while True:
            try:
                return _decode(self.socket.recv())
            except _UnreadableError as error:
                self.dropped[str(error)] += 1

    def close(self, linger: int | None = None) -> None:
        """Closes the socket."""
        self.refused.end()
        super().close(linger)


class _Refusals:
    """Counts the handshakes of a socket that failed: one of the two sides had not the other's key."""

    def __init__(self, socket: Any, *failures: int) -> None:
        self.count = 0
        self._events = socket.get_monitor_socket(sum(failures))
        self._counting = gevent.spawn(self._listen)

    def _listen(self) -> None:
        while self._events.recv_multipart():
            self.count += 1

    def end(self) -> None:
        """Listens no more."""
        self._counting.kill()
        self._events.close(linger=0)


def await_listener(host: str, port: int, deadline_s: float) -> None:
    """Waits until somebody listens there; raises UsageError where nobody does until the deadline."""
    while (why := _try_to_connect(host, port)) is not None:
        if time.monotonic() + TRY_EVERY_S > deadline_s:
            raise UsageError(
                f"{write_address(host, port)}: nobody listens there ({why}). Start the run first: "
                f"convload run --bind HOST:{port} --expect-workers N --key-file FILE"
            )
        time.sleep(TRY_EVERY_S)


def _try_to_connect(host: str, port: int) -> str | None:
    """Returns why nobody can be reached, None when somebody can."""
    try:
        create_connection((host, port), TRY_TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def is_refused(host: str, port: int) -> bool:
    """Whether the machine can be reached and nobody listens there any more."""
    try:
        create_connection((host, port), REFUSAL_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


class _UnreadableError(Exception):
    """A message that is none; says what is wrong, in few words that do not quote it."""


def _read(frames: list[bytes]) -> tuple[str, Message]:
    if len(frames) != 2:  # noqa: PLR2004 -- who, and what
        raise _UnreadableError("a message of a wrong number of frames")
    message = _decode(frames[1])
    if message.node_id is None or message.node_id.encode() != frames[0]:
        raise _UnreadableError("a message in another's name")
    if not _is_expected(message):
        raise _UnreadableError("a message of an unknown kind or shape")
    return message.node_id, message


def _decode(frame: bytes) -> Message:
    try:
        message = Message.unserialize(frame)
    except Exception as error:
        raise _UnreadableError("a message that is no MessagePack of three parts") from error
    if not isinstance(message.type, str) or not isinstance(message.node_id, str | None):
        raise _UnreadableError("a message whose kind or sender is no text")
    return message


def _has(**types: type | tuple[type, ...]) -> Callable[[Any], bool]:
    return lambda data: isinstance(data, dict) and all(isinstance(data.get(key), one) for key, one in types.items())


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "client_ready": lambda data: isinstance(data, str),
    "client_stopped": lambda _: True,
    "heartbeat": _has(state=str, current_cpu_usage=(int, float)),
    "spawning": lambda _: True,
    "spawning_complete": _has(user_classes_count=dict, user_count=int),
    "stats": _has(user_classes_count=dict, user_count=int),
    "exception": _has(msg=str, traceback=str),
    "logs": _has(worker_id=str, logs=list),
    "quit": lambda _: True,
}
"""What Locust's master reads of what its workers send. Not `locustfile`, which asks for files of this machine."""


def _is_expected(message: Message) -> bool:
    if message.type.startswith(OURS):
        return message.data is None or isinstance(message.data, bytes)
    fits = _SHAPES.get(message.type)
    return fits is not None and fits(message.data)


def _is_ipv4(host: str) -> bool:
    return ":" not in host and all(family.name == "AF_INET" for family, *_ in getaddrinfo(host, None))
