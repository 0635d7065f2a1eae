"""A baseline of another kind of machine, as `convload run --baseline` takes it: by ratio, or not at all."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.judging.test_ratio import SLOW, TIMES, run_on
from tests.run_logs import Make

from convload import machine
from convload.cli.judged import OtherMachineError, frozen_baseline
from convload.errors import ExitCode, UsageError
from convload.judging.baseline import Baseline, read_frozen
from convload.judging.calibration import with_own
from convload.plan.gate_grammar import parse
from convload.run import calibrating

GATES = [parse("create.p50 <= baseline * 1.2")]


def made(make: Make, facts: dict[str, Any], times_us: list[int]) -> Baseline:
    found = run_on(make, facts, times_us)
    assert found.identity.kind is not None
    kind = msgspec.structs.replace(found.identity.kind, versions=machine.versions())
    return msgspec.structs.replace(found, identity=msgspec.structs.replace(found.identity, kind=kind))


@pytest.fixture
def base(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a baseline with its calibration run; of this machine there is none yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = machine.facts() | {"cores": 999}
    file = tmp_path / "base.json"
    file.write_bytes(msgspec.json.encode(with_own(made(make, other, TIMES), made(make, other, TIMES))))
    return file


def test_without_a_calibration_run_of_this_machine_nothing_can_be_said(base: Path, make: Make) -> None:
    here = made(make, machine.facts(), SLOW).identity

    with pytest.raises(OtherMachineError, match="no judgement by ratio: there is no calibration run of this") as raised:
        frozen_baseline(base, GATES, here, force=False)

    assert raised.value.exit_code == ExitCode.INCONCLUSIVE
    assert "cores is 999 in the baseline" in raised.value.problems[0]


def test_with_one_the_run_keeps_both_calibration_runs_to_be_judged_by(base: Path, make: Make) -> None:
    here = made(make, machine.facts(), SLOW)
    calibrating.path().parent.mkdir()
    calibrating.path().write_bytes(msgspec.json.encode(here))

    found = read_frozen(frozen_baseline(base, GATES, here.identity, force=False))

    assert found is not None
    assert found.is_by_ratio
    assert found.totals().machines is not None
    assert found.differences == []


def test_what_differs_besides_the_machine_is_refused_as_ever(base: Path, make: Make) -> None:
    here = made(make, machine.facts(), SLOW)
    assert here.identity.kind is not None
    kind = msgspec.structs.replace(here.identity.kind, settings={"users": 9})

    with pytest.raises(UsageError) as raised:
        frozen_baseline(base, GATES, msgspec.structs.replace(here.identity, kind=kind), force=False)

    assert raised.value.exit_code == ExitCode.USAGE
