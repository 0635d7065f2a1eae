"""The way between run and worker is cut for a while: nothing is fired twice and nothing lost."""

import json
import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.attacks.network import IP, Network, creates_received, on, sniffed
from tests.conftest import Cli, intervals_of, listening, summary_of, wait_for

from convload.load.processes.keys import new_key
from convload.results import runlog
from convload.results.runlog import WorkerLost

RATE = 100
ENVIRONMENT = {
    "CONVLOAD_WORKER_KEY": new_key(),
    "CONVLOAD_CLIENT_ID": "app",
    "CONVLOAD_CLIENT_SECRET": "one for all machines",
}


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() or not IP:
        pytest.skip("network namespaces need root and ip")
    try:
        one = Network()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr!r}")
    yield one
    one.end()


def start(cli: Cli, network: Network, duration_s: int, *flags: str) -> tuple["subprocess.Popen[str]", ...]:
    """Starts a mock and a worker there and the run here; returns run and worker."""
    mock = cli.start("mock", prefix=on(network.there), environment=ENVIRONMENT)
    assert mock.stdout is not None
    url = json.loads(mock.stdout.readline())["url"]
    (cli.folder / "url").write_text(url)
    process = cli.start(
        *("run", "--bind", f"{network.address}:0", "--expect-workers", "1", "--target", url, "--out", "out"),
        *("--rate", str(RATE), "--arrivals", "even", "--duration", f"{duration_s}s", "--warmup", "0s", *flags),
        prefix=on(network.here),
        environment=ENVIRONMENT,
    )
    worker = cli.start("worker", listening(process), prefix=on(network.there), environment=ENVIRONMENT)
    wait_for(lambda: intervals_of(cli.folder / "out"), "a first interval")
    return process, worker


def received(cli: Cli, network: Network) -> int:
    """Returns how many creates the mock has counted."""
    return creates_received(network.there, (cli.folder / "url").read_text())


@pytest.mark.parametrize("cut_s", [2, 5, 15])
def test_after_a_cut_all_results_are_there_once(cli: Cli, network: Network, cut_s: int) -> None:
    duration_s = cut_s + 5
    process, worker = start(cli, network, duration_s)

    network.cut(cut_s)
    _, err = process.communicate(timeout=60)
    _, said = worker.communicate(timeout=15)

    assert process.returncode in {0, 1, 3}, err  # on a busy machine some requests are late, and slow
    assert worker.returncode == 0, said
    assert [one for one in runlog.read(cli.folder / "out").records if isinstance(one, WorkerLost)] == []
    assert [one.n for one in intervals_of(cli.folder / "out")] == list(range(len(intervals_of(cli.folder / "out"))))
    counts = summary_of(cli.folder / "out")["counts"]
    assert counts["sent"] == counts["recorded"] == received(cli, network) == RATE * duration_s


def test_who_listens_on_the_wire_reads_neither_plan_nor_results(cli: Cli, network: Network) -> None:
    out = cli.folder / "wire"
    with sniffed(network.there, out):
        process, worker = start(cli, network, 2)
        _, err = process.communicate(timeout=60)
        worker.communicate(timeout=15)

    assert process.returncode in {0, 1, 3}, err
    seen = out.read_bytes()
    assert len(seen) > 10_000, "the wire was listened to"
    assert b"CURVE" in seen
    words = [b"create_conversation", b"Measured", b"convload.message", b"client_ready", b'"rate"', b"one for all"]
    assert [word for word in words if word in seen] == []


def test_a_cut_over_the_end_of_the_run_loses_nothing(cli: Cli, network: Network) -> None:
    process, worker = start(cli, network, 6)

    network.cut(10)
    _, err = process.communicate(timeout=60)
    _, said = worker.communicate(timeout=15)

    assert worker.returncode == 0, (said, err)
    assert summary_of(cli.folder / "out")["counts"]["recorded"] == received(cli, network) == RATE * 6


def test_a_cut_beyond_the_grace_loses_the_worker_and_it_ends_non_zero(cli: Cli, network: Network) -> None:
    process, worker = start(cli, network, 60, "--grace", "4s")
    began_s = time.monotonic()

    network.cut(14)
    _, err = process.communicate(timeout=60)
    _, said = worker.communicate(timeout=15)

    assert (process.returncode, worker.returncode) == (3, 3), (err, said)
    assert time.monotonic() - began_s < 40
    assert any(isinstance(one, WorkerLost) for one in runlog.read(cli.folder / "out").records)
