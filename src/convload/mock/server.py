"""Runs the mock: one process, one event loop, until it is stopped."""

import asyncio
import gc
import ipaddress
import os
import resource
import secrets
import signal
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import msgspec
import uvloop

from convload.errors import UsageError
from convload.mock.access import AppCredentials
from convload.mock.api import Api
from convload.mock.connection import Connection, Site
from convload.mock.messages import ConnectionLimits, Traffic
from convload.mock.process import CREDENTIALS, Announcement, Serving
from convload.mock.waiting_line import Timekeeper, WaitingLine, station_of
from convload.plan.mock_behaviour import Behaviour

BACKLOG = 4096
STDIN = 0
GRACE_S = 1.0
"""How long replies that are owed may still take once the mock is to stop."""

MAX_REPORTS = 10
"""Failures of our own that are reported on standard error; a load test would repeat one a million times."""

_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- to be compared with


class ServerTls(msgspec.Struct, frozen=True):
    """How the server does TLS, and the file that clients verify it with where the mock has made it."""

    context: ssl.SSLContext | None = None
    ca_file: str | None = None


def run(serving: Serving, announce: Callable[[str], None]) -> None:
    """Serves until SIGTERM, SIGINT, or the end of standard input where that is asked for.

    `announce` is given one line of JSON, an `Announcement`, once the mock listens. Raises UsageError where it cannot
    listen, or its certificate cannot be used.
    """
    _raise_fd_limit()
    _open_standard_streams()
    # Requests leave no cycles behind, so collecting only costs time: what is here now is never looked at again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    with server_tls(serving) as tls, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(serving, tls, announce))


async def _run(serving: Serving, tls: ServerTls, announce: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if serving.until_stdin_closes:
        _stop_at_end_of_input(loop, stop)
    async with serve(serving, tls) as (token, url, *more):
        found = Announcement(url, os.getpid(), tls.ca_file, more[0] if more else None, token)
        announce(msgspec.json.encode(found).decode())
        await stop.wait()


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def read() -> None:
        if not os.read(STDIN, 4096):
            loop.remove_reader(STDIN)
            stop.set()

    try:
        loop.add_reader(STDIN, read)
    except OSError:  # nothing holds it open: a file, or /dev/null
        stop.set()


@asynccontextmanager
async def serve(serving: Serving, tls: ServerTls) -> AsyncIterator[list[str]]:
    """Listens, yields its token and the base URL of each port; at the end gives what is owed a moment to go out.

    The token, without which it does not say what it has seen, is empty where nobody but this machine reaches it.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_reporter())
    behaviour, keeper = serving.behaviour, None
    if behaviour.servers:
        keeper = Timekeeper(WaitingLine(station_of(behaviour), time.monotonic()), loop)
    api, site = make_site(behaviour, keeper, loop)
    servers = [await _listen(site, serving.host, serving.port, tls.context if serving.secure else None)]
    if serving.tls_port is not None:
        servers.append(await _listen(site, serving.host, serving.tls_port, tls.context))
        api.services_port = servers[1].sockets[0].getsockname()[1]
    if not all(_is_loopback(server) for server in servers):
        api.token = secrets.token_hex(16)
    refresh = asyncio.ensure_future(_refresh_date(site))
    try:
        yield [api.token] + [_url_of(server, secure=serving.secure or server is not servers[0]) for server in servers]
    finally:
        refresh.cancel()
        for server in servers:
            server.close()
        await _drain(site)
        if keeper is not None:
            keeper.close()


def make_site(behaviour: Behaviour, keeper: Timekeeper | None, loop: asyncio.AbstractEventLoop) -> tuple[Api, Site]:
    """Returns what answers, and what its connections share."""
    credentials = AppCredentials(*map(os.environ.get, CREDENTIALS))
    api = Api(behaviour, credentials, Traffic(), time.time, keeper)
    limits = ConnectionLimits(behaviour.read_timeout_s, behaviour.idle_timeout_s, behaviour.max_body_bytes)
    return api, Site(api.respond, limits, api.traffic, loop)


async def _listen(site: Site, host: str, port: int, context: ssl.SSLContext | None) -> asyncio.Server:
    def connect() -> Connection:
        return Connection(site, tls=context is not None)

    try:
        return await site.loop.create_server(connect, host, port, ssl=context, backlog=BACKLOG)
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"cannot listen on host {host}, port {port}: {why}; port 0 takes any free one") from error


def _is_loopback(server: Any) -> bool:
    return all(ipaddress.ip_address(one.getsockname()[0].split("%")[0]).is_loopback for one in server.sockets)


def _url_of(server: Any, *, secure: bool) -> str:
    host, port, *_ = server.sockets[0].getsockname()
    shown = _UNSPECIFIED.get(host, host)
    return f"{'https' if secure else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{port}"


async def _refresh_date(site: Site) -> None:
    while True:
        await asyncio.sleep(1)
        site.encoder.refresh_date()


async def _drain(site: Site) -> None:
    for connection in list(site.connections):
        connection.shut_down()
    with suppress(TimeoutError):
        await asyncio.wait_for(site.empty.wait(), GRACE_S)
    for connection in list(site.connections):
        connection.abort()
    await asyncio.sleep(0)


def _reporter() -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Returns what reports failures of our own; what a peer does to its connection is none."""
    left = MAX_REPORTS

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal left
        if left and not isinstance(context.get("exception"), OSError):
            left -= 1
            loop.default_exception_handler(context)

    return report


def _open_standard_streams() -> None:
    """Opens what this process was started without (`<&-`): libuv never closes a descriptor that is one of them."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _raise_fd_limit() -> None:
    """Allows as many connections as this process may have at all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name a hard limit that they do not grant.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# TLS


@contextmanager
def server_tls(serving: Serving) -> Iterator[ServerTls]:
    """Yields what is asked for; its own authority's file goes at the end; raises UsageError for a bad certificate."""
    if serving.tls and serving.tls_port is not None:
        raise UsageError("tls port: is for https beside http; with tls, port serves https already")
    if serving.tls_cert is not None:
        yield ServerTls(_load(serving.tls_cert, serving.tls_key))
    elif serving.tls_key is not None:
        raise UsageError("tls key: needs a tls certificate beside it")
    elif serving.tls or serving.tls_port is not None:
        with tempfile.NamedTemporaryFile(prefix="convload-mock-ca-", suffix=".pem") as file:
            yield ServerTls(_make(serving.host, file.name), file.name)
    else:
        yield ServerTls()


def _load(cert: str, key: str | None) -> ssl.SSLContext:
    context = _new_context()
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError is one, too
        beside = f" with key {key}" if key else ""
        raise UsageError(f"tls certificate {cert}{beside}: {error.strerror or error}; PEM files are needed") from error
    return context


def _make(host: str, ca_file: str) -> ssl.SSLContext:
    import trustme  # noqa: PLC0415 -- slow to import and needed for TLS only

    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", *([] if _is_unspecified(host) else [host])])
    context = _new_context()
    authority.issue_cert(*names).configure_cert(context)
    return context


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
