"""The reports of a run at two targets."""

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from rich.console import Console
from tests.turns_sample import Vary, alike, failing, log_of, slower_by

from convload.report import charts, github, html, junit, markdown, summary_json
from convload.report.text import print_conclusion
from convload.results.verdict import Conclusion, conclude


def terminal(conclusion: Conclusion) -> str:
    output = io.StringIO()
    print_conclusion(conclusion, Console(file=output, width=100, color_system=None))
    return output.getvalue()


@pytest.fixture(scope="module")
def regressed() -> Conclusion:
    return conclude(log_of(slower_by(1.2)))


def test_summary_json_names_the_sides_a_and_b(regressed: Conclusion) -> None:
    turns = json.loads(summary_json.render(regressed))["turns"]

    first = turns["differences"][0]
    assert (first["step"], first["statistic"], first["outcome"]) == ("conversation.create", "p50", "regressed")
    assert first["b"] - first["a"] == pytest.approx(first["difference"], abs=1e-5)
    assert first["low"] < first["difference"] < first["high"]
    assert turns["steps"]["B"]["conversation.create"]["count"] == 1000
    assert (turns["pairs"], turns["windows"], turns["window_s"]) == (10, 20, 1.0)


@pytest.mark.parametrize("render", [markdown.render, terminal], ids=["turns-summary.md", "turns-terminal.txt"])
def test_the_report_is_as_it_was(
    render: Callable[[Conclusion], str],
    regressed: Conclusion,
    golden: Callable[[str, str], None],
    request: pytest.FixtureRequest,
) -> None:
    golden(request.node.callspec.id, render(regressed))


def test_a_run_at_one_target_has_no_comparison(conclusion: Conclusion) -> None:
    assert json.loads(summary_json.render(conclusion))["turns"] is None
    assert "A against B" not in markdown.render(conclusion) + html.render(conclusion)


def test_markdown_and_html_have_a_section_and_no_row_for_each_window(regressed: Conclusion) -> None:
    for page in (markdown.render(regressed), html.render(regressed)):
        assert "A against B" in page
        assert "B regressed from A" in page
        assert "10 pairs of windows of 1 s" in page
        assert "Stages</h2>" not in page
        assert "## Stages" not in page


def test_the_chart_has_a_line_of_each_target_with_gaps_where_the_other_had_its_turn(regressed: Conclusion) -> None:
    drawn = charts.data(regressed)

    lines = {(line["target"], line["name"]): line["ms"] for line in drawn["turns"]["lines"]}
    assert set(lines) == {("A", "p50"), ("B", "p50")}
    assert [value is None for value in lines["A", "p50"][:4]] == [False, True, True, False]
    assert drawn["turns"]["t"][:2] == [2.5, 3.5]
    assert drawn["stages"] == []


@pytest.mark.parametrize(
    ("vary", "groups", "element"),
    [(alike, 5, None), (slower_by(1.2), 5, "failure"), (alike, 3, "error"), (failing("A", 40), 3, "error")],
)
def test_junit_has_a_test_case_of_the_comparison(vary: Vary, groups: int, element: str | None) -> None:
    suite = ET.fromstring(junit.render(conclude(log_of(vary, groups=groups))))  # noqa: S314 -- we wrote it

    (case,) = (case for case in suite.iter("testcase") if case.get("name") == "B is no slower than A")
    assert [child.tag for child in case] == ([element] if element else [])


def test_github_is_told_of_each_regression(regressed: Conclusion) -> None:
    told = [line for line in github.annotations(regressed) if line.startswith("::error title=convload%3A A against B")]

    assert len(told) == 3
    assert "B regressed from A" in told[0]
