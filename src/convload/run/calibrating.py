"""The calibration run of this machine: a fixed load at the embedded mock, which waits for nothing, and its figures."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from convload import bundled, machine
from convload.errors import ExitCode, UsageError
from convload.judging.alike import machine_differences
from convload.judging.baseline import Baseline, load, of_run
from convload.judging.calibration import small
from convload.judging.validity import examine, unsound
from convload.plan.plan import Plan
from convload.results import runlog
from convload.results.run import Run
from convload.run import ceiling
from convload.run.execution import execute


def plan() -> Plan:
    """Returns what is run: a rate that no machine has to queue for, and long enough for the bounds of a p99."""
    return Plan(
        name="calibration",
        model="open",
        rate=500.0,
        arrivals="poisson",
        warmup_s=5.0,
        duration_s=30.0,
        consumers="close",
        seed=1,
        payloads=str(bundled.folder("payloads")),
    )


def path() -> Path:
    """Returns where it is kept: beside the ceiling."""
    return ceiling.path().with_name("calibration.json")


def known(facts: dict[str, Any]) -> Baseline | None:
    """Returns the calibration run of such a machine with the versions that are here, None where there is none."""
    try:
        kept = load(path())
    except UsageError:
        return None
    kind = kept.identity.kind
    if kind is None or machine_differences(kind.machine, facts) or kind.versions != machine.versions():
        return None
    return kept


class NotCalibratedError(UsageError):
    """The run supports no statement; another one may."""

    exit_code = ExitCode.INCONCLUSIVE


def make(wanted: Plan | None = None) -> Baseline:
    """Makes the run and keeps its figures.

    Raises:
        NotCalibratedError: it is not valid.
        UsageError: it cannot be kept.
    """
    with tempfile.TemporaryDirectory(prefix="convload-calibration-") as folder:
        run = Run(runlog.read(execute(wanted or plan(), Path(folder, "run"), lambda _: None)))
        if problems := unsound(run, examine(run)):
            raise NotCalibratedError(*(f"the calibration run says nothing: {problem}" for problem in problems))
        made = small(of_run(run))
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(made))
    except OSError as error:
        raise UsageError(f"{file}: the calibration run cannot be kept: {error.strerror}") from error
    return made
