"""Bodies of answers, however many come at once: what a worker keeps of them is bounded."""

from collections.abc import Callable

import gevent
from tests.load.conftest import ANSWER, BODY, Peer, Script, answers, request

from convload.load.client.http import Client, Exchange, Limits
from convload.load.client.origin import Origin

Serve = Callable[..., Script]

HUGE = 2_000_000
CLIENTS = 20
LIMITS = Limits(timeout_s=20.0, max_bodies_bytes=5_000_000)


def endless(peer: Peer) -> None:
    """Announces more than it ever sends, and then says nothing."""
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (HUGE + 1) + b"x" * HUGE)
    peer.read_request()


def test_of_many_huge_answers_at_once_a_worker_keeps_so_much_and_no_more(serve: Serve) -> None:
    hostile = Origin(serve(endless).url)
    clients = [Client(hostile, LIMITS) for _ in range(CLIENTS)]
    users = [gevent.spawn(client.exchange, request(hostile)) for client in clients]
    kept = LIMITS.max_bodies_bytes // HUGE

    ended = gevent.wait(users, timeout=10, count=CLIENTS - kept)
    small = Client(Origin(serve(answers(ANSWER)).url), LIMITS)
    meanwhile = small.exchange(request(hostile))
    gevent.killall(users)

    refused = [user.value for user in ended if isinstance(user.value, Exchange)]
    assert len(refused) == CLIENTS - kept
    assert {(one.failure, one.status) for one in refused} == {("malformed_http", 0)}
    assert "answers of a worker at once" in refused[0].detail
    assert meanwhile.body == BODY
    for client in (*clients, small):
        client.close()


def test_what_is_read_counts_no_longer(serve: Serve) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE + b"x" * HUGE
    origin = Origin(serve(answers(large)).url)
    client = Client(origin, LIMITS)

    got = [client.exchange(request(origin)) for _ in range(6)]
    client.close()

    assert [(one.failure, len(one.body)) for one in got] == [("", HUGE)] * 6


def test_the_body_of_an_answer_that_nobody_asked_for_is_no_part_of_the_one_before_it(serve: Serve) -> None:
    script = serve(answers(ANSWER + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"))
    origin = Origin(script.url)
    client = Client(origin, LIMITS)

    got = client.exchange(request(origin))
    client.close()

    assert got.body == BODY
