import json
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ACCOUNT = "12345678"
CREATE = f"/api/account/{ACCOUNT}/messaging/consumer/conversation?v=3"
DOMAIN = f"/api/account/{ACCOUNT}/service/idp/baseURI.json?version=1.0"
STATS = "/__mock__/stats"
BODY = json.dumps(
    [
        {"kind": "req", "id": "1,", "type": "userprofile.SetUserProfile", "body": {}},
        {"kind": "req", "id": "2,", "type": "cm.ConsumerRequestConversation", "body": {"brandId": ACCOUNT}},
    ]
).encode()

Serve = Callable[..., Any]
Connect = Callable[[Any], Any]
Message = Callable[..., bytes]


@pytest.fixture
def mock(serve: Serve) -> Any:
    return serve(auth=False)


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    framed = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    head = f"POST {CREATE} HTTP/1.1\r\nHost: mock\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + framed + b"0\r\n" + trailer + b"\r\n"


def normal(answer: tuple[int, dict[str, str], bytes]) -> Any:
    """An answer without what differs each time."""
    status, headers, body = answer
    return status, {k: v for k, v in headers.items() if k != "date"}, re.sub(rb"[0-9a-f-]{36}", b"ID", body)


KINDS = {
    "create": (f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY, 200),
    "chunked": (chunked(BODY[:7], BODY[7:], trailer=b"X-Trailer: 1\r\n"), 200),
    "refused": (f"POST {CREATE} HTTP/1.1\r\nhost: m\r\ncontent-length: 2\r\n\r\n[]".encode(), 400),
    "get": (f"GET {DOMAIN} HTTP/1.1\r\nHOST: m\r\n\r\n".encode(), 200),
    "keep": (f"GET {DOMAIN} HTTP/1.0\r\nHost: m\r\nConnection: keep-alive\r\n\r\n".encode(), 200),
    "nowhere": (b"DELETE /nowhere HTTP/1.1\r\nHost: m\r\n\r\n", 404),
    "method": (f"GET {CREATE} HTTP/1.1\r\nHost: m\r\n\r\n".encode(), 405),
    "upgrade": (
        f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        f"HTTP2-Settings: AAMA\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
        + BODY,
        200,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_answered_the_same_whole_in_single_bytes_and_pipelined(
    mock: Any, wire: Connect, kind: str
) -> None:
    raw, status = KINDS[kind]
    whole = normal(wire(mock).send(raw).answer())
    in_bytes = normal(wire(mock).send(*(raw[n : n + 1] for n in range(len(raw)))).answer())
    pipeline = wire(mock).send(raw * 5)

    assert whole[0] == status
    assert in_bytes == whole
    assert [normal(pipeline.answer()) for _ in range(5)] == [whole] * 5


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8), st.data())
def test_any_pipeline_cut_anywhere_is_answered_in_order(mock: Any, wire: Connect, kinds: list[str], data: Any) -> None:
    raw = b"".join(KINDS[kind][0] for kind in kinds)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=6)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    assert wire(mock).send(*pieces).statuses(len(kinds)) == [KINDS[kind][1] for kind in kinds]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=4), st.data())
def test_no_bytes_whatever_make_it_fail(
    serve: Serve, wire: Connect, kind: str, changes: list[tuple[int, int]], data: Any
) -> None:
    mock = serve(auth=False)
    raw = bytearray(KINDS[kind][0])
    for place, byte in changes:
        raw[place % len(raw)] = byte
    raw = raw[data.draw(st.integers(0, 3)) : data.draw(st.integers(1, len(raw)))]
    connection = wire(mock).send(bytes(raw) + b"\r\n\r\n")
    connection.sock.shutdown(socket.SHUT_WR)

    assert b"HTTP/1.1 500" not in connection.rest()
    assert "500" not in mock.stats()["refused_http"]


def test_an_answer_says_when_how_long_and_what(mock: Any, wire: Connect, message: Message) -> None:
    status, headers, body = wire(mock).send(message("POST", CREATE, BODY)).answer()

    assert status == 200
    assert headers.keys() == {"date", "content-type", "content-length"}
    assert headers["content-type"] == "application/json;charset=utf-8"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["date"])
    assert json.loads(body)


def test_a_connection_is_kept_for_many_requests(mock: Any, wire: Connect, message: Message) -> None:
    connection = wire(mock)
    for _ in range(50):
        assert connection.send(message("POST", CREATE, BODY)).answer()[0] == 200


def test_connection_close_is_answered_and_obeyed(mock: Any, wire: Connect, message: Message) -> None:
    connection = wire(mock).send(message("POST", CREATE, BODY, "Connection: close"))

    assert connection.answer()[1]["connection"] == "close"
    assert connection.rest() == b""


def test_what_follows_a_close_is_not_looked_at(mock: Any, wire: Connect, message: Message) -> None:
    before = mock.stats()["create"]["received"]
    connection = wire(mock).send(message("POST", CREATE, BODY, "Connection: close") + message("POST", CREATE, BODY))

    assert connection.answer()[0] == 200
    assert connection.rest() == b""
    assert mock.stats()["create"]["received"] == before + 1


def test_http_1_0_is_closed_unless_asked_to_stay(mock: Any, wire: Connect, message: Message) -> None:
    connection = wire(mock).send(message("GET", DOMAIN, version="1.0"))
    assert connection.answer()[0] == 200
    assert connection.rest() == b""

    staying = wire(mock)
    for _ in range(2):
        _, headers, _ = staying.send(message("GET", DOMAIN, b"", "Connection: keep-alive", version="1.0")).answer()
        assert headers["connection"] == "keep-alive"


def test_head_has_the_length_but_not_the_body(mock: Any, wire: Connect, message: Message) -> None:
    connection = wire(mock)
    length = connection.send(message("GET", DOMAIN)).answer()[1]["content-length"]
    status, headers, _ = connection.send(message("HEAD", DOMAIN)).answer(has_body=False)

    assert (status, headers["content-length"]) == (200, length)
    assert connection.send(message("GET", DOMAIN)).answer()[0] == 200


def test_a_wrong_method_gets_the_allowed_ones(mock: Any, wire: Connect, message: Message) -> None:
    connection = wire(mock).send(message("PUT", CREATE, BODY) + message("HEAD", CREATE))

    assert connection.answer()[1]["allow"] == "POST"
    assert connection.answer(has_body=False)[0] == 405


def test_a_client_that_waits_for_100_is_told_to_go_on(mock: Any, wire: Connect) -> None:
    head = f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nExpect: 100-Continue\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    connection = wire(mock).send(head)

    assert connection.answer() == (100, {}, b"")
    assert connection.send(BODY).answer()[0] == 200


def test_the_go_on_keeps_its_place_behind_earlier_answers(serve: Serve, wire: Connect, message: Message) -> None:
    head = f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    connection = wire(serve(auth=False, service_time="constant(50ms)")).send(message("POST", CREATE, BODY) + head)

    assert [connection.answer()[0], connection.answer()[0]] == [200, 100]
    assert connection.send(BODY).answer()[0] == 200


def test_an_http_1_0_client_is_never_sent_a_100(mock: Any, wire: Connect, message: Message) -> None:
    raw = message("POST", CREATE, BODY, "Expect: 100-continue", version="1.0")

    assert wire(mock).send(raw).answer()[0] == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"FETCH / HTTP/1.1\r\nHost: m\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost m\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: m\r\nX : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: m\r\nExpect: a-miracle\r\nContent-Length: 5\r\n\r\n", 417),
        (b"CONNECT other:443 HTTP/1.1\r\nHost: m\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 1048577\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: m\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: m\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: m\r\nX: " + b"x" * 700_000, 431),
    ],
)
def test_what_is_not_proper_http_is_refused_and_the_connection_closed(
    mock: Any, wire: Connect, raw: bytes, status: int
) -> None:
    connection = wire(mock).send(raw)
    answered, headers, body = connection.answer()

    assert (answered, headers["connection"]) == (status, "close")
    assert json.loads(body)["error"]
    assert connection.rest() == b""


def test_a_refusal_of_http_waits_for_the_answers_before_it(serve: Serve, wire: Connect, message: Message) -> None:
    mock = serve(auth=False, service_time="constant(50ms)")
    connection = wire(mock).send(message("POST", CREATE, BODY) * 2 + b"rubbish\r\n\r\n")

    assert connection.statuses(3) == [200, 200, 400]
    assert connection.rest() == b""


def test_a_body_is_refused_once_it_is_too_long_however_it_is_framed(serve: Serve, wire: Connect) -> None:
    mock = serve(auth=False, max_body_bytes=1000)
    before = mock.stats()

    assert wire(mock).send(chunked(b" " * 600, b" " * 600)).answer()[0] == 413
    assert wire(mock).send(chunked(b" " * 600, b"1" * 400)).answer()[0] == 400
    assert mock.stats()["refused_http"]["413"] == before["refused_http"].get("413", 0) + 1


def test_the_answer_413_reaches_a_client_that_goes_on_sending(mock: Any, wire: Connect) -> None:
    connection = wire(mock)
    connection.send(f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nContent-Length: 9000000\r\n\r\n".encode())
    connection.send(b"x" * 3_000_000)

    assert connection.answer()[0] == 413


def test_nothing_refused_by_http_counts_as_a_create(mock: Any, wire: Connect) -> None:
    before = mock.stats()["create"]
    wire(mock).send(f"POST {CREATE} HTTP/1.1\r\n\r\n".encode()).rest()
    partial = wire(mock).send(f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n[".encode())
    partial.sock.close()

    assert mock.stats()["create"] == before


def test_a_half_closed_client_still_gets_its_answers(serve: Serve, wire: Connect, message: Message) -> None:
    connection = wire(serve(auth=False, service_time="constant(50ms)")).send(message("POST", CREATE, BODY) * 3)
    connection.sock.shutdown(socket.SHUT_WR)

    assert connection.statuses(3) == [200] * 3
    assert connection.rest() == b""


def test_answers_stay_in_order_when_only_some_are_slow(serve: Serve, wire: Connect, message: Message) -> None:
    pipeline = message("GET", DOMAIN) + message("POST", CREATE, BODY) + message("GET", DOMAIN) + message("GET", "/x")
    connection = wire(serve(auth=False, service_time="constant(50ms)")).send(pipeline)
    bodies = [connection.answer()[2] for _ in range(4)]

    assert [b"baseURI" in body for body in bodies] == [True, False, True, False]
    assert b"conversationId" in bodies[1]


def send_until_stuck(sock: socket.socket, piece: bytes) -> int:
    sent_bytes = 0
    with suppress(TimeoutError):
        while sent_bytes < 200_000_000:
            sent_bytes += sock.send(piece)
        pytest.fail("the mock reads on and on")
    return sent_bytes


def test_a_client_that_does_not_read_is_not_read_either(mock: Any, wire: Connect, message: Message) -> None:
    sock = wire(mock).sock
    sock.settimeout(0.3)
    request = message("GET", STATS)
    sent_bytes = send_until_stuck(sock, request * 1000)
    sock.settimeout(10)
    answered, tail = 0, b""
    while answered < sent_bytes // len(request):
        piece = sock.recv(1_000_000)
        assert piece
        answered += (tail + piece).count(b"HTTP/1.1 200 OK")
        tail = (tail + piece)[-14:]

    assert answered == sent_bytes // len(request)


def test_many_slow_answers_on_one_connection_stop_the_reading_until_they_are_out(
    serve: Serve, wire: Connect, message: Message
) -> None:
    connection = wire(serve(auth=False, service_time="constant(50ms)"))
    connection.send(*[message("POST", CREATE, BODY) * 50] * 10)

    assert connection.statuses(500) == [200] * 500


def test_a_slow_request_times_out_and_a_quiet_connection_is_closed(
    serve: Serve, wire: Connect, message: Message
) -> None:
    mock = serve(auth=False, read_timeout_s=0.3, idle_timeout_s=0.6)
    slow_head = wire(mock).send(b"G")
    slow_body = wire(mock).send(f"POST {CREATE} HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n[".encode())
    quiet = wire(mock)
    used = wire(mock).send(message("GET", DOMAIN))

    assert slow_head.answer()[0] == 408
    assert slow_body.answer()[0] == 408
    assert slow_body.rest() == b""
    assert used.answer()[0] == 200
    assert used.rest() == b""
    assert quiet.rest() == b""


def test_a_client_that_waits_for_a_slow_answer_is_not_timed_out(serve: Serve, wire: Connect, message: Message) -> None:
    mock = serve(auth=False, service_time="constant(900ms)", read_timeout_s=0.2, idle_timeout_s=0.2)

    assert wire(mock).send(message("POST", CREATE, BODY)).answer()[0] == 200


def test_a_reset_is_a_reset(serve: Serve, wire: Connect, message: Message) -> None:
    mock = serve(auth=False, reset_share=1.0)
    before = mock.stats()
    connection = wire(mock).send(message("GET", DOMAIN) + message("POST", CREATE, BODY) + message("GET", DOMAIN))
    with pytest.raises(ConnectionResetError):
        connection.rest()
    stats = mock.stats()

    assert stats["create"]["received"] == before["create"]["received"] + 1
    assert stats["domain"]["received"] == before["domain"]["received"] + 1
    assert stats["conversations"]["opened"] == 0


def test_an_answer_that_stalls_never_comes_though_the_work_is_done(
    serve: Serve, wire: Connect, message: Message
) -> None:
    mock = serve(auth=False, done_stall_share=1.0, idle_timeout_s=0.2)
    connection = wire(mock).send(message("POST", CREATE, BODY) + message("GET", DOMAIN))
    connection.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        connection.rest()

    assert mock.stats()["conversations"]["opened"] == 1


def test_delays_last_as_long_as_they_should(serve: Serve, wire: Connect, message: Message) -> None:
    connection = wire(serve(auth=False, service_time="constant(50ms)"))
    request = message("POST", CREATE, BODY)
    taken_s = []
    for _ in range(20):
        start_s = time.perf_counter()
        connection.send(request).answer()
        taken_s.append(time.perf_counter() - start_s)

    assert min(taken_s) > 0.0485  # the loop's timers count whole milliseconds
    assert sorted(taken_s)[len(taken_s) // 4] < 0.065  # a busy machine makes many of them longer


def test_connections_and_bytes_are_counted(serve: Serve, wire: Connect, message: Message) -> None:
    mock = serve(auth=False, seed=99)  # a mock that no other test talks to
    before = mock.stats()
    connections = [wire(mock) for _ in range(3)]
    request = message("POST", CREATE, BODY)
    for connection in connections:
        assert connection.send(request).answer()[0] == 200
    stats = mock.stats()

    # Besides the three there is the one that asks.
    assert stats["connections"]["open"] == 4
    assert stats["connections"]["total"] == before["connections"]["total"] + 4
    asking = before["bytes"]["received"]
    assert stats["bytes"]["received"] == asking + 3 * len(request) + asking
    assert stats["bytes"]["sent"] > before["bytes"]["sent"]
