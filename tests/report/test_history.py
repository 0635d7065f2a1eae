import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from rich.console import Console
from tests.browser import in_browser, needs_browser
from tests.report.conftest import HOSTILE

from convload.comparison.changepoints import Change
from convload.comparison.history import FORMAT, FollowedRun, History, LeftOut, Series
from convload.comparison.outcomes import Minimum
from convload.report import html, terminal
from convload.report.data_files import render_json
from convload.report.history import document


def history() -> History:
    """Twelve runs with a change for the worse, one for the better, one possible, and hostile text all over."""
    names = [f"runs/{at}" if at else f"runs/{HOSTILE}" for at in range(12)]
    points = [
        FollowedRun(name, f"2026-01-{at + 1:02}T03:04:05Z", 1, "pass", "0.1", {}) for at, name in enumerate(names)
    ]
    low: list[float | None] = [20.0, 20.1, 20.2, 20.3, 20.4, 20.5]
    high: list[float | None] = [24.0, 24.2, None, 24.1, 24.3, 24.2]
    worse, better = Change(6, 20.2, 24.2, 0.004, True), Change(6, 500.0, 600.0, 0.004, True)
    possible = Change(9, 0.1, 0.5, 0.03, False, "9 runs before and 2 after reach p = 0.036 at best, it must be 0.01")
    before: list[float | None] = [20.2] * 6
    after: list[float | None] = [24.2] * 6
    nothing: list[float | None] = [None] * 6
    errors: list[float | None] = [0.1] * 12
    rates: list[float | None] = [500.0, 501.0, 502.0, 503.0, 504.0, 505.0, 600.0, 601.0, 602.0, 603.0, 604.0, 605.0]
    gate = "gate [/bold red]<b>.p99 < 250ms"
    return History(
        format=FORMAT,
        folder="runs",
        plan=HOSTILE,
        target=HOSTILE,
        minimum=Minimum(),
        points=points,
        series=[
            Series("p99", "ms", "lower", [*low, *high], [*before, *after], [worse], ""),
            Series("errors", "%", "lower", errors, errors, [possible], ""),
            Series("rate", "/s", "higher", rates, rates, [better], ""),
            Series(
                gate, "ms", "", [*low, *nothing], [*before, *nothing], [], "needs 10 runs to look for changes, has 6"
            ),
        ],
        left_out=[LeftOut("runs/old", "", [f"unlike the newest run: mix is {HOSTILE}"])],
    )


def test_the_terminal_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    out = io.StringIO()
    terminal.show(document(history()), Console(file=out, width=140, color_system=None))

    golden("history.txt", out.getvalue())
    assert "\x1b" not in out.getvalue()


def test_eighty_columns_cut_neither_a_date_nor_the_name_of_a_run() -> None:
    found = msgspec.structs.replace(
        history(),
        points=[
            FollowedRun(f"runs/202601{at + 10}-030405-smoke", f"2026-01-{at + 10}T03:04:05Z", 1, "pass", "0.1", {})
            for at in range(12)
        ],
    )
    out = io.StringIO()
    terminal.show(document(found), Console(file=out, width=80, color_system=None))

    rows = [line for line in out.getvalue().splitlines() if line.startswith("202601")]
    assert len(rows) > 12
    assert all(len(line) <= 80 and re.match(r"202601\d\d-030405-smoke ", line) for line in rows)
    assert all(re.search(r" 2026-01-\d\d 03:04 ", line) for line in rows[:12])


def test_the_page_escapes_what_is_foreign() -> None:
    page = html.render(document(history()))
    body = page.split("<body>")[1].split('<script type="application/json"')[0]

    assert "<img" not in page.split("</style>")[1].split("uPlot")[0]
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in body
    assert "worse" in body
    assert "better" in body
    assert "Possibly" in body


def test_the_json_says_its_format() -> None:
    document = json.loads(render_json(history()))

    assert document["format"] == "convload/history/1"
    assert document["series"][0]["changes"][0]["at"] == 6


@needs_browser
def test_a_browser_draws_a_chart_a_statistic_without_a_word(tmp_path: Path) -> None:
    dom, complaints = in_browser(html.render(document(history())), tmp_path)

    assert complaints == []
    assert 'data-charts-drawn="4"' in dom
    assert len(re.findall(r'role="group"[^>]* aria-label="[^"]+ 1 change marked\.', dom)) == 2
