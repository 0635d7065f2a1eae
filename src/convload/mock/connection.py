"""One connection: bytes in, requests out to the application, replies back in order; and what all of them share."""

import asyncio
import socket
import struct
from collections import deque
from functools import partial

import httptools
import msgspec

from convload.mock.messages import (
    CLOSE,
    CONTINUE,
    KEEP_ALIVE,
    ConnectionLimits,
    Encoder,
    Head,
    Reply,
    Request,
    Respond,
    Traffic,
    fault_of,
    header_reader,
    refusal,
)

MAX_HEAD_BYTES = 65_536
"""Limit of request line and headers. Two tokens take about 1 KB; servers commonly allow 8 to 64 KiB."""

READ_BYTES = 262_144
"""uvloop reads at most 256,000 bytes at once."""

MAX_WAITING = 64
"""Pipelined replies that may wait on one connection before it is no longer read."""

LINGER_S = 2.0
"""How long a closed connection is still read, so that the last reply is not lost to a reset by the kernel."""

CHECKS = 4
"""How often within the shorter timeout a connection is looked at; a timeout is late by up to one check."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _Waiting(msgspec.Struct):
    """A reply that waits for its time, or for the replies before it."""

    payload: bytes
    closes: bool = False
    resets: bool = False
    ripe: bool = True


class Connection(asyncio.Protocol):
    """The state machine of one connection; httptools calls the `on_…` methods.

    A request that ends the connection (refused, `Connection: close`, reset) sets `_ended`: what comes after it
    is read and thrown away. Its reply goes out after all replies before it, then the connection is closed.
    """

    _transport: asyncio.Transport
    _watch: asyncio.TimerHandle

    def __init__(self, site: "Site", *, tls: bool) -> None:
        self._site = site
        self._tls = tls
        self._traffic = site.traffic
        self._read_headers: dict[bytes, bytes] = {}
        self._repeated: list[bytes] = []
        self.on_header = header_reader(self._read_headers, self._repeated)
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[_Waiting] = deque()
        self._url = self._host = b""
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._body_bytes = self._chunk_bytes = self._head_bytes = 0
        self._in_head = self._in_request = self._upgrades = False
        self._ended = self._half_closed = self._read_stopped = self._write_blocked = False
        self._quiet_checks = 0

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Joins the site."""
        site = self._site
        self._transport = transport  # type: ignore[assignment]  # a stream server makes these
        site.connections.add(self)
        site.empty.clear()
        site.traffic.connections_total += 1
        site.traffic.connections_open += 1
        self._watch = site.loop.call_later(site.check_every_s, self._check_time)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Leaves the site; replies that wait are dropped."""
        site = self._site
        site.connections.discard(self)
        site.traffic.connections_open -= 1
        if not site.connections:
            site.empty.set()
        self._watch.cancel()
        self._ended = True
        self._waiting.clear()
        # The parser holds our bound methods: a cycle that would wait for the garbage collector.
        self._parser = None

    def data_received(self, data: bytes) -> None:
        """Takes the next bytes, split anywhere."""
        self._traffic.bytes_received += len(data)
        if not self._ended:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._chunk_bytes = size = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self._report(error)
        except httptools.HttpParserError as error:
            self._refuse(400, f"malformed HTTP: {error}")
        if self._in_head:
            # The read in which the head began may hold earlier requests, but no read is longer than READ_BYTES.
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES + READ_BYTES:
                self._refuse_head()

    def eof_received(self) -> bool:
        """Keeps a half-closed connection until its replies are out; TLS cannot be half closed."""
        if not self._waiting or self._tls:
            return False
        self._ended = self._half_closed = True
        self._waiting[-1].closes = True
        return True

    def pause_writing(self) -> None:
        """Takes no more requests from a client that does not read its replies."""
        self._write_blocked = True
        self._stop_reading()

    def resume_writing(self) -> None:
        """Goes on once the replies have gone out."""
        self._write_blocked = False
        self._quiet_checks = 0
        self._read_on()

    # The parser's side

    def on_message_begin(self) -> None:
        """Starts the time that a request may take."""
        self._in_head = self._in_request = True
        self._head_bytes = 0
        self._quiet_checks = 0

    def on_url(self, piece: bytes) -> None:
        """Takes a piece of the request target."""
        self._url += piece

    def on_headers_complete(self) -> None:
        """Refuses by the head what need not be read further."""
        self._in_head = False
        if self._ended:
            return
        self._headers = headers = self._read_headers.copy()
        length = headers.get(b"content-length")
        # What came since the head began bounds its length, so most heads are never measured.
        if self._head_bytes + self._chunk_bytes > MAX_HEAD_BYTES < _head_bytes(self._url, headers):
            self._refuse_head()
        elif length is not None and int(length) > self._site.limits.max_body_bytes:
            self._refuse_body()
        elif not self._is_plain(headers) and (fault := fault_of(self._head())):
            self._refuse(*fault)
        elif b"expect" in headers:
            self._meet_expectation(headers[b"expect"])
        self._read_headers.clear()
        self._upgrades = self._parser.should_upgrade()

    def _is_plain(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a head is like the one before in all that could be wrong with it, as nearly all are."""
        return (
            headers.get(b"host") == self._host
            and self._url[:1] == b"/"
            and b"#" not in self._url
            and not self._repeated
            and b"transfer-encoding" not in headers
            and b"connection" not in headers
        )

    def _head(self) -> Head:
        parser, headers, repeated = self._parser, self._headers, frozenset(self._repeated)
        self._repeated.clear()
        self._host = headers.get(b"host", b"")
        return Head(parser.get_method(), self._url, parser.get_http_version(), headers, repeated)

    def on_body(self, piece: bytes) -> None:
        """Takes a piece of the body, however it was framed."""
        if self._ended:
            return
        self._pieces.append(piece)
        self._body_bytes += len(piece)
        if self._body_bytes > self._site.limits.max_body_bytes:
            self._refuse_body()

    def on_message_complete(self) -> None:
        """Hands the request on."""
        self._in_request = False
        if self._ended or self._upgrades:
            return
        parser = self._parser
        method = parser.get_method()
        request = Request(method, self._url, self._headers, b"".join(self._pieces))
        self._url = b""
        self._pieces.clear()
        self._body_bytes = 0
        self._read_headers.clear()  # trailers, which mean nothing here
        reply = self._site.respond(request)
        if parser.should_keep_alive():
            # HTTP/1.0 must be informed that the connection stays.
            self._reply(reply, method, KEEP_ALIVE if b"connection" in self._headers else b"")
        else:
            self._reply(reply, method, CLOSE)

    # Replies

    def _reply(self, reply: Reply, method: bytes, connection: bytes) -> None:
        payload = self._site.encoder.encode(reply, connection, method)
        later = reply.delay_s or reply.visit or reply.stalls
        if not (later or self._waiting or reply.resets or connection is CLOSE):
            self._write(payload)
            return
        self._ended = reply.resets or connection is CLOSE
        waiting = _Waiting(payload, connection is CLOSE, reply.resets, not later)
        self._enqueue(waiting)
        if reply.stalls:
            return
        if reply.visit is not None:
            reply.visit.on_done = partial(self._ripen, waiting)
        elif reply.delay_s:
            self._site.loop.call_later(reply.delay_s, self._ripen, waiting)

    def _write(self, payload: bytes) -> None:
        self._traffic.bytes_sent += len(payload)
        self._transport.write(payload)

    def _enqueue(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._flush()
        if len(self._waiting) > MAX_WAITING:
            self._stop_reading()

    def _ripen(self, waiting: _Waiting) -> None:
        waiting.ripe = True
        self._flush()

    def _flush(self) -> None:
        """Writes the replies that are ripe, as far as none before them is not."""
        waiting = self._waiting
        while waiting and waiting[0].ripe:
            first = waiting.popleft()
            if first.resets:
                self._reset()
                return
            self._write(first.payload)
            self._quiet_checks = 0
            if first.closes:
                self._finish()
                return
        self._read_on()

    def _stop_reading(self) -> None:
        if not self._read_stopped and not self._transport.is_closing():
            self._read_stopped = True
            self._transport.pause_reading()

    def _read_on(self) -> None:
        may = self._read_stopped and not self._write_blocked and len(self._waiting) <= MAX_WAITING
        if may and not self._transport.is_closing():
            self._read_stopped = False
            self._transport.resume_reading()

    def _refuse(self, status: int, why: str) -> None:
        """Answers a request that breaks HTTP or a limit, and ends the connection."""
        if self._ended:
            return
        self._ended = True
        refused = self._site.traffic.refused
        refused[status] = refused.get(status, 0) + 1
        self._enqueue(_Waiting(self._site.encoder.encode(refusal(status, why), CLOSE, b""), closes=True))

    def _refuse_head(self) -> None:
        self._refuse(431, f"request line and headers are longer than {MAX_HEAD_BYTES} bytes")

    def _refuse_body(self) -> None:
        self._refuse(413, f"the body is longer than {self._site.limits.max_body_bytes} bytes")

    def _report(self, error: Exception) -> None:
        """Answers 500 where our own code failed, and reports it to the operator."""
        context = {"message": "the mock failed on a request", "exception": error.__context__ or error}
        self._site.loop.call_exception_handler(context)
        self._refuse(500, "the mock failed on this request; its standard error says why")

    def _meet_expectation(self, expected: bytes) -> None:
        if expected.lower() != b"100-continue":
            self._refuse(417, "the only expectation that can be met is 100-continue")
        elif self._parser.get_http_version() == "1.1":
            self._enqueue(_Waiting(CONTINUE))

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Reads the request again without its Upgrade header, which a server may ignore (RFC 9110, 7.8).

        The parser takes what follows such a head for another protocol, so its body would be lost.
        """
        if self._ended:
            return
        method = self._parser.get_method()
        hop = (b"upgrade", b"connection", b"expect")
        lines = [b"%b: %b\r\n" % item for item in self._headers.items() if item[0] not in hop]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._url, b"".join(lines))
        self._url = b""
        self._parser = httptools.HttpRequestParser(self)
        self._parse(head + rest)

    # The end

    def shut_down(self) -> None:
        """Closes after the replies that are owed."""
        self._ended = True
        if self._waiting:
            self._waiting[-1].closes = True
        else:
            self._transport.close()

    def abort(self) -> None:
        """Drops the connection and what is owed on it."""
        self._transport.abort()

    def _finish(self) -> None:
        """Says that nothing more comes, then waits a little for the client to close.

        Closing with unread bytes makes the kernel send a reset, which can overtake the last reply.
        """
        if self._tls or self._half_closed:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._read_on()
            self._watch.cancel()
            self._watch = self._site.loop.call_later(LINGER_S, self._transport.abort)

    def _reset(self) -> None:
        if not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def _check_time(self) -> None:
        """Ends a connection whose client is too slow or too quiet.

        Time is counted in checks, so that no request has to ask for it.
        """
        site = self._site
        self._watch = site.loop.call_later(site.check_every_s, self._check_time)
        if self._waiting and not self._write_blocked:
            return  # it is the client that waits
        quiet_s = self._quiet_checks * site.check_every_s
        self._quiet_checks += 1
        if self._in_request and not self._write_blocked:
            if quiet_s >= site.limits.read_timeout_s:
                self._refuse(408, f"no whole request within {site.limits.read_timeout_s:g} s")
        elif quiet_s >= site.limits.idle_timeout_s:
            self._transport.abort()


def _head_bytes(target: bytes, headers: dict[bytes, bytes]) -> int:
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers.items())


class Site:
    """What all connections of one server share. `empty` is set while there is none."""

    def __init__(
        self, respond: Respond, limits: ConnectionLimits, traffic: Traffic, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.respond, self.limits, self.traffic, self.loop = respond, limits, traffic, loop
        self.check_every_s = min(limits.read_timeout_s, limits.idle_timeout_s) / CHECKS
        self.encoder = Encoder()
        self.connections: set[Connection] = set()
        self.empty = asyncio.Event()
        self.empty.set()
