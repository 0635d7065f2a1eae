"""Renders documents as pages: one file each that needs nothing else, no network and no build."""

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from convload.report import bars
from convload.report import document as doc
from convload.report.chart import Chart

_HERE = Path(__file__).parent

STYLES = ("uplot/uPlot.min.css", "page.css")
SCRIPTS = ("uplot/uPlot.iife.min.js", "figures.js", "marks.js", "kinds.js", "chart.js", "tables.js", "page.js")
"""In the order in which they need each other; the last one alone looks for what stands on a page."""


def render(document: doc.Document) -> str:
    """Returns the page. Every string that goes into it is made visible and escaped; only our own assets are not."""
    style, scripts = assets()
    return _template().render(
        document=document,
        answer=document.statement.removeprefix(f"{document.word.capitalize()}: "),
        sections=_sections(document),
        words=_words,
        head=lambda column: column.head_on(doc.HTML),
        kind_of=lambda block: type(block).__name__,
        plain_text=doc.plain_text,
        style=style,
        scripts=scripts,
        policy=_policy(style, scripts),
        data=_embedded({"charts": _charts(document), **document.data}),
    )


def assets() -> tuple[Markup, list[Markup]]:
    """Returns the style and the scripts that are copied into every page."""
    return Markup().join(map(_asset, STYLES)), [_asset(name) for name in SCRIPTS]


def content_hash(text: str) -> str:
    """Returns what names a script or style in a content security policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@functools.cache
def _template() -> jinja2.Template:
    """Returns the template, into which every string goes visible and escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _shown(value: Any) -> Any:
    """Makes every string visible on its way into the page, so that none can be forgotten; keeps its % with it."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return doc.visible(value).replace(" %", "\N{NO-BREAK SPACE}%")


def _words(words: doc.Words) -> Markup:
    return Markup().join(_part(part) for part in doc.parts(words))


def _part(part: doc.Part) -> Markup:
    match part:
        case doc.Link():
            known = part.url.startswith(("https://", "http://", "./"))
            link = Markup('<a href="{}" rel="noreferrer noopener">{}</a>').format(part.url, _shown(part.text))
            return link if known else Markup.escape(_shown(part.text))
        case doc.Code():
            return Markup("<code>{}</code>").format(_shown(part.text)) if part.text else Markup()
        case doc.Mark():
            return Markup('<span class="{}">{}</span>').format(part.tone, _shown(part.text))
        case str():
            return Markup.escape(_shown(part))
        case _:
            return _used(part)


def _used(part: doc.Command | doc.Tick | doc.Course | doc.Bar) -> Markup:
    """Returns what a reader does something with, and what is drawn."""
    match part:
        case doc.Command():
            command = Markup(
                '<code class="command">{}</code><button type="button" class="needs-js" data-copy>copy</button>'
            )
            return command.format(doc.visible(part.text))
        case doc.Tick():
            box = Markup('<input type="checkbox" class="needs-js" value="{0}" aria-label="compare {0}">')
            return box.format(doc.visible(part.value))
        case doc.Course():
            return bars.course(part)
        case doc.Bar():
            return bars.draw(part)


def _sections(document: doc.Document) -> list[tuple[doc.Section, list[doc.Block], str]]:
    """Returns what stands on the page: sections, their blocks, and their names, so that a link can lead to one."""
    shown = [(section, blocks) for section in document.sections if (blocks := section.for_medium(doc.HTML))]
    names = [re.sub(r"[^a-z0-9]+", "-", doc.plain_text(section.title).lower()).strip("-")[:40] for section, _ in shown]
    return [
        (section, blocks, name if name and names.count(name) == 1 else f"section-{at}")
        for at, ((section, blocks), name) in enumerate(zip(shown, names, strict=True))
    ]


def _charts(document: doc.Document) -> list[Chart]:
    """Returns the charts that stand on the page and have something to draw."""
    blocks = [block for section in document.sections for block in section.for_medium(doc.HTML)]
    return [chart for block in blocks if isinstance(block, doc.Charts) for chart in block.charts if not chart.otherwise]


def _asset(name: str) -> Markup:
    return Markup((_HERE / "assets" / name).read_text("utf-8").strip())  # noqa: S704 -- a file of ours


def _policy(style: Markup, scripts: list[Markup]) -> str:
    """Returns a policy under which the page loads nothing and runs only the scripts that are in it now."""
    hashes = " ".join(content_hash(script) for script in scripts)
    return (
        f"default-src 'none'; style-src {content_hash(style)}; script-src {hashes}; base-uri 'none'; form-action 'none'"
    )


def _embedded(value: Mapping[str, Any]) -> Markup:
    """Returns data as JSON that can stand in a script element."""
    text = msgspec.json.encode(value).decode()
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 -- without < it cannot end its element
