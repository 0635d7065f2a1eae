"""`python -m tests.attacks.by_hand`, as root: four attacks between two machines, each with what was seen of it.

The machines are network namespaces. On one is the run, on the other a mock and the worker that joins.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.attacks.network import Network, creates_received, on, sniffed
from tests.conftest import Cli, intervals_of, listening, summary_of, wait_for

from convload.load.processes.keys import new_key

RATE, DURATION_S = 100, 20
SHARED = "one for all machines"
WORDS = (b"create_conversation", b"Measured", b"convload.message", b"client_ready", b'"rate"', SHARED.encode())
STRANGER = """
import json, sys, time
from tests.attacks.peer import Peer
port, seconds, key = int(sys.argv[1].rpartition(":")[2]), float(sys.argv[2]), sys.argv[3] or None
ends, sent = time.monotonic() + seconds, 0
while time.monotonic() < ends:
    with Peer(port, key, b"a stranger", host=sys.argv[1].rpartition(":")[0]) as peer:
        for frame in (b"", b"\\xc1", b"\\x93\\xa5conv", b"x" * 1000):
            peer.socket.send(frame)
            sent += 1
        time.sleep(0.1)
print(sent)
"""


class Machines:
    """The two of them, a mock on the far one, and what is started there."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.cli, self.network = Cli(folder), network
        self.key = new_key()
        self.environment = {
            "CONVLOAD_WORKER_KEY": self.key, "CONVLOAD_CLIENT_ID": "app", "CONVLOAD_CLIENT_SECRET": SHARED,
        }  # fmt: skip
        mock = self.there("mock")
        assert mock.stdout is not None
        self.url = str(json.loads(mock.stdout.readline())["url"])

    def there(self, *arguments: str, key: str = "") -> "subprocess.Popen[str]":
        """Starts a command on the far machine."""
        own = {"CONVLOAD_WORKER_KEY": key} if key else {}
        return self.cli.start(*arguments, prefix=on(self.network.there), environment=self.environment | own)

    def run(self, out: str, *flags: str, target: str = "", key: str = "") -> "subprocess.Popen[str]":
        """Starts a run on the near machine, which waits for one worker."""
        own = {"CONVLOAD_WORKER_KEY": key} if key else {}
        return self.cli.start(
            *("run", "--bind", f"{self.network.address}:0", "--expect-workers", "1", "--out", out, "--warmup", "0s"),
            *("--target", target or self.url, "--rate", str(RATE), "--arrivals", "even", *flags),
            *([] if "--duration" in flags else ["--duration", f"{DURATION_S}s"]),
            prefix=on(self.network.here),
            environment=self.environment | own,
        )

    def seen(self, out: str, process: "subprocess.Popen[str]", worker: "subprocess.Popen[str]", before: int) -> str:
        """Waits for the end, and returns the counts that must agree."""
        process.communicate(timeout=120)
        worker.communicate(timeout=30)
        summary = summary_of(self.cli.folder / out)
        counts, received = summary["counts"], creates_received(self.network.there, self.url) - before
        dropped = re.findall(
            r"[\d,]+ attempts to connect without the key of this run were refused", str(summary["notes"])
        )
        return (
            f"run {process.returncode}, worker {worker.returncode}; due {RATE * DURATION_S}, sent {counts['sent']}, "
            f"recorded {counts['recorded']}, received by the mock {received}; "
            + "; ".join([*dropped, summary["verdict"]["text"]])
        )

    def received(self) -> int:
        """How many creates the mock has counted."""
        return creates_received(self.network.there, self.url)


def rogue_coordinator(machines: Machines) -> list[str]:
    """Waits for the worker without its key; then with the key, and names a target that the worker may not fire at."""
    seen, before = [], machines.received()
    process = machines.run("without", key=new_key())
    worker = machines.there("worker", listening(process))
    said = worker.communicate(timeout=60)[1].strip().splitlines()[-1]
    process.terminate()
    process.communicate(timeout=30)
    seen.append(f"without the key: worker {worker.returncode}: {said}")
    target = f"http://{machines.network.address}:9"
    process = machines.run("with", "--insecure", "--allow-host", machines.network.address, target=target)
    worker = machines.there("worker", listening(process))
    said = worker.communicate(timeout=60)[1].strip().splitlines()[-1]
    process.communicate(timeout=30)
    seen.append(f"with the key and another target: worker {worker.returncode}: {said}")
    return [*seen, f"creates that the mock received meanwhile: {machines.received() - before}"]


def rogue_worker(machines: Machines) -> list[str]:
    """Strangers in clear text and with another key send frames to a run the whole time."""
    before = machines.received()
    process = machines.run("stranger")
    address = listening(process)
    worker = machines.there("worker", address)
    command = [*on(machines.network.there), sys.executable, "-c", STRANGER, address, "15"]
    strangers = [subprocess.Popen([*command, key], stdout=subprocess.PIPE, text=True) for key in ("", new_key())]
    sent = [one.communicate(timeout=60)[0].strip() for one in strangers]
    seen = machines.seen("stranger", process, worker, before)
    return [f"frames sent in clear text {sent[0]}, with another key {sent[1]}", seen]


def sniffing(machines: Machines) -> list[str]:
    """Keeps all that goes over the wire of a run."""
    before, wire = machines.received(), machines.cli.folder / "wire"
    with sniffed(machines.network.there, wire):
        process = machines.run("sniffed")
        worker = machines.there("worker", listening(process))
        seen = machines.seen("sniffed", process, worker, before)
    content = wire.read_bytes()
    found = [word.decode() for word in WORDS if word in content]
    return [f"{len(content):,} bytes on the wire; of {len(WORDS)} words of plan, messages and secrets: {found}", seen]


def cut_of_15_s(machines: Machines) -> list[str]:
    """Takes the wire down in the middle of a run."""
    before = machines.received()
    process = machines.run("cut")
    worker = machines.there("worker", listening(process))
    wait_for(lambda: intervals_of(machines.cli.folder / "cut"), "a first interval")
    machines.network.cut(15)
    return [machines.seen("cut", process, worker, before)]


ATTACKS: tuple[Callable[[Machines], list[str]], ...] = (rogue_coordinator, rogue_worker, sniffing, cut_of_15_s)


def say(line: str) -> None:
    """Shows a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Tries them one after the other."""
    network = Network()
    with tempfile.TemporaryDirectory() as folder:
        machines = Machines(Path(folder), network)
        try:
            for attack in ATTACKS:
                say(f"{attack.__name__.replace('_', ' ')}: {attack.__doc__}")
                for line in attack(machines):
                    say(f"  {line}")
        finally:
            machines.cli.end()
            network.end()


if __name__ == "__main__":
    main()
