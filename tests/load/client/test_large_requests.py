"""Requests that the kernel does not take at one go, and answers that come meanwhile."""

import socket
import threading
from collections.abc import Callable

import gevent
from tests.load.conftest import ANSWER, SHORT, Peer, Script, request

from convload.load.client.http import Client, Limits
from convload.load.client.origin import Origin

Serve = Callable[..., Script]


def test_a_large_request_is_written_whole_while_the_server_reads_slowly(serve: Serve) -> None:
    sizes: list[int] = []

    def behave(peer: Peer) -> None:
        threading.Event().wait(0.2)
        sizes.append(len(peer.read_request()))
        peer.send(ANSWER)

    script = serve(behave)
    origin = Origin(script.url)
    client = Client(origin, Limits(timeout_s=10.0))
    got = client.exchange(request(origin, b"x" * 20_000_000))
    client.close()

    assert got.status == 200
    assert sizes[0] > 20_000_000


def test_an_early_answer_to_a_large_request_is_read_though_writing_fails(serve: Serve) -> None:
    answer = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    def behave(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(answer)
        peer.sock.shutdown(socket.SHUT_WR)
        while peer.sock.recv(65536):
            pass

    script = serve(behave)
    origin = Origin(script.url)
    client = Client(origin, Limits(timeout_s=5.0))
    got = client.exchange(request(origin, b"x" * 3_000_000))
    client.close()

    assert (got.failure, got.status) == ("", 413)


def test_a_server_that_never_reads_a_large_request_is_a_time_out(serve: Serve) -> None:
    done = threading.Event()
    script = serve(lambda _: done.wait(20) and None)
    origin = Origin(script.url)
    client = Client(origin, SHORT)

    with gevent.Timeout(10):
        got = client.exchange(request(origin, b"x" * 30_000_000))
    done.set()

    assert got.failure == "read_timeout"


def test_a_refusal_ends_a_request_that_is_still_being_written(serve: Serve) -> None:
    def refuse(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.send(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        peer.sock.recv(1)
        while peer.sock.recv(1 << 20):
            pass

    script = serve(refuse)
    origin = Origin(script.url)
    client = Client(origin, Limits())

    got = client.exchange(request(origin, b"x" * 30_000_000))
    client.close()

    assert got.status == 413
