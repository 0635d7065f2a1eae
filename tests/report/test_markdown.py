from collections.abc import Callable
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from convload.comparison.conclusion import Conclusion
from convload.report.document import brief, visible
from convload.report.markdown import code, plain
from convload.report.run import render_markdown as render
from convload.results.runlog import Note, Record

# An independent reader with all that GitHub switches on and more: HTML passes, bare links are links.
MARKDOWN = MarkdownIt("gfm-like", {"html": True, "linkify": False, "typographer": False}).enable("table")


class Reader(HTMLParser):
    """Collects the elements of a page and the text of its table cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.cells: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 -- HTMLParser calls it so
        self.elements.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.cells:
            self.cells[-1] += data


OWN = {"h1", "h2", "p", "pre", "ul", "li", "code", "table", "thead", "tbody", "tr", "th", "td"}


def test_nothing_that_the_target_said_becomes_markup(conclusion: Conclusion) -> None:
    page = Reader(MARKDOWN.render(render(conclusion)))
    said = next(sample.detail for sample in conclusion.samples if sample.outcome == "contract")

    assert page.elements <= OWN
    assert brief(said) in [cell.strip() for cell in page.cells]


@pytest.mark.parametrize("place", ["target", "note"])
def test_nothing_in_the_head_becomes_markup(
    place: str, passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    hostile = "# <b>x</b> `y` [a](http://z) **s** _e_ | - \x1b[1m\n- item\n\n<script>"
    if place == "target":
        passing[0] = msgspec.structs.replace(passing[0], target=hostile)
    else:
        passing += [Note(1.0, hostile, invalidates=True), Note(1.0, "another", invalidates=True)]

    page = Reader(MARKDOWN.render(render(conclude_records(passing))))

    assert page.elements <= OWN
    assert visible(hostile) in page.text


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_escaped_text_reads_as_itself(text: str) -> None:
    shown = visible(text)

    assert Reader(MARKDOWN.render(f"x {plain(text)} x")).text.strip() == f"x {shown} x"


@given(st.text(st.sampled_from("a`| \\<*\n"), min_size=1, max_size=12).filter(str.strip))
def test_a_code_span_reads_as_itself(text: str) -> None:
    page = Reader(MARKDOWN.render(f"x {code(text)} x"))

    assert page.text.strip() == f"x {visible(text)} x"


def test_a_run_that_measured_nothing_has_no_empty_tables(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    text = render(conclude_records(silent))

    assert text.startswith("# INCONCLUSIVE: convload smoke\n")
    assert "## Steps" not in text
    assert "## Errors" not in text
