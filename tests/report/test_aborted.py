import json
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console
from tests.report.conftest import HOSTILE

from convload.comparison.conclusion import Conclusion
from convload.report import data_files, junit, run
from convload.report.run import print_judgement, print_run
from convload.results.runlog import Aborted, Record

TEXT = "errors > 5% over 3s holds: 40 of 180, 22.2 % (14.3 to 31.9 % at 99.9 % confidence)"


@pytest.fixture
def stopped(failing: list[Record], conclude_records: Callable[..., Conclusion]) -> Conclusion:
    return conclude_records([*failing[:-1], Aborted(11.0, "errors > 5% over 3s", TEXT), failing[-1]])


def test_every_report_says_that_the_run_was_stopped_early_and_why(stopped: Conclusion) -> None:
    console = Console(width=300, record=True, file=StringIO())
    print_run(stopped, console)
    print_judgement(stopped, console)
    texts = [render(stopped) for render in (run.render_html, junit.render, data_files.summary_json)]
    texts.append(run.render_markdown(stopped).replace("\\", ""))

    assert stopped.verdict.outcome == "fail"
    assert console.export_text(clear=False).count(f"Stopped early at 11.0 s: {TEXT}") == 2
    for text in texts:
        assert "stopped early at 11.0 s" in text.lower().replace("&gt;", ">")
        assert "40 of 180, 22.2 %" in text.replace("\N{NO-BREAK SPACE}", " ")


def test_summary_json_has_it_at_the_top(
    stopped: Conclusion, failing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    document = json.loads(data_files.summary_json(stopped))
    other = json.loads(data_files.summary_json(conclude_records(failing)))

    assert document["aborted"] == {"record": "aborted", "at_s": 11.0, "condition": "errors > 5% over 3s", "text": TEXT}
    assert document["verdict"]["reasons"][0] == f"stopped early at 11.0 s by abort_when: {TEXT}"
    assert other["aborted"] is None


def test_foreign_text_in_it_stays_text(failing: list[Record], conclude_records: Callable[..., Conclusion]) -> None:
    hostile = conclude_records([*failing[:-1], Aborted(11.0, HOSTILE, HOSTILE), failing[-1]])

    assert "<script>alert" not in run.render_html(hostile)
    lines = [line for line in run.render_markdown(hostile).splitlines() if "topped early at" in line]
    assert len(lines) >= 2
    assert all(r"\<script\>alert" in line and "<img" not in line.replace(r"\<", "") for line in lines)
    assert "<script>alert" not in junit.render(hostile)
