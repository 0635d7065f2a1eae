"""What a report is made of before it has a form: sections of tables, notes and charts, for any medium.

A content module (run, comparison, history, capacity) builds one `Document`; a renderer (terminal, markdown, html) gives
it a form. Where media differ, the document says so by `on`: a block, a section or a column stands on those media alone.
Every string is data: no text can become markup, because the renderers alone write any.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec

from convload.report.chart import Chart

Row = TypeVar("Row")

LONGEST = 300
"""Letters of text from elsewhere, where it is not to fill a page."""

Medium = Literal["brief", "details", "markdown", "html"]
BRIEF: Medium = "brief"
DETAILS: Medium = "details"
MARKDOWN: Medium = "markdown"
HTML: Medium = "html"

EVERYWHERE: tuple[Medium, ...] = (BRIEF, DETAILS, MARKDOWN, HTML)
TERMINAL: tuple[Medium, ...] = (BRIEF, DETAILS)
PAGES: tuple[Medium, ...] = (MARKDOWN, HTML)
IN_FULL: tuple[Medium, ...] = (DETAILS, MARKDOWN, HTML)
"""Everywhere but at the short end of a run on the terminal."""

Tone = str
"""How text looks: an outcome of a verdict, good, bad, doubt, warning, muted, strong, or nothing."""


class Code(msgspec.Struct, frozen=True):
    """Text that stands as it was written: a name, a gate, what a target answered."""

    text: str


class Mark(msgspec.Struct, frozen=True):
    """Text that stands out."""

    text: str
    tone: Tone


class Link(msgspec.Struct, frozen=True):
    """Text that leads to an address on a page; elsewhere the address stands there."""

    text: str
    url: str


class Command(msgspec.Struct, frozen=True):
    """What a reader may type; a page copies it."""

    text: str


class Tick(msgspec.Struct, frozen=True):
    """A box that a reader ticks; `value` is what it stands for."""

    value: str
    text: str = ""


class Course(msgspec.Struct, frozen=True):
    """Values over time, drawn small; None where there was none."""

    values: Sequence[float | None]
    text: str = ""


class Bar(msgspec.Struct, frozen=True):
    """A value with its bounds on a scale from `start` to `end`, each a share of the bar; nothing where not known.

    `limit` is a line, and what lies to the side of it that `allows` is what is wanted. It has no text: the figures
    stand beside it.
    """

    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    tone: Tone = ""
    allows: Literal["below", "above", ""] = ""
    text: str = ""


Part = str | Code | Mark | Link | Command | Tick | Course | Bar

Words = Part | Sequence[Part]
"""A run of text."""


class _OnMedia(msgspec.Struct, frozen=True, kw_only=True):
    on: tuple[Medium, ...] = EVERYWHERE


class Column(_OnMedia, frozen=True):
    """The head of a column; `heads` are those of media that call it otherwise.

    `kind` says whether it holds figures, words that may wrap, names that may not, or bars; `clock` is the group of a
    time.
    """

    head: str
    kind: Literal["figure", "words", "name", "bar"] = "figure"
    clock: str = ""
    heads: Mapping[Medium, str] = {}

    def head_on(self, medium: Medium) -> str:
        """Returns what a medium calls it."""
        return self.heads.get(medium, self.head)


class Table(_OnMedia, frozen=True):
    """Rows under columns; a row has a cell for every column, whether or not a medium shows it."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Words]]

    def for_medium(self, medium: Medium) -> tuple[list[Column], list[list[Words]]]:
        """Returns the columns that stand on a medium, and their cells."""
        shown = [at for at, column in enumerate(self.columns) if medium in column.on]
        return [self.columns[at] for at in shown], [[row[at] for at in shown] for row in self.rows]


class Remark(_OnMedia, frozen=True):
    """A paragraph."""

    words: Words
    tone: Tone = ""


class Bullets(_OnMedia, frozen=True):
    """Lines that belong together."""

    items: Sequence[Words]
    tone: Tone = ""


class Facts(_OnMedia, frozen=True):
    """Values by their names, under the title of each group."""

    groups: Mapping[str, Mapping[str, str]]


class Tile(msgspec.Struct, frozen=True):
    """A figure that is read from afar."""

    name: str
    figure: str
    unit: str = ""
    more: str = ""
    tone: Tone = ""


class Tiles(_OnMedia, frozen=True):
    """Key figures of a page; in pairs those of one side stand in a row, large has one figure before all others."""

    tiles: Sequence[Tile]
    form: Literal["", "pairs", "large"] = ""


class Charts(_OnMedia, frozen=True):
    """Charts of a page, side by side; `has_views`: the reader chooses the step or variant that they are of."""

    charts: Sequence[Chart]
    has_views: bool = False


class Compare(_OnMedia, frozen=True):
    """What becomes of two runs that were ticked: the page at `url` compares them, or a command that is shown."""

    url: str
    root: str


class Diagram(_OnMedia, frozen=True):
    """A chart of Markdown as Mermaid source, and what a reader must know of it: Mermaid draws no legend."""

    caption: str
    source: str


class Folded(_OnMedia, frozen=True):
    """Lines of a page that are shown when asked for."""

    title: Words
    items: Sequence[Words]
    is_open: bool = False


Block = Table | Remark | Bullets | Facts | Tiles | Charts | Compare | Diagram | Folded

_ONLY_ON: dict[type[Block], Medium] = {Tiles: HTML, Charts: HTML, Compare: HTML, Folded: HTML, Diagram: MARKDOWN}


class Section(msgspec.Struct, frozen=True):
    """Blocks under a title. `form` is how a page lays it out; `terminal` its title there, if it has another."""

    title: Words
    blocks: Sequence[Block]
    on: tuple[Medium, ...] = IN_FULL
    form: Literal["panel", "half", "plain", "untitled"] = "panel"
    terminal: str | None = None

    def for_medium(self, medium: Medium) -> list[Block]:
        """Returns what stands on a medium; nothing where the section does not."""
        return [block for block in self.blocks if medium in self.on and _stands(block, medium)]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A report. `statement` is its answer in a sentence, `word` the outcome it begins with, `tone` how that looks."""

    kind: str
    title: str
    heading: str
    statement: str
    sections: Sequence[Section]
    tone: Tone = ""
    word: str = ""
    subtitle: Sequence[Words] = ()
    footer: str = ""
    data: Mapping[str, Any] = {}


def table(rows: Iterable[Row], *columns: tuple[Column, Callable[[Row], Words]]) -> Table:
    """Returns a table of rows from its columns, each with what makes a cell of a row."""
    return Table([column for column, _ in columns], [[cell(row) for _, cell in columns] for row in rows])


def plain_text(words: Words) -> str:
    """Returns the text without its form."""
    return "".join(part if isinstance(part, str) else part.text for part in parts(words))


def parts(words: Words) -> Sequence[Part]:
    """Returns the pieces of a run of text."""
    return [words] if isinstance(words, Part) else words


def visible(text: str) -> str:
    """Makes text from elsewhere (answers, errors, addresses) safe to show: it is data in every format.

    Each character that does not print becomes its escape: controls, line breaks, marks of direction. What is left fits
    into XML and into one line, and no terminal obeys it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def brief(text: str, longest: int = LONGEST) -> str:
    """Makes text visible and cuts it, with a mark that it was cut."""
    shown = visible(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _stands(block: Block, medium: Medium) -> bool:
    """Says whether a block has something to show, and a medium can and should show it."""
    if medium not in block.on or _ONLY_ON.get(type(block), medium) != medium:
        return False
    match block:
        case Table():
            return bool(block.rows)
        case Remark():
            return bool(plain_text(block.words))
        case Bullets():
            return bool(block.items)
        case Facts():
            return any(block.groups.values())
        case _:
            return True
