"""Connections: opened when they are needed, used again while they last, and what becomes of those that fail."""

import resource
import socket
import threading
from collections.abc import Callable

import gevent
import pytest
from tests.load.conftest import ANSWER, BODY, SHORT, Peer, Script, answers, exchange_once, request

from convload.load.client.connect import probe
from convload.load.client.http import Client, Limits
from convload.load.client.origin import Origin
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

Serve = Callable[..., Script]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\n",
    ],
)
def test_a_connection_that_the_server_will_close_is_not_used_again(serve: Serve, head: bytes) -> None:
    script = serve(answers(head + BODY, hang_up=True))
    origin = Origin(script.url)
    client = Client(origin, SHORT)

    got = [client.exchange(request(origin)).status for _ in range(3)]
    client.close()

    assert got == [200, 200, 200]
    assert script.accepted == 3


def test_an_idle_connection_that_was_closed_is_reopened_before_anything_is_written(serve: Serve) -> None:
    closed = threading.Event()
    requests: list[bytes] = []

    def behave(peer: Peer) -> None:
        requests.append(peer.read_request())
        peer.send(ANSWER)
        peer.sock.shutdown(socket.SHUT_RDWR)
        closed.set()

    script = serve(behave)
    origin = Origin(script.url)
    client = Client(origin, SHORT)
    first = client.exchange(request(origin))
    assert closed.wait(5)
    gevent.sleep(0.05)  # gives the event loop the turn in which the closing arrives
    second = client.exchange(request(origin))
    client.close()

    assert (first.status, second.status) == (200, 200)
    assert len(requests) == script.accepted == 2


def test_a_post_is_never_sent_twice(serve: Serve) -> None:
    """The connection dies after the request has left: whether it was carried out cannot be known."""
    requests: list[bytes] = []

    def behave(peer: Peer) -> None:
        requests.append(peer.read_request())
        peer.send(ANSWER)
        requests.append(peer.read_request())

    script = serve(behave)
    origin = Origin(script.url)
    client = Client(origin, SHORT)
    outcomes = [client.exchange(request(origin)).failure for _ in range(2)]
    client.close()

    assert outcomes == ["", "reset"]
    assert len([one for one in requests if one]) == 2
    assert script.accepted == 1


def test_a_port_without_a_listener_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    got = probe(Origin(f"http://127.0.0.1:{port}"), 2.0)

    assert got is not None
    assert got.kind == "connect_refused"
    assert "ECONNREFUSED" in got.detail


def test_a_full_backlog_is_a_connect_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for one in fill:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        got = probe(Origin(f"http://127.0.0.1:{listener.getsockname()[1]}"), 0.3)
        for one in fill:
            one.close()

    assert got is not None
    assert got.kind == "connect_timeout"


def test_a_name_without_an_address_is_dns() -> None:
    failed = probe(Origin("http://no-such-host.invalid"), 2.0)

    assert failed is not None
    assert failed.kind == "dns"


def test_ipv6_works_and_its_host_header_has_brackets(serve: Serve) -> None:
    seen: list[bytes] = []

    def behave(peer: Peer) -> None:
        seen.append(peer.read_request())
        peer.send(ANSWER)

    script = serve(behave, host="::1")

    assert exchange_once(script).status == 200
    assert f"Host: [::1]:{script.port}\r\n".encode() in seen[0]


def test_more_than_1024_connections_work_in_one_process() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4000:
        pytest.skip("the hard limit of file descriptors is too low here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4000), hard))
    with start_mock(Behaviour(auth=False)) as mock:
        origin = Origin(mock.url)
        clients = [Client(origin, Limits()) for _ in range(1200)]
        get = origin.head("GET", "/__mock__/stats", {}) + b"\r\n"

        def twice(client: Client) -> list[int]:
            return [client.exchange(get).status for _ in range(2)]

        users = [gevent.spawn(twice, client) for client in clients]
        gevent.joinall(users, timeout=60)
        opened = [client.opened for client in clients]
        for client in clients:
            client.close()

    assert [user.value for user in users] == [[200, 200]] * 1200
    assert opened == [1] * 1200
