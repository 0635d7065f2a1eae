"""Many workers, here and elsewhere: what becomes of a run whose processes are killed, stopped or late."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from tests.conftest import (
    COMMAND,
    Cli,
    clean_environment,
    intervals_of,
    listening,
    processes_of,
    summary_of,
    wait_for,
)

from convload.load.processes.keys import new_key
from convload.load.processes.messages import Admission
from convload.load.processes.rules import ANY, Rules
from convload.results import runlog
from convload.results.runlog import Interval, Note, Started, WorkerLost

WORKER, COORDINATOR = "convload.load.processes.worker", "convload.load.processes.coordinator"
OPEN = ("--rate", "200", "--arrivals", "even", "--warmup", "0s", "--max-in-flight", "60", "--out", "out")


T = TypeVar("T")


def records_of(folder: Path, kind: type[T]) -> list[T]:
    path = folder / runlog.FILE_NAME
    if not path.exists() or not path.stat().st_size:
        return []
    return [record for record in runlog.read(folder).records if isinstance(record, kind)]


def lost_of(folder: Path) -> list[WorkerLost]:
    return records_of(folder, WorkerLost)


def reporting(folder: Path) -> set[int]:
    return {one.worker for one in intervals_of(folder)}


def everybody_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return list(psutil.Process(process.pid).children(recursive=True))


def offered_by(found: list[Interval], worker: int) -> int:
    """Returns how many arrivals came due at one worker, as far as it said so."""
    return max(one.offered for one in found if one.worker == worker)


def ends_when_it_comes_back(stopped: psutil.Process) -> None:
    """Lets a worker that has been given up go on: it must end at once."""
    stopped.resume()
    gone, _ = psutil.wait_procs([stopped], timeout=2)
    assert gone, "it went on"


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_a_lost_share_is_taken_over_in_5_s_and_its_worker_fires_no_more(cli: Cli, blow: signal.Signals) -> None:
    process = cli.start("run", "--workers", "3", "--duration", "9s", *OPEN)
    folder = cli.folder / "out"
    wait_for(lambda: reporting(folder) == {0, 1, 2}, "an interval of each worker")
    everybody = everybody_of(process)

    struck = processes_of(process.pid, WORKER)[1]
    struck.send_signal(blow)
    struck_s = time.monotonic()
    wait_for(lambda: lost_of(folder), "the loss in the log")
    noticed_after_s = time.monotonic() - struck_s
    if blow == signal.SIGSTOP:
        ends_when_it_comes_back(struck)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    assert noticed_after_s < 5
    if blow == signal.SIGSTOP:
        assert "gave its share to others" in err
    [lost] = lost_of(folder)
    found = intervals_of(folder)
    # 200/s over three workers; what was due from the last interval on until the others took over is unaccounted for.
    taken_over_s = lost.at_s + 0.2
    assert lost.arrivals == pytest.approx((taken_over_s - lost.silent_from_s) * 200 / 3, abs=2)
    assert lost.silent_from_s == max(one.to_s for one in found if one.worker == lost.worker)
    # Each of the others fires its own 600 and half of what is left of the lost one's.
    survivors = [offered_by(found, worker) for worker in range(3) if worker != lost.worker]
    assert survivors == pytest.approx([600 + (9 - taken_over_s) * 200 / 6] * 2, abs=3)
    assert sum(survivors) + offered_by(found, lost.worker) + lost.arrivals == pytest.approx(1800, abs=2)
    reasons = " ".join(summary_of(folder)["validity"]["reasons"])
    assert f"{lost.arrivals:,} arrivals" in reasons
    assert f"{lost.silent_from_s:.1f} s" in reasons
    assert psutil.wait_procs(everybody, timeout=5)[1] == []
    # Whatever the mock received beyond what the log has, the lost worker fired between its last interval and its stop.
    counted = summary_of(folder)
    assert counted["ledger"]["received"] - counted["counts"]["sent"] <= 110


def test_two_losses_at_once_leave_the_whole_schedule_to_the_one_that_is_left(cli: Cli) -> None:
    process = cli.start("run", "--workers", "3", "--duration", "8s", *OPEN)
    folder = cli.folder / "out"
    wait_for(lambda: reporting(folder) == {0, 1, 2}, "an interval of each worker")
    everybody, workers = everybody_of(process), processes_of(process.pid, WORKER)

    workers[0].kill()
    workers[2].suspend()
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    assert psutil.wait_procs(everybody, timeout=5)[1] == []
    found, lost = intervals_of(folder), lost_of(folder)
    [left] = {0, 1, 2} - {one.worker for one in lost}
    taken_over_s = [one.at_s + 0.2 for one in lost]
    assert offered_by(found, left) == pytest.approx(sum((8 - at_s) * 200 / 3 for at_s in [0.0, *taken_over_s]), abs=4)
    told = sum(offered_by(found, worker) for worker in range(3))
    assert told + sum(one.arrivals for one in lost) == pytest.approx(1600, abs=4)


def test_by_the_plan_a_lost_worker_stops_the_run(cli: Cli) -> None:
    process = cli.start("run", "--workers", "2", "--duration", "60s", "--on-lost-worker", "stop", *OPEN)
    folder = cli.folder / "out"
    wait_for(lambda: reporting(folder) == {0, 1}, "an interval of each worker")

    processes_of(process.pid, WORKER)[0].kill()
    _, err = process.communicate(timeout=15)

    assert process.returncode == 3, err
    assert "the run was stopped" in lost_of(folder)[0].why
    assert sum(one.last for one in intervals_of(folder)) == 1


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_when_the_only_worker_is_lost_the_run_ends_with_what_it_has(cli: Cli, blow: signal.Signals) -> None:
    process = cli.start("run", "--duration", "60s", *OPEN)
    folder = cli.folder / "out"
    wait_for(lambda: intervals_of(folder), "a first interval")
    everybody = everybody_of(process)

    processes_of(process.pid, WORKER)[0].send_signal(blow)
    _, err = process.communicate(timeout=15)

    assert process.returncode == 3, err
    assert "no other worker was there" in " ".join(summary_of(folder)["validity"]["reasons"])
    assert summary_of(folder)["counts"]["recorded"] > 0
    assert psutil.wait_procs(everybody, timeout=5)[1] == []


def test_in_the_closed_model_the_users_of_a_lost_worker_are_gone_and_the_run_says_so(cli: Cli) -> None:
    (cli.folder / "closed.toml").write_text('workers = 2\nusers = 4\nthink = "constant 50ms"\nduration = "6s"\n')
    process = cli.start("run", "closed.toml", "--warmup", "0s", "--out", "out")
    folder = cli.folder / "out"
    wait_for(lambda: reporting(folder) == {0, 1}, "an interval of each worker")

    processes_of(process.pid, WORKER)[0].kill()
    _, err = process.communicate(timeout=30)

    assert process.returncode == 3, err
    [lost] = lost_of(folder)
    assert "its users are gone" in lost.why
    assert any("worker" in reason for reason in summary_of(folder)["validity"]["reasons"])
    assert sum(one.last for one in intervals_of(folder)) == 1
    [survivor] = {0, 1} - {lost.worker}
    assert max(one.users for one in intervals_of(folder) if one.worker == survivor) == 2


def test_when_the_coordinator_is_killed_nobody_fires_on_and_the_log_can_be_read(cli: Cli) -> None:
    process = cli.start("run", "--workers", "2", "--duration", "60s", *OPEN)
    folder = cli.folder / "out"
    wait_for(lambda: reporting(folder) == {0, 1}, "an interval of each worker")
    everybody = everybody_of(process)

    processes_of(process.pid, COORDINATOR)[0].kill()
    _, err = process.communicate(timeout=10)

    assert process.returncode == 3, err
    assert psutil.wait_procs(everybody, timeout=5)[1] == []
    assert "killed by signal 9" in " ".join(summary_of(folder)["validity"]["reasons"])


# -- workers of other machines --


@pytest.fixture
def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def join(cli: Cli, address: str, *arguments: str) -> "subprocess.Popen[str]":
    return cli.start("worker", address, *arguments, environment=CREDENTIALS)


KEY = new_key()
CREDENTIALS = {
    "CONVLOAD_CLIENT_ID": "app",
    "CONVLOAD_CLIENT_SECRET": "one for all machines",
    "CONVLOAD_WORKER_KEY": KEY,
}


def start_bound(
    cli: Cli, *arguments: str, expected: int = 2, bind: str = "127.0.0.1:0"
) -> tuple["subprocess.Popen[str]", str]:
    bound = ("--bind", bind, "--expect-workers", str(expected))
    process = cli.start("run", *bound, *arguments, environment=CREDENTIALS)
    return process, listening(process)


def test_workers_from_elsewhere_start_and_end_together_though_a_clock_is_wrong(cli: Cli) -> None:
    process, address = start_bound(cli, "--duration", "3s", *OPEN)
    ahead = "import time; true = time.time; time.time = lambda: true() + 30; "
    late = subprocess.Popen(
        [sys.executable, "-c", f"{ahead}from convload.load.processes.worker import main; main()"],
        env=clean_environment() | CREDENTIALS,
        stdin=subprocess.PIPE,
    )
    assert late.stdin is not None
    late.stdin.write(
        Admission("127.0.0.1", int(address.rpartition(":")[2]), KEY, "", Rules(code=[ANY])).encode() + b"\n"
    )
    late.stdin.flush()
    try:
        joined = join(cli, address)
        _, err = process.communicate(timeout=60)
        late.wait(10)
    finally:
        late.kill()
        late.communicate()
    _, said = joined.communicate(timeout=10)

    assert process.returncode in {0, 3}, err  # on a busy machine some requests are late
    assert (joined.returncode, late.returncode) == (0, 0), said
    [started] = records_of(cli.folder / "out", Started)
    assert sorted(started.clock_offsets_ms) == pytest.approx([0, 30_000], abs=50)
    assert summary_of(cli.folder / "out")["workers"] == 2
    assert summary_of(cli.folder / "out")["counts"]["recorded"] == 600
    assert records_of(cli.folder / "out", Note) == []


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_workers_join_over_ipv6_too(cli: Cli) -> None:
    process, address = start_bound(cli, "--workers", "1", "--duration", "1s", *OPEN, expected=1, bind="[::1]:0")
    joined = join(cli, address)

    _, err = process.communicate(timeout=60)
    _, said = joined.communicate(timeout=10)

    assert address.startswith("[::1]:")
    assert process.returncode in {0, 3}, err
    assert joined.returncode == 0, said
    assert summary_of(cli.folder / "out")["counts"]["recorded"] == 200


def test_a_worker_of_another_version_is_refused_and_both_sides_say_so(cli: Cli) -> None:
    process, address = start_bound(cli, "--join-within", "8s", *OPEN, expected=1)
    host, port = address.split(":")
    old = "import convload; convload.__version__ = '0.0.0'; from convload.load.processes.worker import join; "
    run = f"import sys; from convload.cli import main; sys.argv = ['convload', 'worker', '{host}:{port}']; main()"
    worker = subprocess.run(
        [sys.executable, "-c", old + run],
        env=clean_environment() | CREDENTIALS,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    _, err = process.communicate(timeout=20)

    assert (process.returncode, worker.returncode) == (2, 2), (err, worker.stderr)
    assert "has convload 0.0.0" in err
    assert "has convload 0.0.0" in worker.stderr
    assert not (cli.folder / "out").exists()


def test_the_documented_pair_of_run_and_workers_works_as_written(cli: Cli, free_port: int) -> None:
    text = (Path(__file__).parents[3] / "docs" / "workers.md").read_text()
    [example] = re.findall(r"```sh\n(convload key new .*\n(?:convload worker \S+ .*&\n)+convload run .*\n)```", text)
    short = {"CONVLOAD_DURATION": "2s", "CONVLOAD_WARMUP": "1s", "CONVLOAD_RATE": "50"}
    done = subprocess.run(
        [
            "/bin/bash",
            "-c",
            'convload() { $C "$@"; }\n' + example.replace(":5557", f":{free_port}") + "status=$?; wait; exit $status",
        ],
        env=clean_environment() | short | {"C": " ".join(COMMAND)},
        cwd=cli.folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode in {0, 3}, done  # on a busy machine some requests are late
    summary = summary_of(cli.folder / "reports" / "latest")
    assert summary["workers"] == 2
    assert summary["counts"]["recorded"] == summary["ledger"]["accepted"] > 100


def test_a_run_that_waits_in_vain_says_how_many_came(cli: Cli) -> None:
    process, address = start_bound(cli, "--join-within", "8s", *OPEN)
    worker = join(cli, address)

    _, err = process.communicate(timeout=30)
    worker.communicate(timeout=15)

    assert process.returncode == 2, err
    assert "of 2 only 1 connected within 8 s" in err


def test_a_worker_that_finds_nobody_says_so(cli: Cli) -> None:
    done = cli("worker", "127.0.0.1:9", "--join-within", "1s", environment=CREDENTIALS)

    assert done.code == 2, done
    assert "127.0.0.1:9: nobody listens there (Connection refused)" in done.err


def test_an_interrupted_worker_sends_its_results_and_leaves_its_share(cli: Cli) -> None:
    process, address = start_bound(cli, "--duration", "5s", *OPEN)
    joined = [join(cli, address) for _ in range(2)]
    folder = cli.folder / "out"
    wait_for(lambda: reporting(folder) == {0, 1}, "an interval of each worker")

    joined[0].send_signal(signal.SIGINT)
    ended = joined[0].communicate(timeout=15)
    _, err = process.communicate(timeout=40)

    assert joined[0].returncode == 130, ended
    assert joined[1].wait(timeout=10) == 0
    assert process.returncode == 3, err
    assert lost_of(folder) == []
    notes = [record.text for record in records_of(folder, Note)]
    assert any("was interrupted at" in note and "one other worker fires" in note for note in notes)
    assert sum(one.offered for one in intervals_of(folder) if one.last) == pytest.approx(1000, abs=60)


def test_remote_workers_fire_no_more_when_the_run_is_killed(cli: Cli) -> None:
    process, address = start_bound(cli, "--grace", "0s", "--duration", "60s", *OPEN, expected=1)
    worker = join(cli, address)
    wait_for(lambda: intervals_of(cli.folder / "out"), "a first interval")
    coordinator = processes_of(process.pid, COORDINATOR)[0]

    coordinator.suspend()
    _, err = worker.communicate(timeout=10)
    coordinator.kill()
    process.communicate(timeout=20)

    assert worker.returncode == 3, err
    assert "the coordinator is gone" in err


def test_workers_of_other_machines_exclude_the_embedded_mock(cli: Cli) -> None:
    flags = ("--bind", "0.0.0.0:0", "--expect-workers", "1", "--join-within", "1s", "--out", "out")

    done = cli("run", *flags, environment=CREDENTIALS)

    assert done.code == 2, done
    assert "the embedded mock listens on this machine alone" in done.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--bind", "127.0.0.1"), "--bind: give --expect-workers N"),
        (("--bind", "nowhere", "--expect-workers", "1"), "--bind: 'nowhere' must be HOST:PORT"),
        (
            ("--bind", "192.0.2.1:5557", "--expect-workers", "1", "--target", "http://127.0.0.1:9"),
            "cannot be listened on",
        ),
        (("--bind", "::1:5557", "--expect-workers", "1"), "[IPv6 address]"),
        (("--bind", "[::1]:99999", "--expect-workers", "1"), "a port up to 65535"),
        (("--expect-workers", "1"), "give --bind HOST:PORT"),
        (("--bind", "127.0.0.1:0", "--expect-workers", "1", "--workers", "some"), "--workers: 'some'"),
    ],
)
def test_wrong_addresses_are_one_message(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    done = cli("run", *flags, "--out", "out", environment=CREDENTIALS)

    assert done.code == 2, done
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (cli.folder / "out").exists()


def test_auto_takes_a_worker_for_each_core_but_one(cli: Cli) -> None:
    (cli.folder / "closed.toml").write_text("users = 200\nconversations = 200\n")
    done = cli("run", "closed.toml", "--workers", "auto", "--out", "out")

    assert done.code == 0, done
    assert summary_of(cli.folder / "out")["workers"] == max(len(psutil.Process().cpu_affinity()) - 1, 1)
