"""A team's baselines: the newest of a branch, a plan and a kind of machine, and no more of them than were asked for."""

from pathlib import Path
from typing import Any

import msgspec
from tests.judging.test_ratio import run_on
from tests.run_logs import Make

from convload.judging.alike import RunKind
from convload.judging.baseline import Baseline, of_run
from convload.judging.calibration import with_own
from convload.judging.kept_baselines import find, keep
from convload.results.run import Run

SMALL = {"system": "Linux 6.1", "processor": "x", "cores": 2, "memory_bytes": 2**33}
LARGE = SMALL | {"cores": 16}


def made(make: Make, hour: int, machine: dict[str, Any], plan: str = "gate") -> Baseline:
    found = of_run(Run(make.opened(lambda *_: {})))
    kind = RunKind({}, {}, machine, {})
    identity = msgspec.structs.replace(
        found.identity, plan=plan, started=f"2026-01-02T{hour:02}:00:00+00:00", kind=kind
    )
    return msgspec.structs.replace(found, identity=identity)


def kept(folder: Path, baseline: Baseline, branch: str = "main", most: int = 10) -> Path:
    return keep(folder, baseline, msgspec.json.encode(baseline), branch, most)


def test_the_newest_of_a_branch_a_plan_and_a_kind_of_machine_is_found(tmp_path: Path, make: Make) -> None:
    newest = kept(tmp_path, made(make, 9, SMALL))
    kept(tmp_path, made(make, 8, SMALL))
    kept(tmp_path, made(make, 10, LARGE))
    kept(tmp_path, made(make, 11, SMALL, "soak"))
    of_branch = kept(tmp_path, made(make, 12, SMALL), "feature/x")

    assert find(tmp_path, "main", "gate", SMALL).path == newest
    assert find(tmp_path, "feature/x", "gate", SMALL).path == of_branch
    assert of_branch.parent.parent == tmp_path / "feature-x"


def test_another_kind_of_machine_is_told_with_what_differs(tmp_path: Path, make: Make) -> None:
    path = kept(tmp_path, made(make, 9, LARGE))

    found = find(tmp_path, "main", "gate", SMALL)

    assert found.path is None
    assert found.others[0].startswith(f"{path}: machine: cores is 16 there and 2 here; no calibration run was kept")
    assert find(tmp_path, "main", "none", SMALL).others == []


def test_one_to_be_judged_by_ratio_comes_after_those_of_this_machine(tmp_path: Path, make: Make) -> None:
    own, here = run_on(make, LARGE, [1000] * 9), run_on(make, SMALL, [2000] * 9)
    base = with_own(made(make, 9, LARGE), own)
    at_mock = msgspec.structs.replace(base.identity, target="mock")
    path = kept(tmp_path, msgspec.structs.replace(base, identity=at_mock, flows=own.flows))

    without, found = (find(tmp_path, "main", "gate", SMALL, known) for known in (None, here))
    same = kept(tmp_path, made(make, 8, SMALL))

    assert (without.path, without.lacks_calibration) == (None, True)
    assert (found.path, found.lacks_calibration) == (path, False)
    assert find(tmp_path, "main", "gate", SMALL, here).path == same


def test_so_many_of_a_kind_of_machine_stay_and_those_of_others_are_left(tmp_path: Path, make: Make) -> None:
    other = kept(tmp_path, made(make, 1, LARGE))
    paths = [kept(tmp_path, made(make, hour, SMALL), most=2) for hour in (2, 3, 4)]

    assert [path.exists() for path in (other, *paths)] == [True, False, True, True]
