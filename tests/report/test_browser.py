import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.turns_sample import log_of

from convload.report.html import render
from convload.results.runlog import Record
from convload.results.verdict import Conclusion, conclude

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--window-size=390,900",
    "--dump-dom",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH to open a report in a real browser")


def in_browser(page: str, folder: Path) -> tuple[str, list[str]]:
    """Returns the page's elements after its scripts ran, and what the browser had to say of it."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", path.as_uri()]
    browser = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        dom, log = browser.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    return dom, [line for line in log.splitlines() if "CONSOLE" in line]


def test_a_browser_draws_all_charts_without_a_word(conclusion: Conclusion, tmp_path: Path) -> None:
    dom, complaints = in_browser(render(conclusion), tmp_path)

    assert complaints == []
    assert 'data-charts-drawn="4"' in dom
    assert len(re.findall(r'<canvas[^>]* role="img" aria-label="[^"]+"', dom)) == 4
    assert len(re.findall(r"<canvas", dom)) == 4
    assert "<th>Value</th>" not in dom
    for label in ("p99", "in flight", "http_503", "conversation.close"):
        assert re.search(rf'<div class="u-label">{re.escape(label)}</div>', dom)


def test_a_browser_draws_all_charts_of_an_open_run_without_a_word(
    opened: list[Record], conclude_records: Callable[..., Conclusion], tmp_path: Path
) -> None:
    dom, complaints = in_browser(render(conclude_records(opened)), tmp_path)

    assert complaints == []
    assert 'data-charts-drawn="7"' in dom
    for label in ("offered", "service p99", "waiting", "in flight", "CPU", "event loop late"):
        assert re.search(rf'<div class="u-label">{label}</div>', dom)


def test_a_browser_draws_the_windows_of_two_targets_without_a_word(tmp_path: Path) -> None:
    dom, complaints = in_browser(render(conclude(log_of())), tmp_path)

    assert complaints == []
    assert 'data-charts-drawn="7"' in dom
    for label in ("A p50", "B p50"):
        assert re.search(rf'<div class="u-label">{label}</div>', dom)


def test_a_browser_opens_the_report_of_a_silent_run_without_a_word(
    silent: list[Record], conclude_records: Callable[..., Conclusion], tmp_path: Path
) -> None:
    dom, complaints = in_browser(render(conclude_records(silent)), tmp_path)

    assert complaints == []
    assert 'data-charts-drawn="0"' in dom
