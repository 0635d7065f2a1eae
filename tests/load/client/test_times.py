"""How long an exchange may take, and what its times are of."""

import threading
import time
from collections.abc import Callable

from tests.load.conftest import ANSWER, Peer, Script, exchange_once, request

from convload.load.client.http import Client, Limits
from convload.load.client.origin import Origin

Serve = Callable[..., Script]


def test_a_silent_server_is_a_read_timeout_of_the_set_length(serve: Serve) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.send(ANSWER[:20])
        peer.read_request()

    got = exchange_once(serve(behave))

    assert got.failure == "read_timeout"
    assert 0.3 <= got.done_s - got.sent_s < 1.0


def test_the_timeout_bounds_the_whole_answer_not_each_part_of_it(serve: Serve) -> None:
    stop = threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not stop.wait(0.05):
            peer.send(b"x")

    got = exchange_once(serve(behave))
    stop.set()

    assert got.failure == "read_timeout"
    assert got.done_s - got.sent_s < 1.0


def test_time_runs_from_the_call_to_the_whole_answer(serve: Serve) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        threading.Event().wait(0.2)
        peer.send(ANSWER)

    before = time.monotonic()
    got = exchange_once(serve(behave), Limits())
    after = time.monotonic()

    assert before <= got.sent_s <= got.done_s <= after
    assert 0.2 <= got.done_s - got.sent_s < 2


def test_each_request_on_a_connection_has_the_whole_timeout(serve: Serve) -> None:
    """A timer of libev that is stopped and started goes on where it was."""

    def behave(peer: Peer) -> None:
        while peer.read_request():
            threading.Event().wait(0.3)
            peer.send(ANSWER)

    origin = Origin(serve(behave).url)
    client = Client(origin, Limits(timeout_s=1.0))
    got = [client.exchange(request(origin)).failure for _ in range(5)]
    client.close()

    assert got == [""] * 5


def test_the_first_byte_of_an_answer_has_an_instant_of_its_own(serve: Serve) -> None:
    pause = threading.Event()

    def behave(peer: Peer) -> None:
        while peer.read_request():
            pause.wait(0.05)
            peer.send(ANSWER[:5])
            pause.wait(0.3)
            peer.send(ANSWER[5:])

    origin = Origin(serve(behave).url)
    client = Client(origin, Limits())
    found = [client.exchange(request(origin)) for _ in range(3)]
    client.close()

    for one in found:
        # The first byte may be read late by a busy machine, but never before it was sent.
        assert one.sent_s + 0.05 <= one.first_s <= one.done_s - 0.05
    assert [one.new_connection for one in found] == [True, False, False]
