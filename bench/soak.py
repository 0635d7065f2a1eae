"""A long run that meets a fault every minute, drawn from a seed; in the end its counts must reconcile.

`python -m bench.soak --seconds 3600 --seed 1 --every 60`: two workers of its own and two that joined, each through a
proxy that can stop passing bytes, fire at a mock. docs/reliability.md says what the faults are and what is asked.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from bench.soak_judge import Seen, judge

from convload.errors import ExitCode
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour
from convload.results import runlog
from convload.results.runlog import Started

CONVLOAD = [sys.executable, "-m", "convload.cli"]
OURS, JOINED = (0, 1), (2, 3)
"""The workers: those that the run starts, and those that join it."""
MOST_KILLS = 2
"""One of each sort, so that one of each is left for the other faults."""
MOUNT, UMOUNT = "/usr/bin/mount", "/usr/bin/umount"
DISK_BYTES = 1 << 30
SETUP_S, ENDING_S = 60.0, 150.0
SAMPLE_EVERY_S = 1.0
MODULES = {"worker": "convload.load.processes.worker", "coordinator": "convload.load.processes.coordinator"}


@dataclass(frozen=True)
class Fault:
    """What happens at an instant of the run; `worker` is -1 where it meets none."""

    at_s: float
    kind: str
    for_s: float = 0.0
    worker: int = -1


def draw(seed: int, seconds: float, every_s: float) -> list[Fault]:
    """Returns the faults of a soak, one in the middle of each stretch of `every_s`."""
    chance = random.Random(seed)
    slots = range(int(seconds / every_s))
    victims = chance.sample([chance.choice(OURS), chance.choice(JOINED)], MOST_KILLS)
    kills = dict(zip(sorted(chance.sample(slots, min(MOST_KILLS, (len(slots) + 1) // 2))), victims, strict=False))
    left, faults = [*OURS, *JOINED], []
    for slot in slots:
        at_s = round((slot + chance.uniform(0.3, 0.5)) * every_s, 1)
        if slot in kills:
            left.remove(kills[slot])
            faults.append(Fault(at_s, "kill", worker=kills[slot]))
        else:
            faults.append(_passing(chance, at_s, every_s / 2, left))
    return faults


def _passing(chance: random.Random, at_s: float, most_s: float, left: list[int]) -> Fault:
    """Draws a fault that nobody is lost by: a worker of the run may be silent for 3.5 s, one that joined for 20 s."""
    kind = chance.choice(["stop", "cut", "freeze", "hold", "disk"])
    joined = [worker for worker in left if worker in JOINED]
    worker = {"stop": chance.choice(left), "cut": chance.choice(joined)}.get(kind, -1)
    longest_s = {"stop": 10.0 if worker in JOINED else 2.5, "cut": 15.0, "freeze": 8.0, "hold": 4.0, "disk": 10.0}
    for_s = chance.uniform(2.0 if kind == "cut" else 0.5, longest_s[kind])
    return Fault(at_s, kind, round(min(for_s, most_s), 1), worker)


class Proxy:
    """A TCP proxy on a port of its own; while it is `cut` it keeps what it is sent."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._passes = threading.Event()
        self._passes.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Passes nothing meanwhile, either way."""
        self._passes.clear()
        try:
            yield
        finally:
            self._passes.set()

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._passes.wait()
        with suppress(OSError), near, socket.create_connection(self._to) as far:
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passes.wait()
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class Disk:
    """A file system of its own in memory, where it can be had; it can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        command = [MOUNT, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        self.mounted = os.access(MOUNT, os.X_OK) and _succeeds(command)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Has no room for another page meanwhile."""
        while not self._resize(self._used_bytes()):
            pass  # it grew between the look and the change
        try:
            yield
        finally:
            assert self._resize(DISK_BYTES)

    def close(self, kept: Path) -> None:
        """Keeps what is on it, and takes it away."""
        shutil.copytree(self.folder, kept, symlinks=True, dirs_exist_ok=True)
        if self.mounted:
            subprocess.run([UMOUNT, "-l", str(self.folder)], check=True)

    def _used_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def _resize(self, size: int) -> bool:
        command = [MOUNT, "-o", f"remount,size={size}", str(self.folder)]
        return _succeeds(command)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Lets a process not run meanwhile."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


class Soak:
    """The processes of one soak, and what is seen of them."""

    def __init__(self, folder: Path, disk: Disk, stack: ExitStack) -> None:
        self.folder, self.disk, self._stack = folder, disk, stack
        self.out = disk.folder / "run"
        self.memory: dict[str, list[tuple[float, int]]] = {}
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("CONVLOAD_")}
        self._environment |= {"CONVLOAD_CLIENT_ID": "soak", "CONVLOAD_CLIENT_SECRET": "soak"}
        self._key = str(folder / "worker.key")
        subprocess.run([*CONVLOAD, "key", "new", "--out", self._key], check=True)

    def begin(self, rate: int, seconds: int) -> None:
        """Starts mock, run and the workers that join it, and waits for the first user."""
        self.mock = self._stack.enter_context(start_mock(Behaviour(service_time="lognormal(20ms, 0.4)")))
        options = ["--target", self.mock.url, "--rate", str(rate), "--arrivals", "even", "--duration", f"{seconds}s"]
        options += ["--warmup", "0s", "--workers", str(len(OURS)), "--expect-workers", str(len(JOINED))]
        self.run = self._start("run", "run", "smoke", *options, "--bind", "127.0.0.1:0", "--out", str(self.out))
        host, port = self._listening().rsplit(":", 1)
        self.proxies = {number: Proxy((host, int(port))) for number in JOINED}
        for proxy in self.proxies.values():
            self._stack.callback(proxy.close)
        self.joined = {n: self._start(f"worker-{n}", "worker", self.proxies[n].address) for n in JOINED}
        self._await(lambda: (self.out / runlog.FILE_NAME).exists() and self._started(), "the run did not start")
        self._started_s = time.monotonic()
        ours = sorted(self._children("worker"), key=lambda one: one.pid)
        self.workers = dict(zip(OURS, ours, strict=True)) | {n: psutil.Process(p.pid) for n, p in self.joined.items()}
        self.coordinator = self._children("coordinator")[0]
        self.everybody = [psutil.Process(self.run.pid), *psutil.Process(self.run.pid).children(recursive=True)]

    def meet(self, fault: Fault) -> None:
        """Waits for the instant of a fault, does it, and undoes what can be undone."""
        self.watch(fault.at_s)
        if fault.kind == "kill":
            self.workers.pop(fault.worker).kill()
            return
        doing: dict[str, Callable[[], Any]] = {
            "stop": lambda: stopped(self.workers[fault.worker]),
            "hold": lambda: stopped(self.coordinator),
            "freeze": lambda: stopped(psutil.Process(self.mock.pid)),
            "cut": lambda: self.proxies[fault.worker].cut(),  # noqa: PLW0108 -- looked up for a cut alone
            "disk": self.disk.full,
        }
        with doing[fault.kind]():
            self.watch(fault.at_s + fault.for_s)

    def watch(self, until_s: float) -> None:
        """Looks at the memory of all until an instant of the run, or until the run ends."""
        while (left_s := until_s - self._elapsed_s()) > 0 and self.run.poll() is None:
            named = {f"worker {number}": process for number, process in self.workers.items()}
            for name, process in (named | {"coordinator": self.coordinator}).items():
                with suppress(psutil.NoSuchProcess):
                    self.memory.setdefault(name, []).append((self._elapsed_s(), process.memory_info().rss))
            time.sleep(min(left_s, SAMPLE_EVERY_S))

    def end(self) -> Seen:
        """Waits for the end of all, and returns what is to be judged."""
        self.watch(self._elapsed_s() + ENDING_S)
        code = self.run.wait(timeout=1)
        codes = [self.joined[n].wait(timeout=10) for n in self.joined if n in self.workers]
        with urllib.request.urlopen(f"{self.mock.url}/__mock__/stats", timeout=10) as answer:  # noqa: S310 -- http
            stats = json.load(answer)
        left = [one.pid for one in psutil.wait_procs(self.everybody, timeout=5)[1]]
        words = "".join(path.read_text(errors="replace") for path in self.folder.glob("*.err"))
        files = {path.name for path in self.out.iterdir()}
        return Seen(runlog.read(self.out), files, code, codes, stats, self.memory, left, words)

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.out").open("wb") as out, (self.folder / f"{name}.err").open("wb") as err:
            command = [*CONVLOAD, *arguments, "--key-file", self._key]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self._environment)
        self._stack.callback(_end, process)
        return process

    def _listening(self) -> str:
        """Returns the address that the run tells to the workers that it waits for."""
        said = self.folder / "run.err"
        self._await(lambda: "convload worker " in said.read_text(), "the run does not listen")
        return said.read_text().partition("convload worker ")[2].split()[0]

    def _started(self) -> bool:
        return any(isinstance(record, Started) for record in runlog.read(self.out).records)

    def _await(self, reached: Callable[[], bool], problem: str) -> None:
        deadline_s = time.monotonic() + SETUP_S
        while not reached():
            if time.monotonic() > deadline_s or self.run.poll() is not None:
                sys.exit(f"{problem}: {(self.folder / 'run.err').read_text()}")
            time.sleep(0.1)

    def _children(self, role: str) -> list[psutil.Process]:
        children = psutil.Process(self.run.pid).children(recursive=True)
        return [child for child in children if MODULES[role] in child.cmdline()]

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leaves nothing of a soak that came to no end."""
    if process.poll() is None:
        for one in psutil.Process(process.pid).children(recursive=True):
            one.kill()
        process.kill()
    process.wait()


def soak(folder: Path, *, seed: int, seconds: int, every_s: float, rate: int) -> tuple[list[Fault], Seen]:
    """Does one soak in a new folder; returns the faults that it met, and what is to be judged."""
    folder.mkdir(parents=True)
    met = []
    with ExitStack() as stack:
        disk = Disk(folder.resolve() / "disk")
        stack.callback(disk.close, folder)
        if not disk.mounted:
            print("left out: a full disk, which takes a file system of its own, and root to mount it")
        one = Soak(folder.resolve(), disk, stack)
        one.begin(rate, seconds)
        for fault in (fault for fault in draw(seed, seconds, every_s) if disk.mounted or fault.kind != "disk"):
            print(f"{fault.at_s:8.1f} s  {fault.kind:6}  {_whom(fault)}", flush=True)
            with suppress(psutil.NoSuchProcess):  # it ended by itself, which the log must say
                one.meet(fault)
                met.append(fault)
        return met, one.end()


def main() -> int:
    """Does one soak, prints what happened and what is wrong; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("reports", f"soak-{time.strftime('%Y%m%dT%H%M%S')}"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    faults, seen = soak(given.out, seed=given.seed, seconds=given.seconds, every_s=given.every, rate=given.rate)
    figures, problems = judge(seen, due=given.rate * given.seconds, kills=count_kills(faults))
    told = {"faults": [asdict(fault) for fault in faults], "figures": figures, "problems": problems}
    (given.out / "soak.json").write_text(json.dumps(told, indent=1))
    for line in [*(f"{name}: {value}" for name, value in figures.items()), *(f"WRONG: {text}" for text in problems)]:
        print(line)
    print(f"{given.out}: {len(faults)} faults, {len(problems)} problems")
    return int(ExitCode.GATE_FAILED if problems else ExitCode.PASS)


def count_kills(faults: list[Fault]) -> int:
    """Returns how many workers must be lost by these faults."""
    return sum(fault.kind == "kill" for fault in faults)


def _whom(fault: Fault) -> str:
    if fault.kind == "kill":
        return f"worker {fault.worker}"
    return f"{fault.for_s:4.1f} s" + (f"  worker {fault.worker}" if fault.worker >= 0 else "")


if __name__ == "__main__":
    sys.exit(main())
