"""Asks a server of this machine, as any other program would."""

import contextlib
import http.client
from collections.abc import Mapping

import msgspec

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


class Answered(msgspec.Struct, frozen=True):
    """What came back; a status of 0 where nobody listens."""

    status: int
    body: str
    headers: dict[str, str] = {}


def ask(port: int, path: str, headers: Mapping[str, str] = {}, method: str = "GET", body: str = "") -> Answered:
    """Sends one request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        try:
            connection.request(method, path, body or None, dict(headers))
            answer = connection.getresponse()
            return Answered(answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()})
        except ConnectionError:
            return Answered(0, "")
