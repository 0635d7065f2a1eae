"""The mock at three depths: its endpoints alone, a process of its own, and single bytes on a socket."""

import copy
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from convload.mock.access import AppCredentials
from convload.mock.api import Api
from convload.mock.messages import Reply, Request, Traffic
from convload.mock.process import MockProcess, start_mock
from convload.plan.mock_behaviour import Behaviour

ACCOUNT = "12345678"
BASE = f"/api/account/{ACCOUNT}"
CREATE = f"{BASE}/messaging/consumer/conversation?v=3"
SEND = f"{BASE}/messaging/consumer/conversation/send?v=3"
TIMEOUT_S = 10.0

EXAMPLE: list[dict[str, Any]] = [
    {
        "kind": "req",
        "id": "2,",
        "type": "userprofile.SetUserProfile",
        "body": {
            "firstName": "WEB UI USER",
            "privateData": {"mobileNum": "1750345346", "pushNotificationData": {"serviceName": "Service"}},
        },
    },
    {
        "kind": "req",
        "id": "1,",
        "type": "cm.ConsumerRequestConversation",
        "body": {
            "ttrDefName": "CUSTOM",
            "campaignInfo": {"campaignId": "99999", "engagementId": "888888"},
            "conversationContext": {"visitorId": "A3", "type": "SharkContext", "lang": "en-US"},
            "channelType": "MESSAGING",
            "brandId": ACCOUNT,
            "skillId": "-1",
        },
    },
    {
        "kind": "req",
        "id": "3",
        "type": "ms.PublishEvent",
        "body": {"event": {"type": "ContentEvent", "contentType": "text/plain", "message": "Hi"}},
    },
]


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


class Desk:
    """The endpoints of a mock, asked without a network."""

    def __init__(self, behaviour: Behaviour, credentials: AppCredentials) -> None:
        self.clock = Clock()
        self.traffic = Traffic()
        self.api = Api(behaviour, credentials, self.traffic, self.clock)

    def ask(self, method: str, target: str, body: Any = b"", **headers: str) -> Reply:
        """Sends one request; an underscore in a header's name stands for a hyphen."""
        lines = {name.replace("_", "-").lower().encode(): value.encode() for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.api.respond(Request(method.encode(), target.encode(), {b"host": b"mock:80"} | lines, raw))

    def read(self, method: str, target: str, body: Any = b"", **headers: str) -> tuple[int, Any]:
        """Returns status and decoded body."""
        reply = self.ask(method, target, body, **headers)
        return reply.status, json.loads(reply.body)

    def app_token(self, account: str = ACCOUNT) -> str:
        query = "v=1.0&grant_type=client_credentials&client_id=app&client_secret=s"
        status, body = self.read("POST", f"/sentinel/api/account/{account}/app/token?{query}")
        assert status == 200
        return str(body["access_token"])

    def headers(self, consumer: str = "Ada", account: str = ACCOUNT) -> dict[str, str]:
        """Returns the two token headers of a consumer."""
        app = self.app_token(account)
        target = f"/api/account/{account}/consumer?v=1.0"
        status, body = self.read("POST", target, {"ext_consumer_id": consumer}, Authorization=app)
        assert status == 201
        return {"Authorization": app, "X_LP_ON_BEHALF": body["token"]}

    def create(self, body: Any = None, **headers: str) -> tuple[int, Any]:
        return self.read("POST", CREATE, copy.deepcopy(EXAMPLE) if body is None else body, **headers)

    def send(self, kind: str, body: Any, **headers: str) -> tuple[int, Any]:
        return self.read("POST", SEND, {"kind": "req", "id": "1", "type": kind, "body": body}, **headers)

    def stats(self) -> Any:
        return self.read("GET", "/__mock__/stats")[1]


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Makes a desk from settings of the mock."""

    def make(credentials: AppCredentials | None = None, **settings: Any) -> Desk:
        return Desk(Behaviour(**settings), credentials or AppCredentials())

    return make


@pytest.fixture
def example() -> list[dict[str, Any]]:
    """The documented example of a create request, to be changed by the test."""
    return copy.deepcopy(EXAMPLE)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., MockProcess]]:
    """Gives a running mock with these settings; the same one to all tests of a file that ask alike."""
    running: dict[Any, MockProcess] = {}
    with ExitStack() as stack:

        def get(*, tls: bool = False, **settings: Any) -> MockProcess:
            key = (tls, Behaviour(**settings))
            if key not in running:
                running[key] = stack.enter_context(start_mock(key[1], tls=tls))
            return running[key]

        yield get


class Wire:
    """A client that writes and reads single bytes."""

    def __init__(self, mock: MockProcess) -> None:
        parts = urlsplit(mock.url)
        self.sock: socket.socket = socket.create_connection((str(parts.hostname), parts.port or 0), TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if mock.ca_file is not None:
            context = ssl.create_default_context(cafile=mock.ca_file)
            self.sock = context.wrap_socket(self.sock, server_hostname=parts.hostname)
        self._buffer = b""

    def send(self, *pieces: bytes) -> "Wire":
        for piece in pieces:
            self.sock.sendall(piece)
        return self

    def answer(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Reads one answer: status, headers in lower case, body."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0)) if has_body else 0
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(first.split()[1]), headers, body

    def statuses(self, count: int) -> list[int]:
        return [self.answer()[0] for _ in range(count)]

    def rest(self) -> bytes:
        """Reads until the server closes."""
        while piece := self.sock.recv(65536):
            self._buffer += piece
        return self._buffer

    def _more(self) -> None:
        piece = self.sock.recv(65536)
        assert piece, f"closed within an answer: {self._buffer!r}"
        self._buffer += piece


@pytest.fixture
def wire() -> Iterator[Callable[[MockProcess], Wire]]:
    """Opens connections that are closed when the test ends."""
    opened: list[Wire] = []

    def connect(mock: MockProcess) -> Wire:
        opened.append(Wire(mock))
        return opened[-1]

    yield connect
    for one in opened:
        one.sock.close()


def request_bytes(method: str, target: str, body: Any = b"", *lines: str, version: str = "1.1") -> bytes:
    """Writes a request; `lines` are headers beside Host and Content-Length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"{method} {target} HTTP/{version}", "Host: mock", f"Content-Length: {len(raw)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + raw


@pytest.fixture
def message() -> Callable[..., bytes]:
    """Writes a request as bytes."""
    return request_bytes
