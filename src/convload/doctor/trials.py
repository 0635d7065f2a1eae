"""Measures one rate: a short open run against the embedded mock, through the same door as `convload run`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from convload import machine
from convload.comparison.conclusion import Conclusion, conclude
from convload.contract.steps import CREATE
from convload.doctor.search import Ceiling, CeilingTrial, search
from convload.doctor.watch import TrialWatch
from convload.errors import ConvloadError, ExitCode
from convload.judging.gate_result import FAIL
from convload.judging.generator import has_no_cpu_left, limits_of_trial
from convload.plan.limits import ValidityLimits
from convload.plan.plan import Plan, assemble
from convload.results import runlog
from convload.run.execution import execute

WARMUP_S = 1.0
IN_FLIGHT_A_WORKER = 300
"""With more users an overloaded worker falls into a backlog that it never works off."""

START_RATE, MOST_TRIALS = 2_000.0, 8
QUICK_START_RATE, QUICK_MOST_TRIALS = 4_000.0, 3
"""Rates a worker. Three doublings from 2,000 reach what a core of these years gives, and leave some to narrow."""

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


class Interrupted(Exception):  # noqa: N818 -- it asks for an end and is no error
    """A person ended a trial."""


def find_ceiling(workers: int, seconds: float, *, quick: bool, most_trials: int | None = None) -> Ceiling:
    """Searches the ceiling of so many workers of this machine; `most_trials` is as usual where it is None.

    Raises:
        ConvloadError: a run could not be set up.
        Interrupted: a person ended it.
    """
    start_rate, most = (QUICK_START_RATE, QUICK_MOST_TRIALS) if quick else (START_RATE, MOST_TRIALS)
    return search(lambda rate: measure(rate, workers, seconds), workers * start_rate, most_trials or most)


def measure(rate: float, workers: int, seconds: float) -> CeilingTrial:
    """Fires at that rate for some seconds and returns what became of it.

    Raises:
        ConvloadError: the run could not be set up.
        Interrupted: a person ended it.
    """
    watch = TrialWatch()
    with tempfile.TemporaryDirectory(prefix="convload-doctor-") as folder:
        try:
            conclusion = conclude(runlog.read(execute(plan_of(rate, workers, seconds), Path(folder), watch.look)))
        except ConvloadError as error:
            if error.exit_code == ExitCode.INTERRUPTED:
                raise Interrupted from error
            raise
    if conclusion.verdict.exit_code == ExitCode.INTERRUPTED:
        raise Interrupted
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
        mock_cpu_share=watch.mock_share(),
        others_cores=watch.others_cores(),
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
