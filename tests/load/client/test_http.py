"""What an answer says, in every way to frame it, whole and broken."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.load.conftest import ANSWER, BODY, SHORT, Peer, Script, answers, exchange_once, request

from convload.load.client.http import Client, Limits
from convload.load.client.origin import Origin
from convload.load.client.reading import MOST_TELLING, telling_headers

Serve = Callable[..., Script]


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


def test_a_close_after_the_first_answer_says_that_the_connection_was_used_before(serve: Serve) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.send(WHOLE_ANSWERS["lower-case"])
        peer.read_request()

    origin = Origin(serve(behave).url)
    client = Client(origin, SHORT)
    first, second = (client.exchange(request(origin)) for _ in range(2))
    client.close()

    assert first.failure == ""
    assert second.detail == "closed without an answer, on a connection that had been used before"


def test_a_reset_is_told_from_an_answer(serve: Serve) -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        peer.reset()

    assert exchange_once(serve(behave)).failure == "reset"


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


LIMITED = (
    b"HTTP/1.1 429 Slow\r\nServer: edge/1 \r\nRETRY-After: 3\r\nX-RateLimit-Remaining: 0\r\nX-Amzn-RequestId: r-1\r\n"
    b"Set-Cookie: session=1\r\nX-Other: no\r\nContent-Length: %d\r\n\r\nserver: of the body"
)
TELLING = (("server", "edge/1"), ("retry-after", "3"), ("x-ratelimit-remaining", "0"), ("x-amzn-requestid", "r-1"))


@pytest.mark.parametrize("length", [19, 20], ids=["whole", "half"])
def test_an_answer_has_the_headers_that_tell_of_its_cause_also_where_it_ends_early(serve: Serve, length: int) -> None:
    origin = Origin(serve(answers(LIMITED % length)).url)
    client = Client(origin, SHORT)
    failed = client.exchange(request(origin)).failure

    assert (failed, telling_headers(client.answer_head())) == ("" if length == 19 else "read_timeout", TELLING)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"HTTP/1.1 503 Busy\r\nServer: cut", 0),
        (b"HTTP/1.1 503 Busy\r\n" + b"Server: x\r\n" * 99 + b"Content-Length: 0\r\n\r\n", MOST_TELLING),
    ],
)
def test_headers_are_bounded_in_number_and_none_is_half_of_one(serve: Serve, answer: bytes, kept: int) -> None:
    origin = Origin(serve(answers(answer)).url)
    client = Client(origin, SHORT)
    client.exchange(request(origin))

    assert len(telling_headers(client.answer_head())) == kept
