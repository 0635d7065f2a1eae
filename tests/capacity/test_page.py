"""The page of a capacity search, as text and in a browser."""

from pathlib import Path

import pytest
from bench.simulated import Objective, Server, SimulatedTarget
from tests.browser import in_browser, needs_browser

from convload.capacity.posterior import Tail
from convload.capacity.result import conclude
from convload.capacity.search import search
from convload.capacity.trials import SearchSettings
from convload.report import html
from convload.report.capacity import document


@pytest.fixture(scope="module")
def rendered() -> str:
    objective = Objective(p99_ms=160)
    target = SimulatedTarget(Server(capacity_per_s=500, servers=8), objective, 3)
    tail = Tail(objective.decay_per_s)
    settings = SearchSettings(start_rate=50, max_rate=5_000, min_rate=5, budget_s=120, tail=tail)
    return html.render(document(conclude(search(target, settings, target.clock), ["create.p99 < <160ms>"]), 160))


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
    assert 'data-charts-drawn="5"' in dom
