"""Keys of runs with workers on other machines: how they are made, and that without the right one nothing is said."""

import socket
import time
from pathlib import Path

import pytest
from tests.conftest import Cli, listening, processes_of, wait_for

from convload.load.processes.keys import is_key, new_key

BOUND = ("run", "--bind", "127.0.0.1:0", "--expect-workers", "1", "--out", "out")


def test_a_new_key_is_for_its_owner_alone_and_is_not_shown(cli: Cli) -> None:
    done = cli("key", "new", "--out", "worker.key")

    path = cli.folder / "worker.key"
    key = path.read_text().strip()
    assert done.code == 0, done
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_key(key)
    assert key not in done.out + done.err


def test_a_key_is_not_overwritten(cli: Cli) -> None:
    (cli.folder / "worker.key").write_text("an older one")

    done = cli("key", "new", "--out", "worker.key")

    assert done.code == 2, done
    assert (cli.folder / "worker.key").read_text() == "an older one"


def test_a_key_for_a_pipeline_is_printed_alone(cli: Cli) -> None:
    done = cli("key", "new")

    assert is_key(done.out.strip()), done


@pytest.mark.parametrize("command", [BOUND, ("worker", "127.0.0.1:9")], ids=["run", "worker"])
def test_without_a_key_nothing_is_begun_and_one_message_says_how_to_make_one(
    cli: Cli, command: tuple[str, ...]
) -> None:
    done = cli(*command)

    assert done.code == 2, done
    assert len(done.err.splitlines()) == 1
    assert "`convload key new --out FILE`" in done.err
    assert not (cli.folder / "out").exists()


def test_what_is_no_key_is_refused_and_not_shown(cli: Cli) -> None:
    (cli.folder / "worker.key").write_text("5ecre7")
    (cli.folder / "worker.key").chmod(0o600)

    done = cli("worker", "127.0.0.1:9", "--key-file", "worker.key")

    assert done.code == 2, done
    assert "worker.key: holds no key" in done.err
    assert "5ecre7" not in done.err


@pytest.mark.parametrize(
    ("command", "mode"), [(BOUND, 0o604), (("worker", "127.0.0.1:9"), 0o640)], ids=["run", "worker"]
)
def test_a_key_that_is_open_to_others_is_refused_in_words(cli: Cli, command: tuple[str, ...], mode: int) -> None:
    path = cli.folder / "worker.key"
    path.write_text(new_key())
    path.chmod(mode)

    done = cli(*command, "--key-file", "worker.key")

    assert done.code == 2, done
    assert f"open to others than its owner (mode {mode:o})" in done.err
    assert "chmod 600" in done.err


def test_a_worker_without_a_key_says_nothing_on_the_wire(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        done = cli("worker", f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            listener.accept()

    assert done.code == 2, done


def test_a_wrong_key_ends_a_worker_and_the_run_goes_on_to_wait(cli: Cli) -> None:
    process = cli.start(*BOUND, environment={"CONVLOAD_WORKER_KEY": new_key()})
    address = listening(process)
    began_s = time.monotonic()

    done = cli("worker", address, environment={"CONVLOAD_WORKER_KEY": new_key()})

    assert done.code == 4, done
    assert "the key was refused" in done.err
    assert time.monotonic() - began_s < 20
    assert process.poll() is None


def test_no_process_of_a_run_shows_its_key_to_others(cli: Cli) -> None:
    key = new_key()
    process = cli.start(
        *("run", "--workers", "1", "--bind", "127.0.0.1:0", "--expect-workers", "1"),
        environment={"CONVLOAD_WORKER_KEY": key},
    )
    wait_for(lambda: processes_of(process.pid, "convload.load.processes.worker"), "a worker")
    seen = [Path(f"/proc/{process.pid}/cmdline")]
    for module in ("convload.load.processes.worker", "convload.load.processes.coordinator"):
        [child] = processes_of(process.pid, module)
        seen += [Path(f"/proc/{child.pid}/{name}") for name in ("cmdline", "environ")]

    assert [path for path in seen if key.encode() in path.read_bytes()] == []
