"""A keep-alive HTTP/1.1 client for one user: gevent's event loop and llhttp's parser, nothing else.

Theory of operation
-------------------
A `Client` is one user's; it has one `_Connection` or none. Two greenlets meet in it: the user's, which writes a
request and waits, and the hub's, which reads whatever comes and parses it. A request costs one `send`, one `recv` and
one switch there and back. There is no lock: a greenlet gives way only in `_wait`, and the hub never gives way.

    none ──connect──▶ idle ──exchange──▶ waiting ──whole answer──▶ idle, or ended if it is the last one
     ▲                  │                   │
     │                  │                   └─ time-out, reset, no HTTP, too large ──▶ failed
     └──── close ───────┴─ the peer closes, or says what nobody asked for ──▶ ended

The state is in four fields. `_complete`: no answer is awaited. `_failure`: why there will be none. `usable`: another
request may be written. `_waiter`: the greenlet that sleeps in `_wait`, and nobody at any other time.

**Who may change what.** The user's greenlet alone opens, writes and starts an exchange, which sets `_complete` back.
The hub alone sets `_complete`, `_failure` and `_status` while an answer is awaited. Both may say that the connection is
not `usable` any more; nobody says that it is again, but a whole answer that keeps it alive.

**Why it cannot hang.** Who sleeps has set `_waiter`, sleeps in a loop whose condition is `_complete` or `_failure`, and
is woken after each change of them. One of them comes: the timer runs from before the first byte is written to after the
last one is read, through `_write_rest` too, and its callback sets `_failure`. The kernel cannot keep us either: the
socket does not block, and what it does not take at once is offered again when it is writable. To connect has a bound of
its own (`connect.py`), and only there another greenlet may be waited for, the resolver's.

**Why nothing is lost or sent twice.** A request is written once. Only where the kernel took no byte of it, for an idle
connection had ended meanwhile, it is written to a new one (`_Stale`): the server cannot have seen it. After the first
byte each exchange ends as exactly one `Exchange`, with a status or with a failure; `BaseException`, such as the kill at
the end of a run, closes the connection and goes on to the caller, who records it.

**Why no answer is taken for another's.** The read watcher is active for the connection's whole life, so the end of an
idle one is seen before the next request, and bytes that come while nothing is awaited close it. A second answer behind
a first one makes it unusable, as does whatever the parser refuses. A connection that failed is closed, never reused: a
late answer has nowhere to go.

**What is bounded:** time (`Limits`), the bytes of head and body, and the memory that all bodies share (`bodies.py`).
"""

import contextlib
import time
from typing import Any

import httptools
import msgspec
from gevent import get_hub, getcurrent

from convload.load.client.bodies import Body
from convload.load.client.connect import (
    READ_BYTES,
    READABLE,
    WRITABLE,
    RequestFailed,
    TlsFailed,
    open_connection,
)
from convload.load.client.heads import final_head, header
from convload.load.client.origin import Origin

FIRST_FINAL_STATUS = 200
MAX_BODY_BYTES = 16 * 1024 * 1024


class Limits(msgspec.Struct, frozen=True):
    """How long to wait and how much to take.

    `connect_timeout_s` bounds name, TCP and TLS together; `timeout_s` runs from the first byte written to the
    last one read. `max_bodies_bytes` bounds all bodies that are being read at once.
    """

    connect_timeout_s: float = 5.0
    timeout_s: float = 30.0
    max_head_bytes: int = 65536
    max_body_bytes: int = MAX_BODY_BYTES
    max_bodies_bytes: int = 16 * MAX_BODY_BYTES


class Exchange(msgspec.Struct, gc=False):
    """What became of one request: `failure` is empty and `status` set, or the other way round.

    `sent_s`, `first_s` (of the first byte of the answer) and `done_s` are readings of `time.monotonic`.
    """

    sent_s: float
    done_s: float
    status: int = 0
    body: bytes = b""
    failure: str = ""
    detail: str = ""
    first_s: float = 0.0
    new_connection: bool = False


class _Stale(Exception):  # noqa: N818 -- no error of anybody
    """The connection had ended before a byte of the request was written."""


class Client:
    """One user's connection to one origin: opened when it is needed, reopened when it has ended.

    Attributes:
        opened: how often it was.
        began_s: when the last exchange began.
    """

    __slots__ = ("_connection", "_limits", "_origin", "began_s", "opened")

    def __init__(self, origin: Origin, limits: Limits) -> None:
        self._origin = origin
        self._limits = limits
        self._connection: _Connection | None = None
        self.opened = 0
        self.began_s = 0.0

    def exchange(self, request: bytes) -> Exchange:
        """Writes one whole request and waits for its answer; never writes it twice."""
        sent_s = self.began_s = time.monotonic()
        try:
            status, body = self._attempt(request)
        except RequestFailed as failed:
            done_s = time.monotonic()
            if self._connection is not None:
                self._connection.close()  # and kept until the next one, for the headers of half an answer
            return Exchange(sent_s, done_s, 0, b"", failed.kind, failed.detail)
        except BaseException:
            self.close()
            raise
        done_s, used = time.monotonic(), self._connection
        if used is None:  # its answer was the last one, and so it was closed
            return Exchange(sent_s, done_s, status, body)
        return Exchange(sent_s, done_s, status, body, "", "", used.first_s, used.exchanges == 1)

    def _attempt(self, request: bytes) -> tuple[int, bytes]:
        if self._connection is not None and self._connection.usable:
            try:
                return self._connection.exchange(request)
            except _Stale:
                pass  # nothing was written, so writing it now is the first time
        self.connect()
        try:
            return self._connection.exchange(request)  # type: ignore[union-attr]  # connect has just set it
        except _Stale as stale:
            raise RequestFailed("reset", str(stale)) from stale

    def answer_header(self, name: bytes) -> str:
        """Returns a header of the last answer by its name in lower case, "" without one.

        Looked for when asked, in the bytes that are kept anyway, so that no other answer pays for it.
        """
        return "" if self._connection is None else header(self._connection.final_head, name)

    def answer_head(self) -> bytes:
        """Returns what begins with the head of the last answer, though it broke off later; b"" for half a head."""
        return b"" if self._connection is None else self._connection.answer_head()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that a request can be written to, as far as anybody knows."""
        return self._connection is not None and self._connection.usable

    def make_ready(self) -> None:
        """Opens the connection if there is none; a failure is left to the next exchange, which records it."""
        if not self.is_open:
            with contextlib.suppress(RequestFailed):
                self.connect()

    def connect(self) -> None:
        """Opens a new connection in place of the one there is."""
        self.close()
        self.opened += 1
        self._connection = _Connection(self._origin, self._limits)

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection:
    """One open connection and the answer that is being read from it; its `on_*` are called by the parser.

    Attributes:
        exchanges: how many requests were written to it.
        first_s: when the first byte of the last answer came, a reading of `time.monotonic`.
    """

    __slots__ = (
        *("_answer", "_body", "_complete", "_failure", "_head", "_hub", "_in_head", "_limits", "_parser", "_reader"),
        *("_sock", "_status", "_timer", "_tls", "_waiter", "exchanges", "first_s", "on_body", "usable"),
    )

    def __init__(self, origin: Origin, limits: Limits) -> None:
        self._limits = limits
        self._sock, self._tls = open_connection(origin, limits.connect_timeout_s)
        self._body = Body(limits.max_body_bytes, limits.max_bodies_bytes)
        self._answer = b""
        self.on_body = self._body.add  # called by the parser
        self._parser = httptools.HttpResponseParser(self)
        self._hub = get_hub()
        self._waiter: Any = None
        self.usable = True
        self.exchanges = 0
        self._complete, self._in_head = True, True
        self._failure: RequestFailed | None = None
        self._status, self._head, self.first_s = 0, b"", 0.0
        loop = self._hub.loop
        # Repeating, because `again` sets the full time anew where `start` would go on with what was left.
        self._timer = loop.timer(limits.timeout_s, limits.timeout_s)
        self._reader = loop.io(self._sock.fileno(), READABLE)
        self._reader.start(self._on_readable)

    def close(self) -> None:
        """Ends the connection; whoever waits for an answer is not woken."""
        self.usable = False
        if self._reader is not None:
            self._reader.close()
            self._reader = None
            self._timer.close()
            self._sock.close()
            self._body.take()

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Writes a request and waits for its answer: (status, body)."""
        self._complete = False
        self._failure = None
        self._status = 0
        self.first_s = 0.0
        self._head = b""
        self._in_head = True
        self.exchanges += 1
        self._timer.again(self._on_timeout)
        try:
            self._write(request if self._tls is None else self._tls.encrypt(request))
            while not self._complete and self._failure is None:
                self._wait()
        finally:
            self._timer.stop()
        if self._failure is not None:
            raise self._failure
        body, self._answer = self._answer, b""
        return self._status, body

    @property
    def final_head(self) -> bytes:
        """What has come of the head of the answer that was read last."""
        return final_head(self._head)

    def answer_head(self) -> bytes:
        """Returns what came with the head of the answer that was read last, b"" unless that is whole."""
        return self._head if self._status else b""

    def _wait(self) -> None:
        self._waiter = getcurrent()
        try:
            self._hub.switch()
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.switch()

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            written = self._sock.send(data)
            if written < len(data):
                self._write_rest(memoryview(data)[written:])
        except BlockingIOError:
            self._write_rest(memoryview(data))
        except OSError as error:
            if not written:
                raise _Stale(str(error)) from error

    def _write_rest(self, data: memoryview) -> None:
        """Writes on while the server reads.

        A server that refuses a large request answers before it has read it all and closes. Then writing fails,
        but what decides is the answer, or the reset, that the reader finds.
        """
        writable = self._hub.loop.io(self._sock.fileno(), WRITABLE)
        writable.start(self._wake)
        try:
            while data and not self._complete:
                self._wait()
                if self._failure is not None:
                    raise self._failure
                with contextlib.suppress(BlockingIOError):
                    data = data[self._sock.send(data) :]
            self.usable = self.usable and not data
        except OSError:
            return
        finally:
            writable.close()

    # -- called by the event loop, in the hub's greenlet --

    def _on_timeout(self) -> None:
        self._fail("read_timeout", f"no whole answer within {self._limits.timeout_s:g} s")
        self._wake()

    def _on_readable(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
            if self._tls is not None and data:
                data = self._decrypt(data)
                if not data:
                    return
        except BlockingIOError:
            return
        except (OSError, TlsFailed) as error:
            self._fail("reset", str(error))
        else:
            if self._complete:
                self.close()  # the idle connection was closed by the peer, or says what nobody asked for
            elif data:
                self._parse(data)
            else:
                self._at_end()
        if self._waiter is not None and (self._complete or self._failure is not None):
            self._waiter.switch()

    def _decrypt(self, data: bytes) -> bytes:
        assert self._tls is not None  # noqa: S101 -- the caller has looked
        self._tls.received(data)
        plain = self._tls.decrypt()
        if data := self._tls.to_send():  # what TLS itself has to say: a few bytes that fit the empty send buffer
            self._sock.send(data)
        if not plain and self._tls.ended:
            self._at_end()
            if self._complete or self._failure is not None:
                self._wake()
        return plain

    def _parse(self, data: bytes) -> None:
        if self._in_head:
            self.first_s = self.first_s or time.monotonic()
            self._head += data
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._complete:
                self._fail("malformed_http", str(error) or "the answer changes the protocol")
            self.usable = False
        if not self._complete:
            self._wait_for_more()

    def _wait_for_more(self) -> None:
        """Looks whether what is kept of half an answer is too much."""
        if self._in_head and len(self._head) > self._limits.max_head_bytes:
            self._fail("malformed_http", f"a head of more than {self._limits.max_head_bytes} bytes")
        elif too_much := self._body.keep():
            self._fail("malformed_http", too_much)

    def _at_end(self) -> None:
        """Takes the end of the stream, which is also the end of an answer that has no length."""
        self.usable = False
        if self._status and self._ends_with_the_stream:
            self._answer, self._complete = self._body.take(), True
        else:
            how = "closed in the middle of an answer" if self._head else "closed without an answer"
            self._fail("reset", how + ", on a connection that had been used before" * (self.exchanges > 1))

    @property
    def _ends_with_the_stream(self) -> bool:
        head = self.final_head.lower()
        return b"\ncontent-length:" not in head and b"\ntransfer-encoding:" not in head

    def _fail(self, kind: str, detail: str) -> None:
        self._failure = RequestFailed(kind, detail)
        self.usable = False

    # -- called by the parser --

    def on_message_begin(self) -> None:
        """Starts an answer; after a complete one it is one too many."""
        if self._complete:
            self.usable = False

    def on_headers_complete(self) -> None:
        """Takes the status."""
        if not self._complete:
            self._in_head = False
            self._status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        """Ends the answer, unless it is an interim one (1xx)."""
        if self._complete:
            return
        if self._status < FIRST_FINAL_STATUS:
            self._status, self._in_head = 0, True
            return
        self._answer, self._complete = self._body.take(), True
        self.usable = self._parser.should_keep_alive()
        if len(self._answer) > self._body.most_bytes:
            self._fail("malformed_http", self._body.too_large)
