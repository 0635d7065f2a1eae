"""What the reports say of gates whose requests depend on each other: n, what they are worth, how much longer."""

import html
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.report.test_metrics_txt import read
from tests.run_logs import Make

from convload.comparison.conclusion import Conclusion, conclude
from convload.judging.gate_result import GateResult
from convload.report import figures, github, junit, metrics_txt, run

BURST = "errors < 8%"


def bursty(*gates: str, **plan: Any) -> Conclusion:
    """A minute at 100/s with 60 errors, all in one second."""
    return conclude(
        Make().opened(
            lambda _, second: {"failed": 60 if second == 30 else 0},
            seconds=62,
            gates=list(gates or [BURST]),
            **({"independent": False} | plan),
        )
    )


def printed(conclusion: Conclusion, *, details: bool) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    run.print_run(conclusion, console, details=details)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row_of(conclusion: Conclusion) -> list[str]:
    """The cells of the first gate in summary.md, by its heads."""
    lines = run.render_markdown(conclusion).split("\n")
    at = next(n for n, line in enumerate(lines) if line.startswith("| gate |"))
    assert lines[at] == "| gate | outcome | value | 99 % bounds | limit | requests | worth | to decide |"
    return [cell.strip() for cell in lines[at + 2].strip("|").split("|")]


def test_a_page_shows_what_the_requests_of_a_gate_are_worth_and_what_is_missing() -> None:
    conclusion = bursty()
    (gate,) = conclusion.gates

    *_, requests, worth, longer = row_of(conclusion)

    assert (requests, worth) == ("6,000", str(gate.worth))
    assert re.fullmatch(r"about \d+ (s|min) more", longer)
    assert "independent ones that they are worth" in run.render_html(conclusion)


def test_the_sentence_of_a_gate_has_the_figures_of_its_table() -> None:
    (gate,) = bursty().gates

    assert f"as {gate.worth:,} independent requests say it" in gate.message


def test_a_page_names_an_undecided_gate_once() -> None:
    text = re.sub(r"<[^>]+>", "", run.render_html(bursty()))

    assert f"{html.escape(BURST)} is undecided" in text
    assert f"{html.escape(BURST)}: {html.escape(BURST)}" not in text


def test_the_long_ending_has_what_the_page_has() -> None:
    text = printed(bursty(), details=True)

    assert {"requests", "worth", "6,000"} <= set(text.split())
    assert re.search(r"about \d+ (s|min) more", text)


def test_the_short_ending_says_how_much_longer_and_stays_short() -> None:
    text = printed(bursty(BURST, "create.p99 < 250ms"), details=False)
    *table, answer = text.rstrip("\n").split("\n")

    assert re.search(r", \d+ (s|min) more", answer)
    assert max(map(len, table)) <= 80
    assert len(table) <= 10


def sent_late(gate: str) -> Conclusion:
    """A minute of requests that are sent 2 ms late and answered in 1 ms."""
    late = {"lateness_us": 2000, "awaiting": 1, "users": 10}
    return conclude(Make().opened(lambda *_: dict(late), seconds=62, gates=[gate]))


def test_a_page_shows_between_what_a_time_lies_without_the_generators_delays() -> None:
    conclusion = sent_late("create.p50 < 2ms")

    assert "| undelayed |" in run.render_markdown(conclusion)
    assert "| 1 to 3 ms |" in run.render_markdown(conclusion)
    assert "1 to 3 ms" in printed(conclusion, details=True)
    assert "the generator itself may have added to it" in run.render_html(conclusion)


def test_the_short_ending_says_that_a_gate_hangs_on_the_generators_delays() -> None:
    text = " ".join(printed(sent_late("create.p50 < 2ms"), details=False).split())

    assert "the generator itself was late, which may be all that decides it, and without that it may be 1 ms" in text


def test_a_column_that_nothing_is_to_be_said_in_is_left_out() -> None:
    head = next(line for line in run.render_markdown(bursty("errors < 90%")).split("\n") if line.startswith("| gate |"))

    assert head.endswith("| requests | worth |")


def test_a_report_says_when_a_plan_takes_requests_for_independent() -> None:
    page = run.render_html(bursty(independent=True))

    assert "The plan says that requests are independent" in page
    assert "Requests wait for each other" not in page


def test_continuous_integration_is_told_what_is_missing_to_decide() -> None:
    conclusion = bursty()
    (gate,) = conclusion.gates
    case = ET.fromstring(junit.render(conclusion)).findall("testcase")[1]  # noqa: S314 -- our own document

    text = case[0].text or ""
    assert f"6,000 requests, worth {gate.worth} independent ones, to decide about" in text
    assert re.search(r"about \d+ (s|min) more", github.run_report(conclusion, Path()).summary)
    assert read(metrics_txt.render(conclusion))[f'convload_gate_worth{{gate="{BURST}"}}'] == gate.worth


@pytest.mark.parametrize(
    ("outcome", "longer_s", "at_least", "shown"),
    [
        ("inconclusive", 350.0, False, "about 6 min more"),
        ("inconclusive", 8.0, True, "at least 8 s more"),
        ("inconclusive", 36_000.0, False, "about 10.0 h more"),
        ("inconclusive", None, False, "—"),
        ("pass", 350.0, False, "—"),
    ],
)
def test_only_an_undecided_gate_asks_for_a_longer_run(
    outcome: str, longer_s: float | None, at_least: bool, shown: str
) -> None:
    gate = GateResult("a gate", outcome, 1, 1, 2, 1.5, "ms", False, "", longer_s=longer_s, at_least=at_least)

    assert figures.gate_longer(gate) == shown


def test_windows_that_are_too_short_ask_for_no_longer_run() -> None:
    """A longer run has more windows, not longer ones."""
    (gate,) = bursty("errors < 0.5% over every 10s").gates

    assert gate.needed is not None
    assert figures.gate_longer(gate) == "—"


def test_windows_of_a_run_that_is_too_short_ask_for_a_longer_run() -> None:
    log = Make().opened(seconds=12, gates=["errors < 3% over every 5s"], independent=False)
    (gate,) = conclude(log).gates

    assert figures.gate_longer(gate) == "at least 10 s more"
    assert "too short to know" in gate.message
    assert "needed in each" not in gate.message
