"""What a person does with a report in a real browser, and what the page must not do."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.browser import Browser, browser, needs_browser
from tests.report.conftest import conclusion_of
from tests.report.test_comparison import comparison as hostile_comparison
from tests.run_logs import Make
from tests.turns_sample import log_of

from convload.comparison.conclusion import Conclusion, conclude
from convload.judging.baseline import freeze
from convload.judging.baseline import of_run as baseline_of
from convload.plan.gate_grammar import parse
from convload.report import comparison
from convload.report.course_data import packed
from convload.report.run import render_html as render
from convload.results.run import Run
from convload.results.runlog import Record

pytestmark = [needs_browser, pytest.mark.xdist_group("browser")]

AXE = Path(__file__).parent.parent / "axe" / "axe.min.js.gz"
DRAWN = "document.documentElement.dataset.chartsDrawn"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


SERIOUS = "serious", "critical"
CHOOSE = """(() => {
    const select = document.querySelector('#view');
    select.value = [...select.options].find((one) => one.text === '%s').value;
    select.dispatchEvent(new Event('change'));
})()"""
BUTTON = "[...document.querySelectorAll('[data-chart=%s] button')].find((one) => one.textContent === '%s')"
TABLE = "[...document.querySelectorAll('main table')].find((one) => one.textContent.includes('long_message'))"


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


@pytest.fixture
def page(conclusion: Conclusion, chromium: Browser) -> Iterator[Browser]:
    """The page of a run that failed, with hostile text wherever a target can put some."""
    chromium.open(render(conclusion))
    yield chromium
    assert chromium.complaints == []
    assert [one for one in chromium.requests if not one.startswith(("file:", "blob:"))] == []


def plot(page: Browser, name: str) -> dict[str, float]:
    """Returns where a chart's plot is in the window."""
    place = f"document.querySelector('[data-chart={name}] .u-over')"
    page.ask(f"{place}.scrollIntoView({{block: 'center'}})")
    found: dict[str, float] = page.ask(
        f"(() => {{ const r = {place}.getBoundingClientRect(); return {{x: r.x, y: r.y, w: r.width, h: r.height}} }})()"
    )
    return found


def stretches(page: Browser) -> list[list[float]]:
    """Returns the stretch of time that each chart over time shows."""
    found: list[list[float]] = page.ask(
        "convload.charts.filter((one) => !one.declaration.along && one.plot)"
        ".map((one) => [one.plot.scales.x.min, one.plot.scales.x.max])"
    )
    return found


def test_dragging_over_a_chart_zooms_all_charts_over_time_and_a_key_goes_back(page: Browser) -> None:
    before, at = stretches(page), plot(page, "throughput")

    page.drag(at["x"] + 0.25 * at["w"], at["x"] + 0.75 * at["w"], at["y"] + at["h"] / 2)
    zoomed = stretches(page)
    page.press("Escape")
    page.ask("document.querySelector('[data-chart=throughput] .plot').focus()")
    page.press("0")

    assert len(zoomed) > 8
    assert len({tuple(one) for one in zoomed}) == 1
    assert zoomed[0][1] - zoomed[0][0] == pytest.approx((before[0][1] - before[0][0]) / 2, rel=0.1)
    assert all(to - start > 11 for start, to in stretches(page))


def test_a_long_run_is_drawn_from_its_first_second_to_its_last(make: Make, chromium: Browser) -> None:
    page = chromium.open(render(conclude(make.opened(seconds=400, rate=10))))

    assert page.complaints == []
    assert {tuple(one) for one in stretches(page)} == {(0, 400)}
    at = plot(page, "throughput")
    page("Input.dispatchMouseEvent", type="mouseMoved", x=at["x"] + at["w"] / 2 + 1, y=at["y"] + 40)
    assert page.ask("document.querySelector('[data-chart=throughput] .tip').innerText").startswith("3:20 to 3:22")


def test_a_tooltip_tells_the_values_at_the_cursor(page: Browser) -> None:
    at = plot(page, "latency")

    page("Input.dispatchMouseEvent", type="mouseMoved", x=at["x"] + at["w"] * 0.55, y=at["y"] + 40)

    tip = page.ask("document.querySelector('[data-chart=latency] .tip').innerText")
    p50 = page.ask("convload.charts.find((one) => one.declaration.name === 'latency').made.entries.at(-1).values[6]")
    assert tip.splitlines()[0] == "6 s"
    assert f"p50 {p50:.1f} ms" in tip
    others = page.ask("[...document.querySelectorAll('.tip:not([hidden])')].length")
    assert others > 5


def test_another_step_or_variant_is_shown_in_all_charts_of_times(page: Browser) -> None:
    label = "document.querySelector('[data-chart=%s] .plot').getAttribute('aria-label')"
    before = page.ask(label % "latency")

    page.ask(CHOOSE % "token.consumer")

    assert before.startswith("Percentiles over time (conversation.create).")
    for name in ("heat", "latency", "distribution", "histogram"):
        assert "(token.consumer)." in page.ask(label % name)
    assert page.ask(label % "latency") != before.replace("conversation.create", "token.consumer")
    assert page.ask("document.querySelectorAll('#view option').length") == 3 + 4


def test_the_data_of_a_chart_are_copied_as_a_table(page: Browser, conclusion: Conclusion) -> None:
    page.ask(BUTTON % ("throughput", "copy data") + ".click()")

    text = page.ask("convload.table(convload.charts.find((one) => one.declaration.name === 'throughput'))")
    page.until(f"document.documentElement.dataset.copied == {len(text)}")
    rows = [line.split("\t") for line in text.splitlines()]
    assert rows[0] == ["s", "ok", "answered"]
    assert [float(row[1]) for row in rows[1:]] == [row.ok_per_s for row in conclusion.series]


def test_every_request_is_in_the_copied_data_of_a_heat_map(page: Browser, conclusion: Conclusion) -> None:
    rows = page.ask("convload.table(convload.charts[0])").splitlines()

    assert rows[0] == "s\tfrom ms\tto ms\trequests"
    measured = [row.split("\t") for row in rows[1:] if float(row.split("\t")[0]) > 3]
    assert sum(int(row[3]) for row in measured) == conclusion.summary.steps["conversation.create"].ok


def test_a_page_reads_heat_maps_as_they_were_laid_out(page: Browser) -> None:
    columns = [[24, 0, 31, 32, 1023], [], [0, 1024, 32_767, 32_768, 2**40], []]
    (view,) = packed({"views": [{"heat": {"response": columns}}]})["views"]

    assert page.ask(f"convload.unpacked({view['heat']['response']!r})") == columns


def test_a_chart_is_saved_as_a_picture(page: Browser) -> None:
    page("Browser.setDownloadBehavior", behavior="deny")
    page.ask(BUTTON % ("latency", "PNG") + ".click()")

    name, size = page.until("document.documentElement.dataset.saved").split()
    assert name == "latency.png"
    assert int(size) > 5000


def test_a_chart_is_read_zoomed_and_switched_with_the_keyboard_alone(page: Browser) -> None:
    said = "document.querySelector('[data-chart=latency] p[aria-live]').textContent"
    page.ask("document.querySelector('[data-chart=latency] .plot').focus()")
    page.press("End")
    last = page.ask(said)
    page.press("ArrowLeft")
    before = page.ask(said)
    page.press("+")
    zoomed = stretches(page)[0]
    page.press("0")
    page.press("Tab")
    page.press("Enter")

    assert last.startswith("11 s, max ")
    assert before.startswith("10 s, max ")
    assert zoomed[1] - zoomed[0] < 8
    assert page.ask("document.activeElement.textContent") == "max"
    assert page.ask("document.activeElement.getAttribute('aria-pressed')") == "false"
    assert page.ask("convload.charts.find((one) => one.declaration.name === 'latency').plot.series[1].show") is False


def test_the_logarithmic_scale_is_switched_on_and_off(page: Browser) -> None:
    button = BUTTON % ("latency", "log scale")
    scale = "convload.charts.find((one) => one.declaration.name === 'latency').plot.scales.y.distr"

    found = [page.ask(scale), page.ask(f"{button}.click(), {scale}"), page.ask(f"{button}.click(), {scale}")]

    assert found == [1, 3, 1]


def test_a_table_is_sorted_by_a_head_with_what_was_not_measured_last(page: Browser) -> None:
    column = f"[...{TABLE}.tBodies[0].rows].map((row) => row.cells[5].textContent.trim())"
    head = f"{TABLE}.tHead.rows[0].cells[5]"

    page.ask(f"{head}.querySelector('button').click()")
    up = page.ask(column)
    page.ask(f"{head}.querySelector('button').click()")
    down = page.ask(column)

    assert up[-1] == down[-1] == "—"
    figures = [float(one) for one in up[:-1]]
    assert figures == sorted(figures)
    assert [float(one) for one in down[:-1]] == figures[::-1]
    assert page.ask(f"{head}.getAttribute('aria-sort')") == "descending"


def test_the_command_that_shows_a_payload_again_is_copied(page: Browser) -> None:
    page.ask("document.querySelector('[data-copy]').click()")

    command = page.ask("document.querySelector('[data-copy]').previousElementSibling.textContent")
    assert command == "convload payloads show --seed 7 --mix default --account 12345678 --index 251"
    page.until(f"document.documentElement.dataset.copied == {len(command)}")


def test_light_and_dark_pages_have_grounds_and_lines_of_their_own(page: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    line = "convload.charts.find((one) => one.declaration.name === 'latency').made.entries.at(-1).color"
    light = page.ask(ground), page.ask(line)
    page.theme("dark")
    dark = page.ask(ground), page.until(f"{line} != '{light[1]}' && {line}")
    page.theme("light")

    assert light == ("rgb(246, 247, 249)", "#0072b2")
    assert dark == ("rgb(16, 19, 23)", "#56b4e9")


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_sticks_out_of_the_window(page: Browser, width: int) -> None:
    page.resize(width)
    page.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")

    assert page.ask("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('canvas')].filter((one) => one.getBoundingClientRect().right > innerWidth)"
    assert page.ask(f"{wide}.length") == 0


@pytest.mark.parametrize("is_open", [True, False])
def test_the_page_prints_on_a4_with_no_table_cut_off(is_open: bool, page: Browser, opened: list[Record]) -> None:
    if is_open:
        page.open(render(conclusion_of(opened)))
    assert page.pdf().startswith(b"%PDF")

    page.resize(718)
    page("Emulation.setEmulatedMedia", media="print")
    ends = "[...document.querySelectorAll('table, canvas')].map((one) => one.getBoundingClientRect().right)"
    cut = page.ask(f"{ends}.filter((end) => end > 718).length")
    page("Emulation.setEmulatedMedia", media="")

    assert cut == 0


def test_axe_finds_nothing_serious(page: Browser) -> None:
    page.ask(gzip.decompress(AXE.read_bytes()).decode() + ";0")

    found = page.ask(
        "axe.run(document, {resultTypes: ['violations']})"
        ".then((all) => all.violations.map((one) => [one.impact, one.id, one.nodes[0].html]))"
    )

    assert [one for one in found if one[0] in SERIOUS] == []


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
    steps = Run(make.opened(seconds=30)).steps

    page = chromium.open(comparison.page(hostile_comparison(), [steps], [steps]))

    assert page.complaints == []
    assert page.ask(DRAWN) == "2"
    assert legend(page) == ["base", "new", "base", "new"]
    assert page.ask("document.querySelectorAll('svg.gauge').length") == 4
