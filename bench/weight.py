"""What an installation weighs and how soon a worker is ready: `python -m bench.weight FOLDER`.

Makes two environments in FOLDER from the locks, everything and what a worker needs, and tells their sizes beyond an
empty one. Then starts `convload worker` of the second with a run of this environment that waits for it: ready is when
the coordinator names the instant of the start, so joining, taking the plan and measuring the clocks are in it.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.tools import ROOT as BENCH

from convload.load.processes.coordinator import START_DELAY_S
from convload.results import runlog
from convload.results.runlog import Started

ROOT = BENCH.parent
MEGA = 1e6
ROUNDS = 5
TIMEOUT_S = 600


def main() -> None:
    """Prints one JSON object."""
    folder = Path(sys.argv[1]).resolve()
    everything = environment(folder / "everything", "requirements.lock", dependencies=True)
    worker = environment(folder / "worker", "deploy/worker.lock", dependencies=False)
    empty = size_mb(environment(folder / "empty", None, dependencies=False))
    figures = {"everything_mb": size_mb(everything) - empty, "worker_mb": size_mb(worker) - empty}
    times = [start_to_ready_s(worker, folder / f"run{number}") for number in range(ROUNDS + 1)][1:]
    figures |= {"start_to_ready_s": median(times), "slowest_s": max(times), "imports_cpu_s": imports_cpu_s(worker)}
    figures["load_average"] = os.getloadavg()[0]
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


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
    asked = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(ROUNDS))
    return median(map(float, asked))


def start_to_ready_s(worker: Path, folder: Path) -> float:
    """Returns how long a worker takes from its start until the run could begin."""
    folder.mkdir()
    convload = [sys.executable, "-m", "convload.cli"]
    subprocess.run([*convload, "key", "new", "--out", "key"], cwd=folder, check=True, capture_output=True)
    plan = ("smoke", "--users", "2", "--conversations", "20", "--exit-zero", "--out", "out")
    shared = ("--bind", "127.0.0.1:0", "--expect-workers", "1", "--key-file", "key")
    run = subprocess.Popen([*convload, "run", *plan, *shared], cwd=folder, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    line = next(line for line in run.stderr if "convload worker" in line)
    address = line.partition("convload worker ")[2].split()[0]
    began_s = time.time()
    command = [str(worker / "bin" / "convload"), "worker", address, "--key-file", "key"]
    subprocess.run(command, cwd=folder, check=True, timeout=TIMEOUT_S)
    run.communicate(timeout=TIMEOUT_S)
    [started] = [one for one in runlog.read(folder / "out").records if isinstance(one, Started)]
    return started.at_unix_s - START_DELAY_S - began_s


if __name__ == "__main__":
    main()
