"""Searches at an account: a server of our own that is strict, and one that refuses all."""

import itertools
import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.conftest import COMMAND_TIMEOUT_S, Cli

PLACES, SERVICE_S = 2, 0.05
KEYS = {"CONVLOAD_CLIENT_ID": "id", "CONVLOAD_CLIENT_SECRET": "secret"}
FLAGS = ("--budget", "20s", "--no-overload", "--start", "4")
MODELS = ("open", "closed")
BUNDLED = Path(__file__).parents[2] / "plans" / "capacity.toml"
TRUSTING = """
# A machine that is busy with other tests makes no load that others would trust; what is found is looked at here.
[validity]
cpu_share = 1.0
cpu_seconds_share = 1.0
lateness_p99_ms = 1000.0
"""


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
    """Two places, behind tokens; a consumer with an open conversation gets no second; closes are slow.

    `held_s` says how long each create kept its place: on a busy machine that is longer than it asks for.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    busy = threading.Semaphore(PLACES)
    pause = threading.Event()
    opened: ClassVar[set[str]] = set()
    held_s: ClassVar[list[float]] = []
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
            self.pause.wait(SERVICE_S)
            self.opened.discard(consumer)
            self.answer(200, self.element(json.loads(body)["id"], "closed"))
        elif consumer in self.opened:
            self.answer(400, {})
        else:
            self.create(consumer, json.loads(body))

    def create(self, consumer: str, elements: list[dict[str, Any]]) -> None:
        with self.busy:
            began_s = time.monotonic()
            self.pause.wait(SERVICE_S)
            self.held_s.append(time.monotonic() - began_s)
        self.opened.add(consumer)
        number = f"conversation-{next(self.numbers)}"
        self.answer(200, [self.element(str(element["id"]), number) for element in elements])

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


@pytest.mark.parametrize("model", MODELS)
def test_a_target_that_refuses_every_create_ends_a_search_with_the_cause(cli: Cli, model: str) -> None:
    with served(Refusing) as url:
        done = cli("capacity", "--target", url, "--consumers", "none", "--model", model, *FLAGS)

    assert done.code == 4, done
    assert "Traceback" not in done.err
    [line] = [line for line in done.err.splitlines() if "no create succeeds" in line]
    assert line.endswith('; tokens are off: consumers = "none"'), line
    refused, all_of_them = line.partition("http_401: ")[2].partition(";")[0].split(" of ")
    assert refused == all_of_them
    assert int(refused.replace(",", "")) > 0
    assert done.out == ""


def test_a_search_without_tokens_to_be_had_says_what_a_run_says(cli: Cli) -> None:
    with served(Refusing) as url:
        commands = [("run", "--duration", "2s"), *(("capacity", "--model", model, *FLAGS) for model in MODELS)]
        started = [cli.start(*command, "--target", url, environment=KEYS) for command in commands]
        told = [process.communicate(timeout=COMMAND_TIMEOUT_S)[1] for process in started]

    assert [process.returncode for process in started] == [4, 4, 4], told
    assert len({err.splitlines()[-1] for err in told}) == 1, told
    assert "AppJWT" in told[0]


@pytest.mark.parametrize("model", MODELS)
def test_the_capacity_plan_finds_an_interval_at_an_account(cli: Cli, model: str) -> None:
    (cli.folder / "capacity.toml").write_text(BUNDLED.read_text().partition("[mock]")[0] + TRUSTING)
    Account.held_s.clear()
    with served(Account) as url:
        flags = ["--target", url, "--model", model, "--objective", "errors < 1%", "--no-overload", "--out", "out"]
        loads = ["--start", "8", "--most", "32"] if model == "closed" else ["--start", "20", "--budget", "15s"]
        done = cli("capacity", "capacity.toml", *flags, *loads, environment=KEYS)

    assert done.code == 0, done
    found = json.loads((cli.folder / "out" / "capacity.json").read_text())
    bounds, carries_per_s = found["capacity_per_s"], PLACES / statistics.fmean(Account.held_s)
    assert 0 < bounds["low"] <= 1.1 * carries_per_s
    assert max(bounds["low"], 0.7 * carries_per_s) < bounds["high"]
    assert {trial["error_share"] for trial in found["trials"]} == {0}
    if model == "closed":
        assert 8 <= found["saturation"]["high_users"] <= 32
        assert sum(not check["holds"] for check in found["little"]) <= 1
