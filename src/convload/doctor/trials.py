"""Tries one rate: a short open run against the embedded mock, through the same door as `convload run`."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from convload import machine
from convload.comparison.conclusion import Conclusion, conclude
from convload.contract.steps import CREATE
from convload.errors import ConvloadError, ExitCode
from convload.judging.gate_result import FAIL
from convload.judging.generator import has_no_cpu_left, limits_of_trial
from convload.plan.facts import ValidityLimits
from convload.plan.plan import Plan, assemble
from convload.results import runlog
from convload.run.execution import execute

WARMUP_S = 1.0
IN_FLIGHT_A_WORKER = 300
"""With more users an overloaded worker falls into a backlog that it never works off."""

LIMITS_OF_TRIAL = limits_of_trial(ValidityLimits())

LIMITS = {
    "generator_saturated": "worker CPU",
    "late": "lateness",
    "hub_delay": "lateness",
    "rate_missed": "requests not sent in time",
    "unsent": "requests not sent in time",
    "files_exhausted": "file descriptors",
    "ports_exhausted": "local ports",
    "worker_lost": "a worker was lost",
}
"""What a reason of validity means for the machine."""

WORKER_CPU, MOCK_CPU, ALL_CORES, OTHER_WORK = "worker CPU", "mock CPU", "all cores", "other work on this machine"

OTHERS_SHARE = 0.2
"""Of all cores: so much taken by others delays a process that wants to run at once."""

SPAN_S = 1.0
MOCK_MODULE = "convload.mock"

BUSY_TIMES = ("user", "nice", "system", "irq", "softirq", "steal")
"""Of the machine's CPU times, those in which a core was not free for us."""


class CeilingTrial(msgspec.Struct, frozen=True):
    """A short run at one rate: rates per second, shares of a core. `reasons` are why it is not valid.

    `mock_cpu_share` is the busiest second of the embedded mock; `others_cores` is how many cores other work took
    meanwhile; None where it could not be seen. `limits` names what it met: see `limits_of`.
    """

    rate: float
    valid: bool
    achieved_per_s: float | None = None
    lateness_p50_ms: float | None = None
    lateness_p99_ms: float | None = None
    cpu_share: float | None = None
    mock_cpu_share: float | None = None
    others_cores: float | None = None
    reasons: list[str] = []
    limits: list[str] = []


class Seen(msgspec.Struct, frozen=True):
    """CPU times so far, in seconds: of the mock, of all processes of the trial, of the whole machine."""

    at_s: float
    mock_s: float
    own_s: float
    machine_s: float


class TrialWatch:
    """Looks at the children of this process again and again; what has ended keeps its last time."""

    def __init__(self) -> None:
        self._processes: dict[int, float] = {}
        self._mock_pid: int | None = None
        self.seen: list[Seen] = []

    def look(self, _folder: Path) -> None:
        """Notes the CPU times so far."""
        parent = psutil.Process()
        for child in [parent, *parent.children(recursive=True)]:
            self._note(child)
        if self._mock_pid is not None:
            own_s, mock_s = sum(self._processes.values()), self._processes[self._mock_pid]
            times = psutil.cpu_times()
            machine_s = sum(getattr(times, name, 0.0) for name in BUSY_TIMES)
            self.seen.append(Seen(time.monotonic(), mock_s, own_s, machine_s))

    def _note(self, process: psutil.Process) -> None:
        try:
            times = process.cpu_times()
            if self._mock_pid is None and MOCK_MODULE in process.cmdline():
                self._mock_pid = process.pid
        except psutil.Error:
            return  # it has ended
        self._processes[process.pid] = times.user + times.system


def busiest_share(seen: list[tuple[float, float]], span_s: float) -> float | None:
    """Returns the highest rise of CPU time over wall time between two points at least `span_s` apart."""
    highest, first = None, 0
    for at_s, cpu_s in seen:
        while first + 1 < len(seen) and at_s - seen[first + 1][0] >= span_s:
            first += 1
        length_s = at_s - seen[first][0]
        if length_s >= span_s:
            highest = max(highest or 0.0, (cpu_s - seen[first][1]) / length_s)
    return None if highest is None else round(highest, 3)


def taken_by_others(seen: list[Seen]) -> float | None:
    """Returns the cores that the machine was busy with, less those of the trial itself."""
    if not seen or seen[-1].at_s - seen[0].at_s < SPAN_S:
        return None
    first, last = seen[0], seen[-1]
    others_s = (last.machine_s - first.machine_s) - (last.own_s - first.own_s)
    return round(max(others_s, 0.0) / (last.at_s - first.at_s), 2)


def measure(rate: float, workers: int, seconds: float) -> CeilingTrial:
    """Fires at that rate for some seconds and returns what became of it.

    Raises:
        ConvloadError: the run could not be set up.
        KeyboardInterrupt: a person ended it.
    """
    watch = TrialWatch()
    with tempfile.TemporaryDirectory(prefix="convload-doctor-") as folder:
        try:
            conclusion = conclude(runlog.read(execute(plan_of(rate, workers, seconds), Path(folder), watch.look)))
        except ConvloadError as error:
            if error.exit_code == ExitCode.INTERRUPTED:
                raise KeyboardInterrupt from error
            raise
    if conclusion.verdict.exit_code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return read_trial(rate, conclusion, watch)


def plan_of(rate: float, workers: int, seconds: float) -> Plan:
    """Returns the plan of a trial: one request a conversation and no tokens, so that a rate is one of requests."""
    flags = {
        "name": "doctor",
        "rate": rate,
        "arrivals": "poisson",
        "duration": f"{seconds}s",
        "warmup": f"{min(WARMUP_S, seconds)}s",
        "workers": workers,
        "max_in_flight": IN_FLIGHT_A_WORKER * workers,
        "consumers": "none",
    }
    return msgspec.structs.replace(assemble(None, {}, flags), validity=LIMITS_OF_TRIAL)


def read_trial(rate: float, conclusion: Conclusion, watch: TrialWatch) -> CeilingTrial:
    """Returns what a finished run says of its rate."""
    summary = conclusion.summary
    create = summary.steps.get(CREATE)
    lateness = create.lateness_ms if create else {}
    failed = [gate.message for gate in conclusion.gates if gate.outcome == FAIL]
    reasons = [*conclusion.validity.reasons, *failed]
    trial = CeilingTrial(
        rate=rate,
        valid=not reasons,
        achieved_per_s=summary.achieved_rate,
        lateness_p50_ms=lateness.get("p50"),
        lateness_p99_ms=lateness.get("p99"),
        cpu_share=summary.generator.cpu_share,
        mock_cpu_share=busiest_share([(seen.at_s, seen.mock_s) for seen in watch.seen], SPAN_S),
        others_cores=taken_by_others(watch.seen),
        reasons=reasons,
    )
    names = [reason.name for reason in conclusion.validity.named]
    own_cores = (summary.generator.cpu_share_sum or 0.0) + (trial.mock_cpu_share or 0.0)
    return msgspec.structs.replace(trial, limits=limits_of(trial, names, own_cores, machine.usable_cores()))


def limits_of(trial: CeilingTrial, reason_names: Sequence[str], own_cores: float, cores: float) -> list[str]:
    """Names what a trial met, causes before what shows of them; none of a trial that was valid.

    `own_cores` is what workers and mock took together, `cores` how many there are.
    """
    if trial.valid:
        return []
    others_cores = trial.others_cores or 0.0
    busy = {
        WORKER_CPU: has_no_cpu_left(trial.cpu_share or 0.0, LIMITS_OF_TRIAL),
        MOCK_CPU: has_no_cpu_left(trial.mock_cpu_share or 0.0, LIMITS_OF_TRIAL),
        ALL_CORES: has_no_cpu_left(own_cores, LIMITS_OF_TRIAL, cores),
        OTHER_WORK: others_cores >= OTHERS_SHARE * cores,
    }
    causes = [name for name, is_met in busy.items() if is_met]
    return list(dict.fromkeys([*causes, *(LIMITS.get(name, name) for name in reason_names)]))
