import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from convload import bundled
from convload.cli.judged import baseline_of
from convload.errors import UsageError
from convload.judging.baseline import identity_of
from convload.plan.plan import Plan, assemble
from convload.run.files import manifest_of, new_folder, read_inputs


@pytest.fixture
def payloads(tmp_path: Path) -> Path:
    folder = tmp_path / "payloads"
    shutil.copytree(bundled.folder("payloads"), folder)
    return folder


def planned(payloads: Path, **flags: Any) -> Plan:
    return assemble(None, {}, {"payloads": str(payloads)} | flags)


def test_a_manifest_holds_the_sha256_of_every_payload_file(payloads: Path) -> None:
    inputs = manifest_of(plan := planned(payloads), "mock", read_inputs(plan)).inputs

    file = next((payloads / "variants").glob("*.json"))
    assert inputs[f"payloads/variants/{file.name}"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "locustfile" in inputs
    assert "replay" not in inputs


def test_the_same_path_with_other_payloads_is_another_kind_of_run(payloads: Path) -> None:
    plan = planned(payloads)
    before = identity_of(manifest_of(plan, "mock", read_inputs(plan)))
    pool = next((payloads / "pools").glob("*.txt"))
    pool.write_text(pool.read_text() + "one more\n")
    after = identity_of(manifest_of(plan, "mock", read_inputs(plan)))

    assert before.kind
    assert after.kind
    assert before.kind.settings == after.kind.settings
    assert before.kind.inputs != after.kind.inputs


def test_runs_that_begin_within_one_second_have_folders_of_their_own(
    tmp_path: Path, payloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = planned(payloads, name="many")
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: new_folder(plan, None), range(16)))

    assert len(folders) == 16
    assert {folder.parent for folder in folders} == {Path("reports")}


def test_a_baseline_that_is_none_is_a_mistake_before_the_run(payloads: Path) -> None:
    gates = ["create.p50 <= baseline"]

    with pytest.raises(UsageError, match="cannot be read"):
        baseline_of(planned(payloads, gates=gates, baseline="nowhere"), force=False)
