"""The page of a capacity search, as text and in a browser."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from bench.simulated import Objective, Server, SimulatedTarget
from tests.browser import in_browser, needs_browser

from convload.capacity.posterior import Tail
from convload.capacity.result import conclude
from convload.capacity.search import Search, search
from convload.capacity.trials import SearchSettings
from convload.report import html
from convload.report.capacity import document
from convload.report.capacity_charts import fitted
from convload.results.capacity_result import Bounded, CapacityResult, Point, Usl


@pytest.fixture(scope="module")
def rendered() -> str:
    objective = Objective(p99_ms=160)
    target = SimulatedTarget(Server(capacity_per_s=500, servers=8), objective, 3)
    tail = Tail(objective.decay_per_s)
    settings = SearchSettings(start_rate=50, max_rate=5_000, min_rate=5, budget_s=120, tail=tail)
    found = conclude(search(target, settings, target.clock), ["create.p99 < <160ms>"])
    found = msgspec.structs.replace(found, target="http://<b>t", started="2026-01-02T03:04:05Z")
    return html.render(document(found, 160))


def test_the_page_needs_nothing_else_and_escapes_what_is_foreign(rendered: str) -> None:
    assert "create.p99 &lt; &lt;160ms&gt;" in rendered
    assert "Content-Security-Policy" in rendered
    assert "The target carries " in rendered
    assert " src=" not in rendered
    assert "<link" not in rendered


@needs_browser
def test_a_browser_draws_its_charts_without_a_word(rendered: str, tmp_path: Path) -> None:
    dom, complaints = in_browser(rendered, tmp_path)

    assert complaints == []
    assert 'data-charts-drawn="6"' in dom


def test_the_page_has_one_large_figure_with_its_interval_target_and_date(rendered: str) -> None:
    (large,) = re.findall(r'<dl class="key large">\s*<div class="">(.*?)</div>', rendered, re.DOTALL)

    low, high = re.findall(r"<dd>(\d+) to (\d+) <", large)[0]
    assert int(low) < 500 < int(high) * 1.1
    assert "conversations/s" in large
    assert "Target <code>http://&lt;b&gt;t</code>, started 2026-01-02T03:04:05Z" in rendered


def test_the_most_probable_capacity_lies_in_the_interval(rendered: str) -> None:
    (embedded,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', rendered)
    data = json.loads(embedded)
    shapes = data["shapes"]
    (band,) = (chart["band"] for chart in data["charts"] if chart["name"] == "density")

    most_probable = shapes["capacity"][shapes["density"].index(1.0)]
    assert band["low"] < most_probable < band["high"]
    assert shapes["capacity"] == sorted(shapes["capacity"])


def test_a_curve_that_the_goodput_contradicts_is_not_drawn() -> None:
    points = [Point(n, min(100.0 * n, 500.0)) for n in (1, 2, 4, 8, 16)]
    law = Usl(points=points, sigma=Bounded(0.01, 0, 1), kappa=Bounded(0, 0, 0), lambda_per_s=Bounded(100.0, 90, 110))

    assert law.at(16) == pytest.approx(1391, rel=0.01)
    assert fitted(result_with(law)) is None
    assert fitted(result_with(msgspec.structs.replace(law, sigma=Bounded(0.15, 0, 1)))) is not None


def result_with(law: Usl) -> CapacityResult:
    settings = SearchSettings(start_rate=50, max_rate=100, min_rate=5, budget_s=9)
    bare = conclude(Search(settings, [], "budget", None, None, 1.0), [])
    return msgspec.structs.replace(bare, usl=law)
