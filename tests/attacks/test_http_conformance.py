"""The mock reads HTTP/1.1 one way only: what two servers could read differently is refused, and the connection closed.

The forms are those of RFC 9112 (2.2, 3.2, 5, 6, 7.1) that request smuggling is made of.
"""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from convload.mock.process import MockProcess, start_mock
from convload.plan.mock_behaviour import Behaviour

TIMEOUT_S = 20
STATS = b"/__mock__/stats"
HOST = b"Host: m\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: m\r\n\r\n"
"""Comes behind each refused request; it must never be answered."""


def get(*lines: bytes, target: bytes = STATS, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET %b %b\r\n%b\r\n" % (target, version, b"".join(lines))


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /x %b\r\n%b%b\r\n%b" % (version, HOST, b"".join(lines), body)


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body=body)


EMPTY_CHUNKED = b"0\r\n\r\n"

REFUSED = {
    "no Host": get(),
    "two hosts": get(HOST, b"Host: n\r\n"),
    "the same host twice": get(HOST, HOST),
    "two hosts, other case": get(HOST, b"hOST: n\r\n"),
    "two hosts, far apart": get(HOST, *[b"X-%d: 1\r\n" % n for n in range(40)], b"Host: n\r\n"),
    "two hosts in HTTP/1.0": get(HOST, HOST, version=b"HTTP/1.0"),
    "a host with a space": get(b"Host: a b\r\n"),
    "a list of hosts": get(b"Host: a, b\r\n"),
    "a host with a path": get(b"Host: a/b\r\n"),
    "a host with a user": get(b"Host: u@a\r\n"),
    "a host with a port that is none": get(b"Host: a:8x\r\n"),
    "a host with two ports": get(b"Host: a:8:8\r\n"),
    "absolute form, other host": get(HOST, target=b"http://other" + STATS),
    "absolute form, other port": get(HOST, target=b"http://m:81" + STATS),
    "absolute form, with a user": get(HOST, target=b"http://u@m" + STATS),
    "absolute form, no host": get(HOST, target=b"http://" + STATS),
    "absolute form, other scheme": get(HOST, target=b"ftp://m" + STATS),
    "a target without a slash": get(HOST, target=b"stats"),
    "the whole server, asked with GET": get(HOST, target=b"*"),
    "a fragment": get(HOST, target=STATS + b"#here"),
    "a control character in the target": get(HOST, target=b"/\x01"),
    "length and chunked": post(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", body=EMPTY_CHUNKED),
    "chunked and length": post(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", body=EMPTY_CHUNKED),
    "two lengths": post(b"Content-Length: 1\r\n", b"Content-Length: 2\r\n", body=b"ab"),
    "a list of lengths": post(b"Content-Length: 2, 3\r\n", body=b"abc"),
    "a length with a sign": post(b"Content-Length: +2\r\n", body=b"ab"),
    "a length below zero": post(b"Content-Length: -2\r\n", body=b"ab"),
    "a length in hexadecimal": post(b"Content-Length: 0x2\r\n", body=b"ab"),
    "a length with a space within": post(b"Content-Length: 1 1\r\n", body=b"12345678901"),
    "an empty length": post(b"Content-Length:\r\n"),
    "a length that no number holds": post(b"Content-Length: 99999999999999999999999\r\n"),
    "a length behind a space": post(b"Content-Length : 2\r\n", body=b"ab"),
    "chunked is not the last coding": post(b"Transfer-Encoding: chunked, gzip\r\n", body=EMPTY_CHUNKED),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked\r\n", body=EMPTY_CHUNKED),
    "chunked in two lines": post(*[b"Transfer-Encoding: chunked\r\n"] * 2, body=EMPTY_CHUNKED),
    "nearly chunked": post(b"Transfer-Encoding: xchunked\r\n", body=EMPTY_CHUNKED),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"\r\n', body=EMPTY_CHUNKED),
    "chunked behind a control character": post(b"Transfer-Encoding: \x0bchunked\r\n", body=EMPTY_CHUNKED),
    "an empty coding": post(b"Transfer-Encoding:\r\n"),
    "chunked in HTTP/1.0": post(b"Transfer-Encoding: chunked\r\n", body=EMPTY_CHUNKED, version=b"HTTP/1.0"),
    "an upgrade with both": post(
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    ),
    "an upgrade with two hosts": get(HOST, HOST, b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    "a folded line": get(HOST, b"X: a\r\n b\r\n"),
    "a folded line, tab": get(HOST, b"X: a\r\n\tb\r\n"),
    "a space before the first header": get(b" X: a\r\n", HOST),
    "a bare LF behind the request line": b"GET /x HTTP/1.1\n" + HOST + b"\r\n",
    "a bare LF behind a header": get(b"X: a\n", HOST),
    "a bare LF at the end": b"GET /x HTTP/1.1\r\n" + HOST + b"\n",
    "bare LFs alone": b"GET /x HTTP/1.1\nHost: m\n\n",
    "a bare CR in a value": get(HOST, b"X: a\rb\r\n"),
    "a NUL in a value": get(HOST, b"X: a\0b\r\n"),
    "a NUL in a name": get(HOST, b"X\0: a\r\n"),
    "a space before the colon": get(HOST, b"X : a\r\n"),
    "a tab before the colon": get(HOST, b"X\t: a\r\n"),
    "a space in a name": get(HOST, b"X Y: a\r\n"),
    "no name": get(HOST, b": a\r\n"),
    "no colon": get(HOST, b"X\r\n"),
    "a chunk size of letters": chunks(b"zz\r\n"),
    "no chunk size": chunks(b"\r\n\r\n"),
    "a chunk size below zero": chunks(b"-1\r\n"),
    "a chunk size with 0x": chunks(b"0x2\r\nab\r\n0\r\n\r\n"),
    "a chunk size with a space": chunks(b"2 \r\nab\r\n0\r\n\r\n"),
    "a chunk size that no number holds": chunks(b"fffffffffffffffff1\r\nab\r\n0\r\n\r\n"),
    "a bare LF behind a chunk size": chunks(b"2\nab\r\n0\r\n\r\n"),
    "a bare LF behind a chunk": chunks(b"2\r\nab\n0\r\n\r\n"),
    "a bare LF in a chunk extension": chunks(b"2;a\nb\r\nab\r\n0\r\n\r\n"),
    "a bare CR in a chunk extension": chunks(b"2;a\rb\r\nab\r\n0\r\n\r\n"),
    "a chunk that is too long": chunks(b"2\r\nabc\r\n0\r\n\r\n"),
    "a chunk without an end": chunks(b"2\r\nab0\r\n\r\n"),
    "a length in the trailer": chunks(b"0\r\nContent-Length: 5\r\n\r\n"),
    "a bare LF in the trailer": chunks(b"0\r\nX: a\n\r\n"),
    "no version": b"GET /x\r\n\r\n",
    "a version in small letters": get(HOST, version=b"http/1.1"),
    "a version with a tail": get(HOST, version=b"HTTP/1.1x"),
    "a space behind the version": get(HOST, version=b"HTTP/1.1 "),
    "tabs in the request line": b"GET\t/x\tHTTP/1.1\r\n" + HOST + b"\r\n",
    "a space before the method": b" " + get(HOST),
    "a method in small letters": b"get /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS where there is none": b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
}

OTHERWISE = {
    "a coding nobody knows": (post(b"Transfer-Encoding: gzip, chunked\r\n", body=EMPTY_CHUNKED), b"501"),
    "HTTP/2.0": (get(HOST, version=b"HTTP/2.0"), b"505"),
    "HTTP/2.0 that is to stay": (get(HOST, b"Connection: keep-alive\r\n", version=b"HTTP/2.0"), b"505"),
    "a proxy": (b"CONNECT m:80 HTTP/1.1\r\n" + HOST + b"\r\n", b"501"),
    "a length over the limit": (post(b"Content-Length: 9999999999999999999\r\n"), b"413"),
}

ACCEPTED = {
    "one host": get(HOST),
    "a host in any case": get(b"hOsT: M.example\r\n"),
    "a host with a port": get(b"Host: m:8080\r\n"),
    "an IPv6 host": get(b"Host: [::1]:8080\r\n"),
    "an empty host": get(b"Host:\r\n"),
    "HTTP/1.0 without a host": get(version=b"HTTP/1.0"),
    "absolute form, its own host": get(HOST, target=b"http://m" + STATS),
    "absolute form, in any case": get(HOST, target=b"HTTP://M" + STATS),
    "an empty line before": b"\r\n" + get(HOST),
    "another header twice": get(HOST, b"Accept: a\r\nAccept: b\r\n"),
    "spaces around a value": get(b"Host: \t m \t\r\n"),
}


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProcess]:
    with start_mock(Behaviour(auth=False)) as one:
        yield one


def converse(mock: MockProcess, raw: bytes) -> bytes:
    """Sends, ends sending, and returns all that comes until the mock closes."""
    with socket.create_connection(("127.0.0.1", urlsplit(mock.url).port), TIMEOUT_S) as sock:
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def statuses(answers: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d\d\d) ", answers)


def assert_refused(answers: bytes, status: bytes) -> None:
    assert statuses(answers) == [status]
    assert b"\r\nConnection: close\r\n" in answers


@pytest.mark.parametrize("form", REFUSED)
def test_what_can_be_read_two_ways_is_refused_and_ends_the_connection(mock: MockProcess, form: str) -> None:
    assert_refused(converse(mock, REFUSED[form] + SMUGGLED), b"400")


@pytest.mark.parametrize("form", OTHERWISE)
def test_what_the_mock_cannot_do_is_refused_by_its_own_status(mock: MockProcess, form: str) -> None:
    raw, status = OTHERWISE[form]

    assert_refused(converse(mock, raw + SMUGGLED), status)


@pytest.mark.parametrize("form", ACCEPTED)
def test_what_is_plain_http_is_answered(mock: MockProcess, form: str) -> None:
    assert statuses(converse(mock, ACCEPTED[form])) == [b"200"]


def test_each_refusal_is_the_same_behind_a_good_request(mock: MockProcess) -> None:
    for raw in REFUSED.values():
        assert statuses(converse(mock, get(HOST) + raw + SMUGGLED)) == [b"200", b"400"]


def test_a_trailer_is_no_header(mock: MockProcess) -> None:
    two = chunks(b"0\r\nHost: n\r\nAuthorization: x\r\n\r\n") + get(HOST)

    assert statuses(converse(mock, two)) == [b"404", b"200"]
