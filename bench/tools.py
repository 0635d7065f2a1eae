"""Runs processes pinned to a core, and reads what convload's runs measured.

The mock has the first core and the generator, with its coordinator, the last, so that what is measured is the
generator alone.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from convload import bundled
from convload.contract import paths
from convload.contract.steps import CREATE
from convload.errors import ExitCode
from convload.mock.process import MockProcess, start_mock
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue
from convload.plan.mock_behaviour import Behaviour
from convload.results import run as results
from convload.results import runlog
from convload.results.measured import Figures as Create
from convload.results.runlog import Interval, RunLog, Started

ROOT = Path(__file__).parent
ACCOUNT = "12345678"
SEED = 7
"""As in plan.toml."""
CONNECTIONS = 32
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CORES = sorted(os.sched_getaffinity(0))
MOCK_CORE, TOOL_CORE = CORES[0], CORES[-1]
COMMAND = [sys.executable, "-m", "convload.cli", "run", str(ROOT / "plan.toml"), "--consumers", "none"]
"""A run by the plan of the bench; naming a target asks for tokens unless somebody says otherwise."""
SLACK_S = 90
"""A run that takes this much longer than it should is given up."""

MEASURED = frozenset(map(int, (ExitCode.PASS, ExitCode.GATE_FAILED, ExitCode.INCONCLUSIVE)))
"""Exit codes of a run that went to its end: whether a loaded machine supports a verdict is not asked here."""


class Run:
    """What one run of convload measured after its warm-up."""

    def __init__(self, log: RunLog) -> None:
        self._run = results.Run(log)

    @cached_property
    def create(self) -> Create:
        """The figures of the create request."""
        return self._run.create

    @cached_property
    def intervals(self) -> list[Interval]:
        """The whole intervals of the measured time; the first and the last of a run are short or mixed."""
        window = self._run.window
        whole = (one for one in self._run.intervals if not one.last)
        # An interval ends a hair after its second.
        return [one for one in whole if one.from_s >= window.from_s and one.to_s <= window.to_s + 0.1]

    @property
    def end(self) -> Interval:
        """The last interval of the first worker."""
        return self._run.workers[0][-1]

    @property
    def started_unix_s(self) -> float:
        """The instant that the schedule counts from."""
        return next(record.at_unix_s for record in self._run.log.records if isinstance(record, Started))

    @property
    def requests(self) -> int:
        """Create requests in the measured intervals."""
        cells = (cell for one in self.intervals for cell in one.cells)
        return sum(cell.count for cell in cells if cell.step == CREATE)

    @property
    def cpu_s(self) -> float:
        """CPU time of the workers in the measured intervals."""
        return sum(one.cpu_share * (one.to_s - one.from_s) for one in self.intervals)

    @property
    def requests_per_s(self) -> float:
        """Requests of all workers per second."""
        workers = {one.worker for one in self.intervals}
        return self.requests * len(workers) / sum(one.to_s - one.from_s for one in self.intervals)

    @property
    def requests_per_cpu_s(self) -> float:
        """Requests per second of CPU time."""
        return self.requests / self.cpu_s

    @property
    def cpu_us_per_request(self) -> float:
        """CPU time of a request, everything of a worker included."""
        return self.cpu_s / self.requests * 1e6


def convload(
    url: str,
    folder: Path,
    *options: str,
    seconds: float = SECONDS,
    warmup_s: float = 1,
    cores: frozenset[int] = frozenset({TOOL_CORE}),
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Runs `convload run` against a target and reads its run log."""
    out = folder / f"run-{time.monotonic_ns()}"
    command = [*COMMAND, "--target", url, "--warmup", f"{warmup_s}s", "--out", str(out), *options]
    if "--conversations" not in options:
        command += ["--duration", f"{seconds}s"]
    run(command, timeout_s=seconds + SLACK_S, accept=MEASURED, cores=cores, environment=environment)
    log = runlog.read(out)
    assert not log.damage, log.damage
    return Run(log)


def run(
    command: list[str],
    *,
    timeout_s: float,
    accept: frozenset[int] = frozenset({0}),
    cores: frozenset[int] = frozenset({TOOL_CORE}),
    environment: Mapping[str, str] | None = None,
) -> str:
    """Runs a generator and returns what it printed; ends the bench when its exit code is none to accept."""
    env = os.environ | dict(environment or {})
    with on_cores(cores):
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=timeout_s, check=False)
    if done.returncode not in accept:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


@contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """Pins this thread, and the children that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def pinned_mock(*, tls: bool = False) -> Iterator[MockProcess]:
    """Starts a mock that asks for no tokens, on the first core."""
    with start_mock(Behaviour(auth=False), tls=tls) as mock:
        os.sched_setaffinity(mock.pid, {MOCK_CORE})
        yield mock


def create_url(mock: MockProcess) -> str:
    """Returns the address that creates are posted to."""
    return mock.url + paths.create(ACCOUNT)


def seed_body() -> bytes:
    """Returns the documented example."""
    return Builder(Catalogue.read(bundled.folder("payloads")), mix="seed", account=ACCOUNT, seed=SEED).build(0).body


def children_cpu_s() -> float:
    """Returns the CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


Measurement = dict[str, float]


def interleaved(tools: dict[str, Callable[[], Measurement]], rounds: int = ROUNDS) -> dict[str, Measurement]:
    """Runs each tool in turn, round after round, so that a machine that drifts drifts for all; returns medians."""
    found: dict[str, list[Measurement]] = {name: [] for name in tools}
    for _ in range(rounds):
        for name, tool in tools.items():
            found[name].append(tool())
            print(f"  {name}: {', '.join(f'{key} {value:,.4g}' for key, value in found[name][-1].items())}", flush=True)
    return {name: {key: statistics.median(one[key] for one in many) for key in many[0]} for name, many in found.items()}
