"""The calibration run of a machine: made once, kept, and taken again where machine and versions are the same."""

from pathlib import Path

import msgspec
import pytest

from convload import machine
from convload.contract.steps import CREATE
from convload.errors import ExitCode
from convload.plan.plan import Plan
from convload.run import calibrating

ANY = ["late", "hub_delay", "rate_missed", "generator_saturated", "not_steady", "unsent"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def short(plan: Plan, *waived: str) -> Plan:
    limits = msgspec.structs.replace(plan.validity, waive=[*waived])
    return msgspec.structs.replace(plan, rate=100.0, warmup_s=0.0, duration_s=1.0, validity=limits)


def test_it_is_kept_for_this_kind_of_machine_and_these_versions() -> None:
    made = calibrating.make(short(calibrating.plan(), *ANY))

    assert made.totals().figures(CREATE).count > 50
    assert calibrating.known(machine.facts()) == made
    assert calibrating.known(machine.facts() | {"cores": 999}) is None
    kind = made.identity.kind
    assert kind is not None
    older = msgspec.structs.replace(kind, versions={"convload": "0"})
    other = msgspec.structs.replace(made, identity=msgspec.structs.replace(made.identity, kind=older))
    calibrating.path().write_bytes(msgspec.json.encode(other))
    assert calibrating.known(machine.facts()) is None


def test_one_that_is_not_valid_is_not_kept() -> None:
    brief = short(calibrating.plan())
    strict = msgspec.structs.replace(brief, validity=msgspec.structs.replace(brief.validity, samples=1_000_000))

    with pytest.raises(calibrating.NotCalibratedError) as raised:
        calibrating.make(strict)

    assert raised.value.exit_code == ExitCode.INCONCLUSIVE
    assert not calibrating.path().exists()
