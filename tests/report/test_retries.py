"""What the reports say of a run with a retry policy; the run is the one that tests/results/test_retries.py tells of."""

import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console
from tests.results.test_retries import log
from tests.run_logs import Make

from convload.comparison.conclusion import Conclusion, conclude
from convload.report import data_files, figures, run
from convload.report.run import print_run


@pytest.fixture
def retried() -> Conclusion:
    return conclude(log(Make(), ledger=138))


def test_the_terminal_shows_the_retries(retried: Conclusion, golden: Callable[[str, str], None]) -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_run(retried, console)

    assert isinstance(console.file, io.StringIO)
    golden("terminal-retried.txt", console.file.getvalue())


@pytest.mark.parametrize("render", [run.render_html, run.render_markdown], ids=["html", "markdown"])
def test_a_report_has_every_fact_of_the_retries(render: Callable[[Conclusion], str], retried: Conclusion) -> None:
    text = render(retried).replace("\N{NO-BREAK SPACE}", " ").replace("\\_", "_")

    facts = figures.retry_facts(retried.summary)
    assert facts["requests per conversation"] == "1.380 (138 for 100)"
    assert [name for name, value in facts.items() if name not in text or value not in text] == []


@pytest.mark.parametrize("render", [run.render_html, run.render_markdown], ids=["html", "markdown"])
def test_a_run_without_a_policy_has_no_part_about_it(
    render: Callable[[Conclusion], str], conclusion: Conclusion
) -> None:
    assert "Retries" not in render(conclusion)


def test_the_reconciliation_tells_what_was_sent_again(retried: Conclusion) -> None:
    assert figures.reconciliation(retried.summary) == [
        ("built", "100"),
        ("sent again", "38"),
        ("sent", "138"),
        ("recorded", "138"),
        ("received by the mock", "138"),
        ("accepted by it", "90"),
    ]
    assert "conversations/s" in figures.achieved(retried.summary)


def test_the_summary_has_the_retries_and_null_without_a_policy(retried: Conclusion, conclusion: Conclusion) -> None:
    assert json.loads(data_files.summary_json(retried))["retries"]["amplification"] == 1.38
    assert json.loads(data_files.summary_json(conclusion))["retries"] is None
