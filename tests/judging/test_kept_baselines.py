"""A team's baselines: the newest of a branch, a plan and a kind of machine, and no more of them than were asked for."""

from pathlib import Path
from typing import Any

import msgspec
from tests.run_logs import Make

from convload.judging.alike import RunKind
from convload.judging.baseline import Baseline, of_run
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
    assert found.others == [f"{path}: machine: cores is 16 there and 2 here"]
    assert find(tmp_path, "main", "none", SMALL).others == []


def test_so_many_of_a_kind_of_machine_stay_and_those_of_others_are_left(tmp_path: Path, make: Make) -> None:
    other = kept(tmp_path, made(make, 1, LARGE))
    paths = [kept(tmp_path, made(make, hour, SMALL), most=2) for hour in (2, 3, 4)]

    assert [path.exists() for path in (other, *paths)] == [True, False, True, True]
