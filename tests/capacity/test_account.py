"""Searches at an account: a mock outside with tokens on, a server of our own that is strict, one that refuses all."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from tests.conftest import Cli

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

CAPACITY_PER_S = 20
KEYS = {"CONVLOAD_CLIENT_ID": "id", "CONVLOAD_CLIENT_SECRET": "secret"}
FLAGS = ("--budget", "20s", "--no-overload", "--start", "4", "--out", "out")


class Refusing(BaseHTTPRequestHandler):
    """Knows nobody: every request is a 401."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


class Account(BaseHTTPRequestHandler):
    """Two servers of 100 ms, behind tokens; a consumer with an open conversation gets no second; closes are slow."""

    protocol_version = "HTTP/1.1"
    busy = threading.Semaphore(2)
    pause = threading.Event()
    opened: ClassVar[set[str]] = set()
    numbers = itertools.count()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, consumer = self.path.partition("?")[0], self.headers.get("X-LP-ON-BEHALF", "")
        if path.endswith("/app/token"):
            self.answer(200, {"access_token": "app", "token_type": "bearer", "expires_in": 3600})
        elif self.headers.get("Authorization", "").split()[-1:] != ["app"]:
            self.answer(401, {})
        elif path.endswith("/consumer"):
            self.answer(201, {"token": f"consumer-{next(self.numbers)}"})
        elif not consumer.startswith("consumer-"):
            self.answer(401, {})
        elif path.endswith("/send"):
            self.pause.wait(0.1)
            self.opened.discard(consumer)
            self.answer(200, self.element(json.loads(body)["id"], "closed"))
        elif consumer in self.opened:
            self.answer(400, {})
        else:
            self.create(consumer, json.loads(body))

    def create(self, consumer: str, elements: list[dict[str, Any]]) -> None:
        with self.busy:
            self.pause.wait(0.1)
        self.opened.add(consumer)
        number = f"conversation-{next(self.numbers)}"
        self.answer(200, [self.element(element["id"], number) for element in elements])

    @staticmethod
    def element(req_id: str, number: str) -> dict[str, Any]:
        return {"code": "OK", "body": {"msg": "OK", "conversationId": number}, "reqId": req_id}

    def answer(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Takes all connections that a worker opens at once."""

    request_queue_size = 1024


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mock_outside() -> Iterator[str]:
    with start_mock(Behaviour(servers=2, service_time="constant(100ms)")) as outside:
        yield outside.url


@pytest.mark.parametrize("model", ["open", "closed"])
def test_a_target_that_refuses_every_create_ends_a_search_with_the_cause(cli: Cli, model: str) -> None:
    with served(Refusing) as url:
        done = cli("capacity", "--target", url, "--consumers", "none", "--model", model, *FLAGS)

    assert done.code == 4, done
    [line] = [line for line in done.err.splitlines() if "no create succeeds" in line]
    assert line.endswith('; tokens are off: consumers = "none"'), line
    refused, all_of_them = line.partition("http_401: ")[2].partition(";")[0].split(" of ")
    assert refused == all_of_them
    assert int(refused.replace(",", "")) > 0
    assert done.out == ""


@pytest.mark.parametrize("model", ["open", "closed"])
def test_a_search_without_tokens_to_be_had_says_what_a_run_says(cli: Cli, model: str) -> None:
    with served(Refusing) as url:
        run = cli("run", "--target", url, "--duration", "2s", environment=KEYS)
        search = cli("capacity", "--target", url, "--model", model, *FLAGS, environment=KEYS)

    assert (run.code, search.code) == (4, 4), (run, search)
    assert run.err.splitlines()[-1] == search.err.splitlines()[-1]
    assert "AppJWT" in search.err


@pytest.mark.parametrize("model", ["open", "closed"])
@pytest.mark.parametrize("account", [mock_outside, partial(served, Account)], ids=["mock", "server"])
def test_the_capacity_plan_finds_an_interval_at_an_account(
    cli: Cli, account: Callable[[], AbstractContextManager[str]], model: str
) -> None:
    with account() as url:
        flags = ["--target", url, "--model", model, "--objective", "errors < 1%", "--no-overload", "--out", "out"]
        closed = ["--start", "8", "--most", "32", "--budget", "60s"]
        rates = ["--start", "8", "--budget", "25s"]
        done = cli("capacity", *flags, *(closed if model == "closed" else rates), environment=KEYS)

    assert done.code == 0, done
    found = json.loads((cli.folder / "out" / "capacity.json").read_text())
    bounds = found["capacity_per_s"]
    assert 0 < bounds["low"] <= 1.1 * CAPACITY_PER_S
    assert max(bounds["low"], 0.8 * CAPACITY_PER_S) < bounds["high"]
    if model == "closed":
        assert [check for check in found["little"] if not check["holds"]] == []
