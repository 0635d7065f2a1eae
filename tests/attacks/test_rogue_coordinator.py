"""A run that has the key and means no good: a worker contacts nobody and runs nothing that it was not started for."""

import socket

import psutil
from tests.conftest import Cli, listening

from convload import bundled
from convload.load.processes.keys import new_key

KEY = {"CONVLOAD_WORKER_KEY": new_key(), "CONVLOAD_CLIENT_ID": "app", "CONVLOAD_CLIENT_SECRET": "s3cret"}
BOUND = ("run", "--bind", "127.0.0.1:0", "--expect-workers", "1", "--duration", "1s", "--out", "out")
LEAVES_A_TRACE = "import sys\nif 'worker' in sys.orig_argv: open('ran', 'w')\n"


def address_of_this_machine() -> str:
    """Returns one at which it is reached from elsewhere, so that a request that is sent comes."""
    found = [one for addresses in psutil.net_if_addrs().values() for one in addresses]
    return next(
        str(one.address) for one in found if one.family == socket.AF_INET and not one.address.startswith("127.")
    )


def test_a_worker_contacts_no_host_that_it_was_not_started_for(cli: Cli) -> None:
    host = address_of_this_machine()
    with socket.create_server((host, 0)) as target:
        target.setblocking(False)
        url = f"http://{host}:{target.getsockname()[1]}"
        process = cli.start(*BOUND, "--target", url, "--allow-host", host, "--insecure", environment=KEY)

        done = cli("worker", listening(process), environment=KEY)
        _, err = process.communicate(timeout=30)

        assert (process.returncode, done.code) == (2, 2), (err, done)
        assert f"it is not to fire at {host}" in done.err
        assert f"it is not to fire at {host}" in err
        try:
            target.accept()
        except BlockingIOError:
            return
    raise AssertionError("somebody connected to the target")


def test_a_worker_runs_no_code_that_it_was_not_started_for(cli: Cli) -> None:
    bundled_code = (bundled.folder("locustfiles") / "create_conversation.py").read_text("utf-8")
    (cli.folder / "own.py").write_text(bundled_code + LEAVES_A_TRACE)
    process = cli.start(*BOUND, "--locustfile", "own.py", environment=KEY)

    done = cli("worker", listening(process), environment=KEY)
    _, err = process.communicate(timeout=30)

    assert (process.returncode, done.code) == (2, 2), (err, done)
    assert "--allow-code" in done.err
    assert not (cli.folder / "ran").exists()
