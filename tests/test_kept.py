"""What an earlier version wrote is read by this one: a run log, a summary, a baseline, results of capacity searches."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convload.cli import convload
from convload.results import capacity_result

KEPT = Path(__file__).parent / "kept"


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    """A copy of the kept run folder whose reports this version made."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(KEPT / "run" / "run.jsonl", folder)
    ask("report", folder)
    return folder


def ask(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(convload, [str(argument) for argument in arguments], standalone_mode=False)
    assert result.exception is None, result.exception
    return int(result.return_value or 0), result.stdout


def missing(old: Any, new: Any, path: str = "") -> list[str]:
    """Returns the keys of the old value that the new one has no more."""
    if isinstance(old, dict):
        gone = [f"{path}.{key}" for key in old if not isinstance(new, dict) or key not in new]
        return gone + [
            one for key in old if f"{path}.{key}" not in gone for one in missing(old[key], new[key], f"{path}.{key}")
        ]
    if isinstance(old, list) and old and isinstance(new, list) and new:
        return missing(old[0], new[0], f"{path}[0]")
    return []


def test_a_summary_made_again_has_every_key_that_it_had(rendered: Path) -> None:
    old, new = (json.loads((folder / "summary.json").read_text()) for folder in (KEPT / "run", rendered))

    assert missing(old, new) == []


@pytest.mark.parametrize(
    "key", ["steps", "variants", "offered_rate", "achieved_rate", "unsent", "generator", "validity"]
)
def test_a_summary_made_again_has_the_figures_that_it_had(rendered: Path, key: str) -> None:
    old, new = (json.loads((folder / "summary.json").read_text()) for folder in (KEPT / "run", rendered))

    assert new[key] == old[key]


def test_gates_judged_again_look_at_the_values_and_limits_that_they_had(rendered: Path) -> None:
    old, new = (json.loads((folder / "summary.json").read_text()) for folder in (KEPT / "run", rendered))

    assert [one["value"] for one in new["gates"]] == [one["value"] for one in old["gates"]]
    assert [one["limit"] for one in new["gates"]] == [one["limit"] for one in old["gates"]]


def test_every_report_of_an_earlier_run_can_be_made(rendered: Path) -> None:
    made = {path.name for path in rendered.iterdir() if path.stat().st_size}

    assert made >= {"report.html", "summary.md", "junit.xml", "intervals.csv", "metrics.txt"}


def test_a_run_is_held_against_an_earlier_baseline(rendered: Path) -> None:
    gate, known = "create.p50 <= baseline * 100", json.loads((KEPT / "run" / "summary.json").read_text())

    exit_code, output = ask("gate", rendered, "--gate", gate, "--baseline", KEPT / "baseline.json", "--json")

    (result,) = json.loads(output)["gates"]
    assert exit_code in {0, 3}  # the run is short
    assert result["limit"] == pytest.approx(100 * known["steps"]["conversation.create"]["response_ms"]["p50"], rel=1e-3)


@pytest.mark.parametrize("model", ["open", "closed"])
def test_an_earlier_result_of_a_capacity_search_is_read_and_written_with_its_keys(model: str) -> None:
    written = (KEPT / "capacity" / f"{model}.json").read_bytes()

    again = capacity_result.encode(capacity_result.decode(written))

    assert missing(json.loads(written), json.loads(again)) == []
