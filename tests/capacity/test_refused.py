"""A target at which nothing succeeds: a search ends with the cause after its first trial, whatever the model."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.conftest import Cli

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

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


@contextmanager
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("model", ["open", "closed"])
def test_a_target_that_refuses_every_create_ends_a_search_with_the_cause(cli: Cli, model: str) -> None:
    with refusing() as url:
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
    with refusing() as url:
        run = cli("run", "--target", url, "--duration", "2s", environment=KEYS)
        search = cli("capacity", "--target", url, "--model", model, *FLAGS, environment=KEYS)

    assert (run.code, search.code) == (4, 4), (run, search)
    assert run.err.splitlines()[-1] == search.err.splitlines()[-1]
    assert "AppJWT" in search.err


@pytest.mark.parametrize("model", ["open", "closed"])
def test_the_capacity_plan_finds_an_interval_at_a_target_that_asks_for_tokens(cli: Cli, model: str) -> None:
    with start_mock(Behaviour(servers=2, service_time="constant(20ms)")) as outside:
        flags = ["--target", outside.url, "--model", model, "--no-overload", "--out", "out"]
        closed = model == "closed"
        start = ["--start", "4", "--most", "16", "--budget", "60s"] if closed else ["--start", "30", "--budget", "25s"]
        done = cli("capacity", *flags, *start, "--objective", "errors < 1%", environment=KEYS)

    assert done.code == 0, done
    found = json.loads((cli.folder / "out" / "capacity.json").read_text())
    bounds = found["capacity_per_s"]
    assert 0 < bounds["low"] <= 1.05 * 100
    assert 0.95 * 100 <= bounds["high"] < 300
