import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest
from tests.run_logs import Make

from convload.comparison.conclusion import Conclusion, conclude
from convload.report import charts, html
from convload.report.course_data import packed
from convload.report.document import brief
from convload.report.run import render_html as render
from convload.results.runlog import Cell, Note, Record

Element = tuple[str, dict[str, str | None], list[str]]

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Collects the elements of a page with their attributes and text; fails on elements that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element: Element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def texts(self, tag: str) -> list[str]:
        return ["".join(texts) for name, _, texts in self.elements if name == tag]


@pytest.fixture
def page(conclusion: Conclusion) -> Page:
    return Page(render(conclusion))


def test_the_page_loads_nothing(conclusion: Conclusion, page: Page) -> None:
    loading = {"src", "href", "srcset", "data", "poster", "action", "formaction", "background", "ping"}
    css = "".join(page.texts("style"))

    assert [name for tag, attributes, _ in page.elements for name in attributes if name in loading and tag != "a"] == []
    assert {tag for tag, _, _ in page.elements} & {"link", "iframe", "object", "embed", "img", "base"} == set()
    assert not re.search(r"url\(|@import|image-set", css)
    # The only addresses are words: the target, what it said, and the origin named in uPlot's licence line.
    addresses = set(re.findall(r"https?://[\w.:/-]+", render(conclusion)))
    assert {one.partition("/api/")[0] for one in addresses} - {"http://www.w3.org/2000/svg"} == {
        "http://127.0.0.1:8080",
        "http://x.example",
        "https://github.com/leeoniya/uPlot",
    }


def test_the_policy_forbids_the_network_and_every_script_but_ours(page: Page) -> None:
    policy = next(a["content"] for a in page.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = [text for text, a in zip(page.texts("script"), page.attributes("script"), strict=True) if not a]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]

    assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"].split() == hashes
    assert len(hashes) == len(html.SCRIPTS)
    assert "unsafe" not in policy


def test_no_element_carries_inline_style_or_script(page: Page) -> None:
    names = [name for _, attributes, _ in page.elements for name in attributes]

    assert not [name for name in names if name == "style" or name.startswith("on")]


def test_nothing_that_the_target_said_becomes_an_element(conclusion: Conclusion, page: Page) -> None:
    said = next(sample.detail for sample in conclusion.samples if sample.outcome == "contract")

    assert len(page.attributes("script")) == 1 + len(html.SCRIPTS)
    assert brief(said) in page.texts("code")


@pytest.mark.parametrize("place", ["target", "name", "note", "variant", "kind"])
def test_no_text_from_elsewhere_becomes_an_element(
    place: str, passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    hostile = "</script><script>alert(1)</script><b x='\"&quot;\x1b\u202e{{ 7*7 }}"
    manifest = passing[0]
    changes = {
        "target": {"target": hostile},
        "name": {"plan": getattr(manifest, "plan") | {"name": hostile, hostile: [hostile]}},  # noqa: B009 -- the type is a union
    }
    passing[0] = msgspec.structs.replace(manifest, **changes.get(place, {}))
    passing += [Note(1.0, hostile, invalidates=True)] if place == "note" else []
    cell = Cell("conversation.create", "minimal", "measure", hostile, 9, "")
    passing += [msgspec.structs.replace(passing[-3], worker=7, cells=[cell])] if place == "kind" else []
    conclusion = conclude_records(passing)
    if place == "variant":
        (first, *_) = conclusion.summary.variants.values()
        summary = msgspec.structs.replace(conclusion.summary, variants={hostile: first})
        conclusion = msgspec.structs.replace(conclusion, summary=summary)

    page = Page(render(conclusion))

    assert len(page.attributes("script")) == 1 + len(html.SCRIPTS)
    assert "b" not in {tag for tag, attributes, _ in page.elements if attributes}
    assert any("\\x1b\\u202e{{ 7*7 }}" in text for text in page.texts("body"))


def test_the_figures_of_the_charts_are_in_the_page_as_they_were_laid_out(conclusion: Conclusion, page: Page) -> None:
    embedded = next(
        text
        for text, a in zip(page.texts("script"), page.attributes("script"), strict=True)
        if a.get("type") == "application/json"
    )

    found = json.loads(embedded)
    drawn, marks = found.pop("charts"), found.pop("marks")
    laid_out = {**json.loads(json.dumps(packed(charts.data(conclusion.run)))), "shapes": {}}
    assert found == {name: value for name, value in laid_out.items() if name != "marks"}
    assert marks["shades"][0] == laid_out["marks"]["shades"][0]
    assert [one["name"] for one in drawn][:2] == ["heat", "latency"]


def test_tables_and_headings_can_be_read_by_a_screen_reader(page: Page) -> None:
    tables = page.texts("table")

    assert len(page.texts("caption")) == len(tables) == 4
    assert all(attributes.get("scope") in {"col", "row"} for attributes in page.attributes("th"))
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))
    ids = {attributes["id"] for _, attributes, _ in page.elements if "id" in attributes}
    labels = [attributes["aria-labelledby"] for _, attributes, _ in page.elements if "aria-labelledby" in attributes]
    assert set(labels) <= ids
    assert page.attributes("html")[0]["lang"] == "en"


def test_without_javascript_a_note_stands_in_for_the_charts_and_all_tables_remain(page: Page) -> None:
    assert "The charts need JavaScript" in page.texts("noscript")[0]
    assert all("needs-js" in (attributes["class"] or "") for attributes in page.attributes("button"))


def test_every_figure_of_the_steps_is_in_their_table(conclusion: Conclusion, page: Page) -> None:
    cells = set(page.texts("td"))

    for row in conclusion.summary.steps.values():
        assert {f"{row.count:,}", f"{row.count - row.ok:,}"} <= cells
        assert {f"{value:,.2f}" for value in row.response_ms.values()} <= cells


def test_a_run_that_measured_nothing_says_so_instead_of_drawing(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    page = Page(render(conclude_records(silent)))

    assert not [attributes for attributes in page.attributes("div") if "data-chart" in attributes]
    assert "Nothing was measured." in page.texts("p")
    assert "No create request succeeded." in page.texts("p")
    assert page.texts("h2")[0] == "INCONCLUSIVE"


def test_an_open_run_has_a_table_of_its_stages_with_both_rates(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(opened)
    page = Page(render(conclusion))
    table = next(text for text in page.texts("table") if "planned /s" in text)
    cells = set(page.texts("td"))

    assert len(page.texts("caption")) == len(page.texts("table"))
    for name, stage in conclusion.summary.stages.items():
        assert name in table
        assert {f"{stage.offered_rate:,.1f}", f"{stage.achieved_rate:,.1f}", f"{stage.count:,}"} <= cells
        assert f"{stage.service_ms['p99']:,.2f}" in cells
    assert {"service 22.5", "offered 120", "never sent 0", "of 2,400 due"} <= set(page.texts("dd"))
    assert any("Open model" in text for text in page.texts("p"))
    assert "at most 40" in page.texts("dd")


def test_the_banner_has_the_text_of_a_gate_as_it_is_written(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(passing)
    verdict = msgspec.structs.replace(conclusion.verdict, outcome="fail", text="Fail: create.p99 < 50ms is broken.")

    page = Page(render(msgspec.structs.replace(conclusion, verdict=verdict)))

    assert "create.p99 < 50ms is broken." in page.texts("p")


def test_a_gate_stays_as_it_was_written_wherever_the_page_names_it() -> None:
    text = "".join(Page(render(conclude(Make().opened(gates=["create.p50 < 1us"])))).texts("body"))

    assert text.count("create.p50 < 1us") > 1
    assert text.lower().count("create.p50 < 1us") == text.count("create.p50 < 1us")


def test_the_page_says_what_was_run_and_leads_to_its_build(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    origin = {"commit": "6f1c0de", "branch": "<b>main", "build": "https://ci.example/job/5"}
    plan = getattr(passing[0], "plan") | {"tags": ["release=1.2", "team=<i>"]}  # noqa: B009 -- the type is a union
    passing[0] = msgspec.structs.replace(passing[0], origin=origin, plan=plan)

    page = Page(render(conclude_records(passing)))

    assert {"6f1c0de", "<b>main"} <= set(page.texts("code"))
    assert {"release=1.2", "team=<i>"} <= set(page.texts("span"))
    assert page.attributes("a") == [{"href": "https://ci.example/job/5", "rel": "noreferrer noopener"}]


def test_a_link_that_is_none_stays_text(passing: list[Record], conclude_records: Callable[..., Conclusion]) -> None:
    passing[0] = msgspec.structs.replace(passing[0], origin={"build": "javascript:alert(1)"})

    assert Page(render(conclude_records(passing))).attributes("a") == []


def test_a_gate_has_a_bar_with_its_bounds_and_its_limit(make: Make) -> None:
    page = Page(render(conclude(make.opened(gates=["create.p50 < 20ms"]))))

    kinds = [attributes.get("class") for attributes in page.attributes("rect")]
    assert kinds == ["track", "wanted", "bounds pass", "limit"]


def test_when_and_where_a_gate_was_broken_is_said_and_marked(make: Make) -> None:
    log = make.opened(lambda _, second: {"failed": 50 * (20 <= second < 24)}, seconds=40, gates=["errors < 1%"])
    page = render(conclude(log))

    assert "100\u00a0% of those from 20 to 24 s." in page
    assert '"from_s":20,"to_s":24,"tone":"fail","gate":"errors < 1%"'.replace("<", "\\u003c") in page
