"""Whoever answers where a mock is asked what it counted: nothing that he says stops a run or lasts."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from convload.mock.process import ASK_TIMEOUT_S, CountedCreates, ask_for_creates

Answer = Callable[..., str]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
STATS = b'{"create": {"received": 7, "accepted": 5}, "send": {}}'


@pytest.fixture
def answering() -> Iterator[Answer]:
    """Starts a server that answers each request with some bytes, one every so many seconds if need be."""
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def start(answer: bytes, every_s: float = 0.0) -> str:
            def serve() -> None:
                with contextlib.suppress(OSError):
                    sock, _ = listener.accept()
                    with sock:
                        sock.recv(65536)
                        for piece in [answer] if not every_s else [answer[n : n + 1] for n in range(len(answer))]:
                            sock.sendall(piece)
                            if every_s and ended.wait(every_s):
                                return

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join)
            stack.callback(ended.set)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield start
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def whole(body: bytes) -> bytes:
    return HEAD % len(body) + body


def test_a_mock_is_believed(answering: Answer) -> None:
    assert ask_for_creates(answering(whole(STATS)), "", verify=True) == CountedCreates(7, 5)


NO_STATS = {
    "nested without end": whole(b'{"create": ' + b"[" * 100_000),
    "nested beside what is read": whole(b'{"x": ' + b"[" * 100_000),
    "negative counts": whole(b'{"create": {"received": -7, "accepted": 5}}'),
    "no text": whole(b"\xff\xfe"),
    "no JSON": whole(b"hello"),
    "another shape": whole(b'{"create": 7}'),
    "numbers of thousands of digits": whole(b'{"create": {"received": ' + b"9" * 5000 + b', "accepted": 5}}'),
    "no HTTP": b"SSH-2.0-x\r\n",
    "cut in the head": b"HTTP/1.1 200 OK\r\nCont",
    "cut in the body": HEAD % 1000 + b"{",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
    "another status": whole(STATS).replace(b"200 OK", b"404 Not Found"),
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("answer", NO_STATS)
def test_whoever_is_no_mock_has_counted_nothing(answering: Answer, answer: str) -> None:
    assert ask_for_creates(answering(NO_STATS[answer]), "", verify=True) is None


@pytest.mark.parametrize("line", [b"X: 1", b"Connection: close"])
def test_whoever_answers_without_end_is_not_listened_to_for_long(answering: Answer, line: bytes) -> None:
    answer = whole(b" " * 10_000 + STATS).replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")
    url = answering(answer, ASK_TIMEOUT_S / 100)
    started_s = time.monotonic()

    assert ask_for_creates(url, "", verify=True) is None
    assert time.monotonic() - started_s < 3 * ASK_TIMEOUT_S
