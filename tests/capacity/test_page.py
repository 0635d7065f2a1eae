"""The page of a capacity search, as text and in a browser."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from bench.simulated import Objective, Server, SimulatedTarget

from convload.capacity import page
from convload.capacity.result import conclude
from convload.capacity.search import search
from convload.capacity.trials import SearchSettings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--dump-dom"]


@pytest.fixture(scope="module")
def rendered() -> str:
    target = SimulatedTarget(Server(capacity_per_s=500, servers=8), Objective(p99_ms=160), 3)
    settings = SearchSettings(start_rate=50, max_rate=5_000, min_rate=5, budget_s=120)
    return page.render(conclude(search(target, settings, target.clock), ["create.p99 < <160ms>"]), 160)


def test_the_page_needs_nothing_else_and_escapes_what_is_foreign(rendered: str) -> None:
    assert "create.p99 &lt; &lt;160ms&gt;" in rendered
    assert "Content-Security-Policy" in rendered
    assert "The target carries " in rendered
    assert " src=" not in rendered
    assert "<link" not in rendered


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH to open a page in a real browser")
def test_a_browser_draws_its_charts_without_a_word(rendered: str, tmp_path: Path) -> None:
    path = tmp_path / "capacity.html"
    path.write_text(rendered, encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    browser = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        dom, log = browser.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()

    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    assert 'data-charts-drawn="5"' in dom
