import io
from collections.abc import Callable

import msgspec
import pytest
from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.report import run, steadiness
from convload.report.run import print_run
from convload.results.drift import Drift
from convload.results.recovery import Recovery
from convload.results.runlog import Record

HOLD = "stage <hold> | `x`"


def drift(quantity: str, unit: str, worker: int | None = None, *values: float) -> Drift:
    """One that drifts from and to these values, with its change an hour and p; steady without them."""
    if not values:
        return Drift(stretch=HOLD, quantity=quantity, unit=unit, worker=worker, seconds=60, verdict="steady")
    first, last, per_hour, p = values
    return Drift(
        stretch=HOLD,
        quantity=quantity,
        unit=unit,
        worker=worker,
        seconds=60,
        verdict="drifts",
        first=first,
        last=last,
        change=last - first,
        change_per_hour=per_hour,
        p=p,
    )


DRIFTS = [
    drift("service p50", "ms", None, 20.0, 31.0, 16.5, 3e-9),
    drift("service p90", "ms"),
    drift("error share", "%", None, 0.0, 0.35, 0.525, 0.0012),
    drift("memory", "MB", 0),
    drift("memory", "MB", 1, 180.0, 120.0, -90.0, 0.0003),
    drift("memory", "MB", 2),
    msgspec.structs.replace(drift("lateness p90", "ms"), verdict="too short", seconds=4),
]
RECOVERIES = [
    Recovery(stage="spike *1*", from_rate=1500, to_rate=200, normal_ms=20.4, recovered_s=4.0, watched_s=15.0),
    Recovery(stage="spike 2", from_rate=3000, to_rate=200, normal_ms=20.4, recovered_s=None, watched_s=15.0),
]


@pytest.fixture
def drifting(opened: list[Record], conclude_records: Callable[..., Conclusion]) -> Conclusion:
    return msgspec.structs.replace(conclude_records(opened), drift=DRIFTS, recoveries=RECOVERIES)


@pytest.fixture
def steady(opened: list[Record], conclude_records: Callable[..., Conclusion]) -> Conclusion:
    return msgspec.structs.replace(
        conclude_records(opened), drift=[one for one in DRIFTS if one.verdict == "steady"], recoveries=[]
    )


def printed(conclusion: Conclusion) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    print_run(conclusion, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_drift_and_recovery_on_the_terminal_are_as_they_were(
    drifting: Conclusion, golden: Callable[[str, str], None]
) -> None:
    golden("steadiness-terminal.txt", printed(drifting))


def test_drift_and_recovery_in_markdown_are_as_they_were(
    drifting: Conclusion, golden: Callable[[str, str], None]
) -> None:
    golden("steadiness-summary.md", run.render_markdown(drifting))


def test_the_page_tells_both_and_escapes_what_is_foreign(drifting: Conclusion) -> None:
    page = run.render_html(drifting)

    for told in (
        '<h2 id="recovery">Recovery</h2>',
        '<td class="figure">not within 15 s</td>',
        '<h2 id="drift">Drift</h2>',
        '<th scope="row">memory of worker 1</th>',
        "stage &lt;hold&gt;",
    ):
        assert told in page
    assert "<hold>" not in page


def test_a_run_without_drift_says_so_in_one_line_and_has_no_table(steady: Conclusion) -> None:
    line = f"No drift found in service p90, memory of 2 workers ({HOLD})."

    assert steadiness.drift_text(steady) == line
    assert line in printed(steady).replace("\n", " ")
    assert "first third" not in printed(steady) + run.render_markdown(steady) + run.render_html(steady)
    assert 'id="recovery"' not in run.render_html(steady)


def test_a_run_that_was_not_tested_says_nothing(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    short = conclude_records(opened)

    assert steadiness.drift_text(short) == ""
    assert "## Drift" not in run.render_markdown(short)
    assert 'id="drift"' not in run.render_html(short)
