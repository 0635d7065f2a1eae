import re
from collections.abc import Callable
from pathlib import Path

from tests.browser import in_browser, needs_browser
from tests.turns_sample import log_of

from convload.comparison.conclusion import Conclusion, conclude
from convload.report.run import render_html as render
from convload.results.runlog import Record

pytestmark = needs_browser


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
