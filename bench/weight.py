"""What an installation weighs, and how soon it is ready: `make bench BENCH_ONLY=weight`.

Makes two environments in FOLDER from the locks, everything and what a worker needs, and tells their sizes beyond an
empty one. Then starts `convload worker` of the second with a run of this environment that waits for it: ready is when
the coordinator names the instant of the start, so joining, taking the plan and measuring the clocks are in it.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
from bench.figures import Figure, as_text
from bench.tools import ROOT as BENCH

from convload.load.processes.messages import START_DELAY_S
from convload.results import runlog
from convload.results.runlog import Started

ROOT = BENCH.parent
MEGA = 1e6
ROUNDS = 5
READY_S = 1.5
POLL_S = 0.02
INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""Of processes that are to have the code that is installed, and no other."""

SHORT = ("smoke", "--users", "2", "--conversations", "20", "--exit-zero", "--out", "out")
TIMEOUT_S = 600


def main() -> None:
    """Prints the figures."""
    print(as_text({"sections": {"weight": [figure.told() for figure in weight(Path(sys.argv[1]).resolve())]}}))


def weight(folder: Path) -> list[Figure]:
    """Sizes of environments, and the time and processor time from a start until a run can begin."""
    folder.mkdir(exist_ok=True)
    everything = environment(folder / "everything", "requirements.lock", dependencies=True)
    worker = environment(folder / "worker", "deploy/worker.lock", dependencies=False)
    empty_mb = size_mb(environment(folder / "empty", None, dependencies=False))
    workers = [start_of_worker(worker, folder / f"worker{number}") for number in range(ROUNDS + 1)][1:]
    runs = [start_of_run(everything, folder / f"run{number}") for number in range(ROUNDS + 1)][1:]
    load = f"load average {os.getloadavg()[0]:.1f}"
    return [
        Figure("everything, beyond an empty environment", size_mb(everything) - empty_mb, "MB"),
        Figure("a worker, beyond an empty environment", size_mb(worker) - empty_mb, "MB", at_most=150),
        Figure("a worker, imports, CPU time", imports_cpu_s(worker), "s"),
        Figure("a worker, start to ready, CPU time", median(one.cpu_s for one in workers), "s"),
        Figure("a worker, start to ready", median(one.s for one in workers), "s", at_most=READY_S, note=load),
        Figure("a run on one machine, start to first request", median(one.s for one in runs), "s", note=load),
        Figure("a run on one machine, whole, CPU time of its processes", median(one.cpu_s for one in runs), "s"),
    ]


def environment(folder: Path, lock: str | None, *, dependencies: bool) -> Path:
    """Makes an environment with convload of this checkout in it, and what it needs by a lock."""
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=TIMEOUT_S)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if dependencies and lock:
        subprocess.run([*pip, "--constraint", _versions(lock, folder), str(ROOT)], check=True, timeout=TIMEOUT_S)
    elif lock:
        subprocess.run([*pip, "--no-deps", "-r", str(ROOT / lock)], check=True, timeout=TIMEOUT_S)
        subprocess.run([*pip, "--no-deps", str(ROOT)], check=True, timeout=TIMEOUT_S)
    return folder


def _versions(lock: str, folder: Path) -> str:
    lines = [
        line.rstrip("\\ ") for line in (ROOT / lock).read_text().splitlines() if "==" in line and line[0].isalnum()
    ]
    (folder / "versions.txt").write_text("\n".join(lines))
    return str(folder / "versions.txt")


def size_mb(folder: Path) -> float:
    """Returns the bytes of all files in an environment, without what Python compiled and pip itself."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = [path for path in files if not {"__pycache__", "pip"} & set(path.parts)]
    return sum(path.stat().st_size for path in kept) / MEGA


def imports_cpu_s(worker: Path) -> float:
    """Returns the processor time until a worker's process has all its code, which a busy machine does not change."""
    code = "import time, convload.cli.worker, convload.load.processes.worker; print(time.process_time())"
    command = [str(worker / "bin" / "python"), "-c", code]
    asked = (
        subprocess.run(command, capture_output=True, text=True, check=True, env=INSTALLED).stdout for _ in range(ROUNDS)
    )
    return median(map(float, asked))


class Start(NamedTuple):
    """What a start took."""

    s: float
    cpu_s: float


def start_of_worker(worker: Path, folder: Path) -> Start:
    """Starts a worker for a run that waits for it; its processor time is that until the run could begin."""
    folder.mkdir()
    convload = [sys.executable, "-m", "convload.cli"]
    subprocess.run([*convload, "key", "new", "--out", "key"], cwd=folder, check=True, capture_output=True)
    shared = ("--bind", "127.0.0.1:0", "--expect-workers", "1", "--key-file", "key")
    run = subprocess.Popen(
        [*convload, "run", *SHORT, *shared], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    line = next(line for line in run.stderr if "convload worker" in line)
    address = line.partition("convload worker ")[2].split()[0]
    began_s = time.time()
    process = psutil.Popen(
        [str(worker / "bin" / "convload"), "worker", address, "--key-file", "key"], cwd=folder, env=INSTALLED
    )
    while b'"record":"started"' not in (folder / "out" / "run.jsonl").read_bytes():
        time.sleep(POLL_S)
    used = process.cpu_times()
    process.wait(TIMEOUT_S)
    run.communicate(timeout=TIMEOUT_S)
    return Start(ready_unix_s(folder) - began_s, used.user + used.system)


def start_of_run(everything: Path, folder: Path) -> Start:
    """Makes a short run against the embedded mock; its processor time is that of all its processes to their end."""
    folder.mkdir()
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    command = [str(everything / "bin" / "convload"), "run", *SHORT]
    subprocess.run(command, cwd=folder, check=True, timeout=TIMEOUT_S, capture_output=True, env=INSTALLED)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Start(ready_unix_s(folder) + START_DELAY_S - began_s, cpu_s)


def ready_unix_s(folder: Path) -> float:
    """Returns when the coordinator named the instant of the start."""
    [started] = [one for one in runlog.read(folder / "out").records if isinstance(one, Started)]
    return started.at_unix_s - START_DELAY_S


if __name__ == "__main__":
    main()
