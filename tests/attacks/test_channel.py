"""Whoever reaches the coordinator's port: without the key he is not heard, with it no message of his ends the run."""

import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
from tests.attacks.peer import NODE, Peer
from tests.conftest import clean_environment, wait_for

from convload.load.processes.keys import new_key

KEY = new_key()
FUZZED = 100_000


class Coordinator:
    """The process under attack."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("channel_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(KEY + "\n")
        self._process.stdin.flush()
        self.port: int = self.next_line()["port"]

    def next_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    def memory_bytes(self) -> int:
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    one = Coordinator()
    yield one
    one.end()


@pytest.fixture
def worker(coordinator: Coordinator) -> Iterator[Peer]:
    with Peer(coordinator.port, KEY) as peer:
        yield peer


def test_who_has_the_key_is_heard(coordinator: Coordinator, worker: Peer) -> None:
    worker.greet("here I am")

    assert coordinator.next_line()["greeting"] == "here I am"


@pytest.mark.parametrize("key", [None, new_key()], ids=["clear text", "another key"])
def test_who_has_not_the_key_is_not_heard(coordinator: Coordinator, worker: Peer, key: str | None) -> None:
    # In clear text he may see first that they do not fit, and hang up for good: he was not refused then, but left.
    with ExitStack() as strangers:

        def is_one_refused() -> bool:
            stranger = strangers.enter_context(Peer(coordinator.port, key, b"a stranger"))
            for _ in range(100):
                stranger.greet("believe me")
            return bool(refused_so_far(coordinator, worker))

        wait_for(is_one_refused, "a stranger is refused")
    worker.greet("end")

    assert coordinator.next_line()["greeting"] == "end"


def refused_so_far(coordinator: Coordinator, worker: Peer) -> int:
    worker.greet("count")
    heard = coordinator.next_line()
    assert heard["greeting"] == "count"
    return int(heard["refused"])


class Wiretap:
    """Stands between a worker and the coordinator, passes on what they say, and keeps what the worker said."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets, self._upwards = [self._listener], list[socket.socket]()
        self.port = int(self._listener.getsockname()[1])
        self.said: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, far = self._listener.accept()[0], self.connect()
                self._sockets.append(near)
                self._upwards.append(far)
                threading.Thread(target=self._pass_on, args=(near, far, self.said), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, []), daemon=True).start()

    def connect(self) -> socket.socket:
        """Returns another connection to the coordinator."""
        self._sockets.append(socket.create_connection(("127.0.0.1", self._port), timeout=30))
        return self._sockets[-1]

    def _pass_on(self, source: socket.socket, sink: socket.socket, kept: list[bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                kept.append(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def say_again(self, *, to_the_same: bool) -> None:
        """Repeats the last words in their own connection, or all in another one, until the coordinator hangs up."""
        if to_the_same:
            self._upwards[0].sendall(self.said[-1])
            wait_for(lambda: len(self._upwards) > 1, "the worker connects anew")
            return
        other = self.connect()
        with suppress(ConnectionError):
            other.sendall(b"".join(self.said))
            while other.recv(65536):
                pass

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.mark.parametrize("to_the_same", [True, False], ids=["in its own connection", "in another one"])
def test_what_was_recorded_and_is_said_again_is_not_heard(coordinator: Coordinator, to_the_same: bool) -> None:
    tap = Wiretap(coordinator.port)
    with closing(tap), Peer(tap.port, KEY) as worker:
        worker.greet("once")
        assert coordinator.next_line()["greeting"] == "once"

        tap.say_again(to_the_same=to_the_same)
        with Peer(coordinator.port, KEY, b"a second worker") as other:
            other.socket.send(msgpack.dumps(("convload.hello", b"end", "a second worker")))

            assert coordinator.next_line()["greeting"] == "end"


ENDED_A_RUN = [
    b"\xc1",
    b"",
    b"\x93\xa5conv",
    msgpack.dumps(7),
    msgpack.dumps(("convload.hello", None)),
    msgpack.dumps(("stats", {"__datetime__": True, "as_str": "x"}, "a worker")),
    msgpack.dumps(("exception", None, "a worker")),
    msgpack.dumps(("locustfile", None, "a worker")),
    msgpack.dumps(("client_ready", 7, "a worker")),
    msgpack.dumps(("client_ready", "2.47.0", ["a worker"])),
    msgpack.dumps(("heartbeat", None, "a worker")),
    msgpack.dumps(("heartbeat", {"state": "ready", "current_cpu_usage": "hot"}, "a worker")),
    msgpack.dumps(("spawning_complete", {}, "a worker")),
    msgpack.dumps(("convload.hello", {"not": "bytes"}, "a worker")),
    msgpack.dumps(("convload.hello", b"x", "somebody else")),
]


def test_each_message_that_once_ended_a_run_is_dropped_and_counted(coordinator: Coordinator, worker: Peer) -> None:
    for frame in ENDED_A_RUN:
        worker.socket.send(frame)
    worker.socket.send_multipart([b"one", b"too many"])
    worker.greet("end")

    heard = coordinator.next_line()

    assert heard["greeting"] == "end"
    assert sum(heard["dropped"].values()) == len(ENDED_A_RUN) + 1


def fuzzed(count: int) -> Iterator[bytes]:
    """Yields noise, and messages with a byte changed or an end cut off."""
    chance = random.Random(7)
    good = [msgpack.dumps((kind, {"state": "ready"}, NODE.decode())) for kind in ("stats", "heartbeat", "quit", "logs")]
    for n in range(count):
        frame = bytearray(chance.choice(good))
        match n % 3:
            case 0:
                yield chance.randbytes(chance.randrange(40))
            case 1:
                frame[chance.randrange(len(frame))] = chance.randrange(256)
                yield bytes(frame)
            case _:
                yield bytes(frame[: chance.randrange(len(frame))])


def test_a_hundred_thousand_broken_messages_end_nothing(coordinator: Coordinator, worker: Peer) -> None:
    for frame in fuzzed(FUZZED):
        worker.socket.send(frame)
    worker.greet("end")

    heard = coordinator.next_line()

    assert heard["greeting"] == "end"
    assert sum(heard["dropped"].values()) > FUZZED / 2


def test_a_message_of_600_mb_takes_no_memory(coordinator: Coordinator, worker: Peer) -> None:
    before = coordinator.memory_bytes()
    worker.socket.send(bytes(600 * 1024 * 1024))
    with Peer(coordinator.port, KEY, b"a second worker") as again:
        again.socket.send(msgpack.dumps(("convload.hello", b"still here", "a second worker")))

        assert coordinator.next_line()["greeting"] == "still here"
        assert coordinator.memory_bytes() - before < 128 * 1024 * 1024
