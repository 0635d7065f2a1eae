"""Counts of a run come from where they are: a mock on this machine is asked, embedded or started on its own."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from tests.attacks.peer import Peer
from tests.conftest import Cli, listening, summary_of
from tests.run_logs import Make

from convload import __version__
from convload.load.processes.keys import new_key
from convload.load.processes.messages import Hello, Measured, Ready, Setup, Start
from convload.mock.process import ask_for_creates

KEY = new_key()
FLAGS = ("--rate", "20", "--duration", "2s", "--warmup", "0s", "--arrivals", "even")


@pytest.fixture
def mock(cli: Cli) -> str:
    """The URL of a mock on its own."""
    process = cli.start("mock")
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["url"])


def test_a_mock_on_its_own_confirms_each_of_two_runs(cli: Cli, mock: str) -> None:
    for folder in ("first", "second"):
        done = cli("run", "--target", mock, *FLAGS, "--out", folder)

        assert done.code in {0, 1, 3}, done  # on a busy machine some requests are late
        summary = summary_of(cli.folder / folder)
        assert summary["ledger"]["received"] == summary["counts"]["sent"] == 40


def test_results_that_a_mock_on_its_own_never_saw_are_no_pass(cli: Cli, mock: str, make: Make) -> None:
    bound = ("--bind", "127.0.0.1:0", "--expect-workers", "1", "--out", "out")
    process = cli.start("run", "--target", mock, *FLAGS, *bound, environment={"CONVLOAD_WORKER_KEY": KEY})
    with Peer(int(listening(process).rpartition(":")[2]), KEY) as rogue:
        rogue.send(Hello(__version__))
        rogue.receive(Setup)
        rogue.send(Ready())
        rogue.receive(Start)
        rogue.send(Measured.of(make.interval(0, [make.cell([1000] * 617)], 617, to_s=0.001, offered=617, last=True)))
        _, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    assert "the mock received 0 of 617 create requests sent" in " ".join(
        summary_of(cli.folder / "out")["validity"]["reasons"]
    )


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers like a service that knows no such page, or knows another one."""

    def do_GET(self) -> None:
        body = self.server.body  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    one = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=one.serve_forever)
    thread.start()
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"create": {"received": "many"}}', b'{"create": 7}', b"\xff"])
def test_another_service_is_taken_for_no_mock(server: http.server.HTTPServer, body: bytes) -> None:
    server.body = body  # type: ignore[attr-defined]

    assert ask_for_creates(f"http://127.0.0.1:{server.server_port}", "", verify=True) is None


def test_nobody_is_taken_for_no_mock() -> None:
    assert ask_for_creates("http://127.0.0.1:9", "", verify=True) is None
