"""How a mock process is given where to listen and how to behave; starts one as a child and never leaves it behind."""

import http.client
import os
import selectors
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from convload.errors import TargetError
from convload.machine import SINGLE_THREADED
from convload.plan.mock_behaviour import Behaviour

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
STATS_TIMEOUT_S = 10.0
ASK_TIMEOUT_S = 2.0
MOST_BYTES = 16 * 1024 * 1024
CREDENTIALS = ("CONVLOAD_CLIENT_ID", "CONVLOAD_CLIENT_SECRET")
STATS_PATH = "/__mock__/stats"
TRUTH_PATH = "/__mock__/truth"


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a mock process needs to know; credentials come from its environment, or as a first line of standard input.

    With `tls` the port serves https; with `tls_port` it serves http and that other port https. Without a certificate it
    makes one of its own. `until_stdin_closes` ties it to the life of the
    process that holds the other end of its standard input.
    """

    behaviour: Behaviour = Behaviour()
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    tls: bool = False
    tls_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    until_stdin_closes: bool = False
    credentials_on_stdin: bool = False

    @property
    def secure(self) -> bool:
        """Whether `port` serves https."""
        return self.tls_port is None and (self.tls or self.tls_cert is not None)


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one line that a mock prints once it listens.

    `ca_file` verifies a certificate of its own making, `token` opens `/__mock__/…` where other machines reach it.
    """

    url: str
    pid: int
    ca_file: str | None = None
    tls_url: str | None = None
    token: str = ""


class MockProcess(msgspec.Struct, frozen=True):
    """A mock that listens. `ca_file` is there with TLS only, `tls_url` where it serves http and https at once."""

    url: str
    pid: int
    ca_file: str | None
    process: subprocess.Popen[bytes]
    tls_url: str | None = None
    errors: IO[bytes] | None = None

    def last_words(self) -> list[str]:
        """Returns what it has written to its standard error."""
        if self.errors is None:
            return []
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace").splitlines()

    def stats(self) -> dict[str, Any]:
        """Returns the mock's own counts, as `GET /__mock__/stats` shows them.

        Raises:
            OSError, http.client.HTTPException: it does not answer.
        """
        return self._read(STATS_PATH)

    def truth(self, rate: float | None = None) -> dict[str, Any]:
        """Returns the mock's capacity and what is expected at a rate of creates, as `GET /__mock__/truth` shows them.

        Ask before or after a load: the mock serves nobody while it reckons, which may take some tenths of a second.

        Raises:
            OSError, http.client.HTTPException: it does not answer.
        """
        return self._read(TRUTH_PATH if rate is None else f"{TRUTH_PATH}?rate={rate:.9f}")

    def _read(self, path: str) -> dict[str, Any]:
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        return msgspec.json.decode(_get(self.url, path, context, STATS_TIMEOUT_S), type=dict[str, Any])

    def exit_status(self) -> int | None:
        """Returns the exit status, negative for a signal; None while it runs."""
        return self.process.poll()

    def stop(self) -> int:
        """Ends the mock, if need be by force, and returns its exit status."""
        return _stop(self.process)


class CountedCreates(msgspec.Struct, frozen=True):
    """Create requests that a mock has received and accepted since its start."""

    received: Annotated[int, Meta(ge=0)]
    accepted: Annotated[int, Meta(ge=0)]


class _Stats(msgspec.Struct, frozen=True):
    create: CountedCreates


def ask_for_creates(url: str, ca_pem: str, *, verify: bool) -> CountedCreates | None:
    """Returns what a mock that was started on its own has counted so far; None where none answers, or wants a token."""
    try:
        context = ssl.create_default_context(cadata=ca_pem or None)
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return msgspec.json.decode(_get(url, STATS_PATH, context, ASK_TIMEOUT_S), type=_Stats).create
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None


def _get(url: str, path: str, context: ssl.SSLContext | None, timeout_s: float) -> bytes:
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port
    if parts.scheme == "http":
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    # A time-out of the socket begins anew with each byte that comes.
    connection.connect()
    ending = threading.Timer(timeout_s, _hang_up, (connection.sock,))
    ending.start()
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"{url}{path} answers {answer.status}")
        return answer.read(MOST_BYTES)
    finally:
        ending.cancel()
        connection.close()


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def start_mock(
    behaviour: Behaviour, *, env: Mapping[str, str] | None = None, tls: bool = False, tls_port: int | None = None
) -> Iterator[MockProcess]:
    """Runs a mock on a free port of loopback for the time of the context.

    Should this process be killed, the pipe to the mock's standard input closes and the mock stops by itself. `env` is
    its whole environment, which holds the credentials that it asks for; None: as here. `tls` and `tls_port` are those
    of `Serving`, with a certificate of its own that `ca_file` verifies.

    Raises:
        TargetError: it did not start; with what it said.
    """
    environment = SINGLE_THREADED | dict(os.environ if env is None else env)
    known = {name: environment.pop(name) for name in CREDENTIALS if name in environment}
    serving = Serving(
        behaviour=behaviour, tls=tls, tls_port=tls_port, until_stdin_closes=True, credentials_on_stdin=True
    )
    # -P keeps the user's folder off the module path. A session of its own keeps Ctrl-C of the terminal away.
    command = [sys.executable, "-P", "-m", "convload.mock", msgspec.json.encode(serving).decode()]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 -- a list of ours, and no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            _tell_credentials(process, known)
            said = _await_announcement(process, errors)
            yield MockProcess(said.url, said.pid, said.ca_file, process, said.tls_url, errors)
        finally:
            _stop(process)


def _tell_credentials(process: subprocess.Popen[bytes], known: Mapping[str, str]) -> None:
    """By the pipe: the environment of a process can be read by all that its user runs."""
    assert process.stdin is not None  # noqa: S101 -- it was started with a pipe
    try:
        process.stdin.write(msgspec.json.encode(known) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:  # it has ended; what it said tells why
        with suppress(BrokenPipeError):
            process.stdin.close()  # else what it did not take would be written again when all is closed


def _await_announcement(process: subprocess.Popen[bytes], errors: IO[bytes]) -> Announcement:
    line = _read_line(process.stdout, time.monotonic() + START_TIMEOUT_S)
    if line is None:
        status = _stop(process)
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").splitlines()
        raise TargetError(f"the mock did not start within {START_TIMEOUT_S:g} s; its exit status is {status}", *said)
    return msgspec.json.decode(line, type=Announcement)


def _read_line(pipe: Any, deadline_s: float) -> bytes | None:
    """Reads the first line; None where the pipe closes or the deadline passes before it is whole."""
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline_s - time.monotonic())):
                return None
            piece = os.read(pipe.fileno(), 4096)
            if not piece:
                return None
            line += piece
    return line


def _stop(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
