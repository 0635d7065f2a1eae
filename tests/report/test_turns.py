"""The reports of a run at two targets."""

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tests.report.test_metrics_txt import read
from tests.turns_sample import Vary, alike, failing, log_of, slower_by

from convload.comparison.conclusion import Conclusion, conclude
from convload.report import charts, data_files, github, junit, metrics_txt, run, two_targets
from convload.report.run import print_run


def terminal(conclusion: Conclusion) -> str:
    output = io.StringIO()
    print_run(conclusion, Console(file=output, width=100, color_system=None))
    return output.getvalue()


@pytest.fixture(scope="module")
def regressed() -> Conclusion:
    return conclude(log_of(slower_by(1.2), groups=8))


def test_summary_json_names_the_sides_a_and_b(regressed: Conclusion) -> None:
    turns = json.loads(data_files.summary_json(regressed))["turns"]

    first = turns["differences"][0]
    assert (first["step"], first["statistic"], first["outcome"]) == ("conversation.create", "p50", "regressed")
    assert first["b"] - first["a"] == pytest.approx(first["difference"], abs=1e-5)
    assert first["low"] < first["difference"] < first["high"]
    assert turns["steps"]["B"]["conversation.create"]["count"] == 1600
    assert (turns["pairs"], turns["windows"], turns["window_s"]) == (16, 32, 1.0)


@pytest.mark.parametrize("render", [run.render_markdown, terminal], ids=["turns-summary.md", "turns-terminal.txt"])
def test_the_report_is_as_it_was(
    render: Callable[[Conclusion], str],
    regressed: Conclusion,
    golden: Callable[[str, str], None],
    request: pytest.FixtureRequest,
) -> None:
    golden(request.node.callspec.id, render(regressed))


def test_a_run_at_one_target_has_no_comparison(conclusion: Conclusion) -> None:
    assert json.loads(data_files.summary_json(conclusion))["turns"] is None
    assert "A against B" not in run.render_markdown(conclusion) + run.render_html(conclusion)


def test_markdown_and_html_have_a_section_and_no_row_for_each_window(regressed: Conclusion) -> None:
    for page in (run.render_markdown(regressed), run.render_html(regressed)):
        assert "A against B" in page
        assert "B regressed from A" in page
        assert "16 pairs of windows of 1 s" in page
        assert "Stages</h2>" not in page
        assert "## Stages" not in page


def test_the_chart_has_a_line_of_each_target_with_gaps_where_the_other_had_its_turn(regressed: Conclusion) -> None:
    assert regressed.target_comparison is not None
    chart, columns = two_targets.turns(regressed.target_comparison.compared)

    assert [line.label for line in chart.lines] == ["A p50", "B p50"]
    assert [value is None for value in columns["turns A p50"][:4]] == [False, True, True, False]
    assert columns["turns_t"][:2] == [2.5, 3.5]
    assert charts.data(regressed.run)["marks"]["stages"] == []


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


def test_metrics_tell_the_comparison_and_the_figures_of_each_target(regressed: Conclusion) -> None:
    samples = read(metrics_txt.render(regressed))

    assert regressed.target_comparison is not None
    outcomes = {key: value for key, value in samples.items() if key.startswith("convload_comparison_outcome")}
    assert [key for key, value in outcomes.items() if value] == ['convload_comparison_outcome{outcome="regressed"}']
    assert len(outcomes) == 4
    assert samples["convload_comparison_pairs"] == 16
    first = regressed.target_comparison.differences[0]
    labels = f'statistic="{first.statistic}",step="{first.step}"'
    bounds = [
        samples[f'convload_comparison_difference{{bound="{bound}",{labels}}}'] for bound in ("low", "point", "high")
    ]
    assert bounds == [first.low, first.difference, first.high]
    for target, steps in regressed.target_comparison.figures.items():
        create = steps["conversation.create"]
        named = f'target="{target}"'
        for clock in ("response", "service", "lateness"):
            family = f"convload_target_create_{clock}_milliseconds"
            assert samples[f'{family}{{quantile="0.5",{named}}}'] == getattr(create, f"{clock}_ms")["p50"]
            assert samples[f"{family}_count{{{named}}}"] == create.ok
        requests = f'convload_target_requests_total{{outcome="ok",step="conversation.create",{named}}}'
        assert samples[requests] == create.ok == 1600
        assert samples[f"convload_target_create_failed_ratio{{{named}}}"] == 0


def test_metrics_of_one_target_have_no_comparison(conclusion: Conclusion) -> None:
    families = {name.partition("{")[0] for name in read(metrics_txt.render(conclusion))}

    assert not [name for name in families if "comparison" in name or "target" in name]


def test_later_steps_on_github_get_the_comparison_and_the_figures_of_each_target(
    regressed: Conclusion, conclusion: Conclusion
) -> None:
    found = github.outputs(regressed, Path("out"))

    assert regressed.target_comparison is not None
    assert found["comparison"] == "regressed"
    assert found["comparison_text"] == regressed.target_comparison.text
    for target, steps in regressed.target_comparison.figures.items():
        times = steps["conversation.create"].response_ms
        assert float(found[f"{target.lower()}_p50_ms"]) == pytest.approx(times["p50"], rel=1e-5)
        assert found[f"{target.lower()}_errors_percent"] == "0"
    assert float(found["b_p50_ms"]) > 1.1 * float(found["a_p50_ms"])
    assert "comparison" not in github.outputs(conclusion, Path("out"))


def test_the_page_tells_of_both_targets_first_and_has_no_figure_of_both_together(regressed: Conclusion) -> None:
    page = run.render_html(regressed)

    titles = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert titles[:4] == ["FAIL", "A against B", "Target A", "Target B"]
    tiles = re.findall(r"<dt>((?:p\d+|failed)[^<]*)</dt>", page)
    assert tiles == [f"{name} of {target}" for target in "AB" for name in ("p50", "p95", "p99", "failed")]
    assert "Key figures" not in titles


def test_each_target_has_a_colour_of_its_own_in_every_chart_of_times(regressed: Conclusion) -> None:
    found = {chart.name: chart for chart in charts.of_run(regressed.run)}
    data = charts.data(regressed.run)

    for name in ("latency", "distribution", "histogram"):
        assert {(line.label[0], line.color) for line in found[name].lines} == {("A", "a"), ("B", "b")}
        for line in found[name].lines:
            assert line.column in data["columns"] | data["shapes"]
    assert [found[f"heat-{target}"].view for target in "AB"] == ["target A", "target B"]


def test_a_difference_is_drawn_with_its_interval_around_none(regressed: Conclusion) -> None:
    page = run.render_html(regressed)

    forest = re.findall(r'<rect class="bounds fail" x="([\d.]+)" y="5" width="([\d.]+)"', page)
    assert len(forest) == 3
    assert all(float(x) > 90 for x, _ in forest)
