import resource
import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.load.conftest import ANSWER, BODY, Peer, Script, answers, request

from convload.load.client.connect import probe
from convload.load.client.http import Client, Exchange, Limits
from convload.load.client.origin import Origin
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

Serve = Callable[..., Script]

SHORT = Limits(connect_timeout_s=2.0, timeout_s=0.3)


def exchange_once(script: Script, limits: Limits = SHORT) -> Exchange:
    origin = Origin(script.url)
    client = Client(origin, limits)
    try:
        return client.exchange(request(origin))
    finally:
        client.close()


WHOLE_ANSWERS = {
    "content-length": ANSWER,
    "chunked": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"code\r\n7\r\n":"OK"}\r\n0\r\n\r\n',
    "chunked-with-trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd;x=1\r\n"
    + BODY
    + b"\r\n0\r\nA: b\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ANSWER,
    "http-1.0-keep-alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 13\r\n\r\n" + BODY,
    "lower-case": b"HTTP/1.1 200 \r\ncontent-length:13\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("answer", WHOLE_ANSWERS.values(), ids=WHOLE_ANSWERS.keys())
def test_every_way_to_frame_an_answer_gives_its_body_and_keeps_the_connection(serve: Serve, answer: bytes) -> None:
    script = serve(answers(answer))
    origin = Origin(script.url)
    client = Client(origin, SHORT)

    got = [client.exchange(request(origin)) for _ in range(3)]
    client.close()

    assert [(one.failure, one.status, one.body) for one in got] == [("", 200, BODY)] * 3
    assert script.accepted == 1


@settings(max_examples=25, deadline=None)
@given(cuts=st.sets(st.integers(1, 200), max_size=6), name=st.sampled_from(sorted(WHOLE_ANSWERS)))
def test_it_does_not_matter_where_an_answer_is_split(cuts: set[int], name: str) -> None:
    answer = WHOLE_ANSWERS[name]
    edges = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
    parts = [answer[a:b] for a, b in pairwise(edges)]
    script = Script(answers(*parts))
    try:
        got = exchange_once(script, Limits())
    finally:
        script.close()

    assert (got.failure, got.status, got.body) == ("", 200, BODY)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 13\r\n\r\n", 304, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}", 429, b"{}"),
    ],
)
def test_answers_without_a_body_end_with_their_head(serve: Serve, answer: bytes, status: int, body: bytes) -> None:
    got = exchange_once(serve(answers(answer)))

    assert (got.failure, got.status, got.body) == ("", status, body)


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


def test_an_answer_without_a_length_ends_with_the_connection(serve: Serve) -> None:
    got = exchange_once(serve(answers(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n", BODY, hang_up=True)))

    assert (got.failure, got.status, got.body) == ("", 200, BODY)


BROKEN_ANSWERS = {
    "closed-without-a-byte": (b"", "reset"),
    "closed-in-the-head": (b"HTTP/1.1 200 OK\r\nConte", "reset"),
    "closed-in-the-body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "reset"),
    "closed-in-the-body-behind-an-interim-answer": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        "reset",
    ),
    "closed-in-a-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "reset"),
    "not-http": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed_http"),
    "bad-length": (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "malformed_http"),
    "two-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "malformed_http"),
    "bad-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed_http"),
    "protocol-switch": (b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nPRI", "malformed_http"),
    "endless-head": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "malformed_http"),
}


@pytest.mark.parametrize(("answer", "kind"), BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS.keys())
def test_a_broken_answer_is_one_outcome_of_the_table(serve: Serve, answer: bytes, kind: str) -> None:
    got = exchange_once(serve(answers(answer, hang_up=True)))

    assert (got.failure, got.status) == (kind, 0)
    assert got.detail


def test_a_body_over_the_limit_is_malformed(serve: Serve) -> None:
    script = serve(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000))

    assert exchange_once(script, Limits(timeout_s=0.3, max_body_bytes=4999)).failure == "malformed_http"
    assert exchange_once(script, Limits(max_body_bytes=5000)).failure == ""


def test_bytes_behind_an_answer_make_the_connection_unusable_but_not_the_answer(serve: Serve) -> None:
    script = serve(answers(ANSWER + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    origin = Origin(script.url)
    client = Client(origin, SHORT)

    got = [client.exchange(request(origin)).body for _ in range(2)]
    client.close()

    assert got == [BODY, BODY]
    assert script.accepted == 2


def test_a_reset_is_told_from_an_answer(serve: Serve) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.reset()

    assert exchange_once(serve(behave)).failure == "reset"


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
            threading.Event().wait(0.1)
            peer.send(ANSWER)

    origin = Origin(serve(behave).url)
    client = Client(origin, SHORT)
    got = [client.exchange(request(origin)).failure for _ in range(6)]
    client.close()

    assert got == [""] * 6


def test_a_header_of_the_last_answer_can_be_asked_for(serve: Serve) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRETRY-after:\t 12 \r\nX: a:b\r\n\r\n"
    script = serve(lambda peer: [peer.send(answer) for answer in (busy, ANSWER) if peer.read_request()])
    origin = Origin(script.url)
    client = Client(origin, SHORT)
    assert client.answer_header(b"retry-after") == ""

    client.exchange(request(origin))
    asked = [client.answer_header(name) for name in (b"retry-after", b"x", b"missing")]
    client.exchange(request(origin))

    assert asked == ["12", "a:b", ""]
    assert client.answer_header(b"retry-after") == ""
    client.close()
    assert client.answer_header(b"content-type") == ""


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
