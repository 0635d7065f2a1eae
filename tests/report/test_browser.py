"""What a person does with a report in a real browser, and what the page must not do."""

from collections.abc import Callable, Iterator

import msgspec
import pytest
from tests.browser import Browser, browser, needs_browser
from tests.report.test_comparison import comparison as hostile_comparison
from tests.run_logs import Make
from tests.turns_sample import log_of

from convload.comparison.conclusion import Conclusion, conclude
from convload.judging.baseline import freeze
from convload.judging.baseline import of_run as baseline_of
from convload.plan.gate_grammar import parse
from convload.report import comparison
from convload.report.run import render_html as render
from convload.results.run import Run
from convload.results.runlog import Record

pytestmark = [needs_browser, pytest.mark.xdist_group("browser")]

DRAWN = "document.documentElement.dataset.chartsDrawn"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def legend(page: Browser) -> list[str]:
    labels: list[str] = page.ask("[...document.querySelectorAll('.legend > *')].map((one) => one.textContent)")
    return labels


def test_all_charts_are_drawn_without_a_word_and_without_a_request(conclusion: Conclusion, chromium: Browser) -> None:
    page = chromium.open(render(conclusion), 390)

    assert page.complaints == []
    assert [one for one in page.requests if not one.startswith("file:")] == []
    assert page.ask(DRAWN) == "13"
    assert {"p99", "in flight", "http_503", "worker 1"} <= set(legend(page))
    assert page.ask(
        "[...document.querySelectorAll('.plot')].every((one) => one.getAttribute('aria-label').length > 40)"
    )


def test_all_charts_of_an_open_run_are_drawn_without_a_word(
    opened: list[Record], conclude_records: Callable[..., Conclusion], chromium: Browser
) -> None:
    page = chromium.open(render(conclude_records(opened)))

    assert page.complaints == []
    assert page.ask(DRAWN) == "15"
    assert {"offered", "sent", "service p99", "waiting", "in flight", "CPU", "event loop late"} <= set(legend(page))


def test_the_windows_of_two_targets_are_drawn_without_a_word(chromium: Browser) -> None:
    page = chromium.open(render(conclude(log_of())))

    assert page.complaints == []
    assert {"A p50", "B p50"} <= set(legend(page))


def test_the_report_of_a_silent_run_opens_without_a_word(
    silent: list[Record], conclude_records: Callable[..., Conclusion], chromium: Browser
) -> None:
    page = chromium.open(render(conclude_records(silent)))

    assert page.complaints == []
    assert page.ask(DRAWN) == "0"


def test_another_run_is_drawn_over_every_chart(
    opened: list[Record], conclude_records: Callable[..., Conclusion], conclusion: Conclusion, chromium: Browser
) -> None:
    page = chromium.open(render(conclude_records(opened), conclusion, "<b>before"))

    assert page.complaints == []
    labels = set(legend(page))
    assert {
        "p50, <b>before",
        "ok, <b>before",
        "in flight, <b>before",
        "all, <b>before",
        "response, <b>before",
    } <= labels


def test_the_shapes_of_a_baseline_are_drawn_over_those_of_the_run(make: Make, chromium: Browser) -> None:
    gate = "create.p99 < baseline * 1.1"
    log = make.opened(seconds=30, gates=[gate])
    frozen = freeze(baseline_of(Run(log)), [parse(gate)], [], "base")
    log = msgspec.structs.replace(log, manifest=msgspec.structs.replace(log.manifest, baseline=frozen))

    page = chromium.open(render(conclude(log)))

    assert page.complaints == []
    assert {"response, baseline"} <= set(legend(page))


def test_a_comparison_has_the_distributions_of_both_sides(make: Make, chromium: Browser) -> None:
    run = Run(make.opened(seconds=30))

    page = chromium.open(comparison.page(hostile_comparison(), [run], [run]))

    assert page.complaints == []
    assert page.ask(DRAWN) == "2"
    assert legend(page) == ["base", "new", "base", "new"]
    assert page.ask("document.querySelectorAll('svg.gauge').length") == 4
