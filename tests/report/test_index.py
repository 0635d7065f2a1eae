"""The index of runs: as data, as a page, and as a person uses it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.browser import Browser, browser, needs_browser

from convload.report import index
from convload.report.folder import write_all


def place_run(root: Path, name: str, p50_ms: float = 10.0, **changes: Any) -> Path:
    """Puts a run where an index finds it: what it reads of one, and nothing else."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "run.jsonl").touch()
    (folder / "report.html").touch()
    summary = {
        "plan": "gate",
        "target": "http://127.0.0.1:1",
        "started": f"2026-01-01T00:00:{len(list(root.iterdir())):02d}Z",
        "verdict": {"outcome": "pass"},
        "steps": {"conversation.create": {"count": 200, "ok": 198, "response_ms": {"p50": p50_ms, "p99": 3 * p50_ms}}},
        "achieved_rate": 50.0,
        "manifest": {"plan": {"tags": ["release=1.2"]}, "origin": {"commit": "6f1c0de12ab34", "branch": "main"}},
    }
    (folder / "summary.json").write_text(json.dumps(summary | changes))
    return folder


def test_a_run_is_known_by_its_reports(run_folder: Path) -> None:
    write_all(run_folder)
    root = run_folder / "runs"
    root.mkdir()
    shutil.move(run_folder / "run.jsonl", root)
    for name in ("summary.json", "intervals.csv", "report.html"):
        shutil.move(run_folder / name, root / name)

    (run,) = index.read_runs(root)

    written = json.loads((root / "summary.json").read_text())
    create = written["steps"]["conversation.create"]
    assert (run.folder, run.plan, run.outcome, run.has_page) == (".", "smoke", "fail", True)
    assert run.values["p50"] == create["response_ms"]["p50"]
    assert run.values["errors"] == pytest.approx(100 * (1 - create["ok"] / create["count"]))
    assert len(run.course) == 12
    assert max(value for value in run.course if value) > 50


def test_runs_without_reports_are_left_out_and_the_newest_stands_first(tmp_path: Path) -> None:
    place_run(tmp_path, "first")
    place_run(tmp_path, "second")
    (place_run(tmp_path, "third") / "summary.json").write_text("{")

    assert [run.folder for run in index.read_runs(tmp_path)] == ["second", "first"]


def test_where_a_plan_became_slower_is_said_and_marked(tmp_path: Path) -> None:
    for number in range(20):
        place_run(tmp_path, f"run-{number:02d}", 10.0 + 0.01 * (number % 3) + 3.0 * (number >= 12))
        place_run(tmp_path, f"other-{number:02d}", 10.0 + 0.01 * (number % 3), plan="other")

    page = index.page(index.read_runs(tmp_path), tmp_path)

    assert page.count("▲ changed") == 1
    assert "<code>gate</code> p50 10.0 → 13.0 ms since <code>run-12</code>" in page
    assert 'href="./run-12/report.html"' in page


@needs_browser
@pytest.mark.xdist_group("browser")
def test_runs_are_filtered_by_tag_and_two_that_are_ticked_are_compared(tmp_path: Path) -> None:
    for number in range(12):
        tags = ["team=<b>"] if number < 3 else ["release=1.2"]
        place_run(tmp_path / "runs", f"run {number:02d}", manifest={"plan": {"tags": tags}, "origin": {}})
    shown = "[...document.querySelectorAll('main tbody tr')].filter((one) => !one.hidden).length"
    text = "document.querySelector('[data-compare]').textContent"

    with browser(tmp_path) as opened:
        page: Browser = opened.open(index.page(index.read_runs(tmp_path / "runs"), Path("reports")))
        page.ask(
            "((f) => { f.value = 'team=<b>'; f.dispatchEvent(new Event('input')) })(document.querySelector('.filter'))"
        )
        filtered = page.ask(shown)
        for number in (0, 2):
            page.ask(f"document.querySelector('input[value=\"run {number:02d}\"]').click()")

        assert filtered == 3
        assert page.ask(text).startswith("convload compare 'reports/run 00' 'reports/run 02'")
        assert page.complaints == []
