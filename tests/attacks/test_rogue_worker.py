"""A worker that has the key and lies, or is out of order: what it sends ends no run, and makes none a pass."""

import subprocess
from collections.abc import Iterator

import msgspec
import psutil
import pytest
from tests.attacks.peer import Peer
from tests.conftest import Cli, intervals_of, listening, processes_of, summary_of, wait_for
from tests.run_logs import Make

from convload import __version__
from convload.load.processes.keys import new_key
from convload.load.processes.messages import Hello, Measured, Ready, Setup, Start

COORDINATOR = "convload.load.processes.coordinator"
KEY = new_key()
FLAGS = ("--rate", "20", "--duration", "2s", "--warmup", "0s", "--arrivals", "even", "--out", "out")


@pytest.fixture
def run(cli: Cli) -> Iterator[tuple["subprocess.Popen[str]", Peer]]:
    """A run that waits for one worker, and whoever takes that place."""
    process = cli.start(
        "run", "--bind", "127.0.0.1:0", "--expect-workers", "1", *FLAGS, environment={"CONVLOAD_WORKER_KEY": KEY}
    )
    with Peer(int(listening(process).rpartition(":")[2]), KEY) as peer:
        yield process, peer


def test_a_log_that_is_made_up_is_no_pass(cli: Cli, run: tuple["subprocess.Popen[str]", Peer], make: Make) -> None:
    process, rogue = run
    rogue.send(Hello("0.0.0"))  # refused, and may try again
    rogue.send(Hello(__version__))
    rogue.receive(Setup)
    for data in (b"", b"\xff", b"{}", b'{"type":"Measured"}'):
        rogue.send(data)
    rogue.send(Ready())
    rogue.receive(Start)
    made_up = make.interval(0, [make.cell([1000] * 617)], 617, to_s=0.001, offered=617, last=False)
    for change in ({"to_s": 1e8}, {"to_s": 1e6}, {"worker": 7}, {"sent": -5}, {"n": 10**15}):
        rogue.send(Measured.of(msgspec.structs.replace(made_up, **change)))
    rogue.send(Measured.of(made_up))
    rogue.send(Measured.of(msgspec.structs.replace(made_up, n=1, from_s=0.001, to_s=0.002, cells=[], last=True)))
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    reasons = " ".join(summary_of(cli.folder / "out")["validity"]["reasons"])
    assert "2 intervals that cannot be true were dropped" in reasons
    assert "received" in reasons, "the mock counted no request"
    assert [one.n for one in intervals_of(cli.folder / "out")] == [0, 1]
    assert "7 messages of workers could not be read" in reasons
    log = (cli.folder / "out" / "run.jsonl").read_text()
    assert "a worker was refused: a worker has convload 0.0.0" in log
    assert "Traceback" not in err


def test_a_stranger_at_the_port_of_a_run_changes_nothing(cli: Cli) -> None:
    process = cli.start("run", *FLAGS, "--gate", "errors <= 1%")
    [coordinator] = wait_for(lambda: processes_of(process.pid, COORDINATOR), "the coordinator")
    [port] = wait_for(lambda: listening_ports(coordinator), "its port")
    with Peer(port, None, b"in clear text") as clear, Peer(port, new_key(), b"with another key") as other:
        for stranger in (clear, other):
            for frame in (b"", b"\xc1", b"\x93\xa5conv", Hello(__version__).encode()):
                stranger.socket.send(frame)
                stranger.send(frame)
        _, err = process.communicate(timeout=60)

    assert process.returncode in {0, 3}, err  # on a busy machine some requests are late
    assert summary_of(cli.folder / "out")["counts"]["recorded"] == 40
    assert (
        "attempts to connect without the key of this run were refused" in (cli.folder / "out" / "run.jsonl").read_text()
    )


def listening_ports(process: psutil.Process) -> list[int]:
    return [one.laddr.port for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
