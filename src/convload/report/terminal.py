"""Prints documents on a terminal: the answer first and last, tables that fit between."""

import re
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from convload.report import document as doc

_STYLES: dict[doc.Tone, str] = {
    "": "",
    "pass": "bold green",
    "fail": "bold red",
    "inconclusive": "bold yellow",
    "interrupted": "bold yellow",
    "good": "green",
    "bad": "red",
    "doubt": "yellow",
    "warning": "yellow",
    "muted": "dim",
    "strong": "bold",
}
_GAP = 2
_LONGEST_WORD = 12
"""A column of words may shrink to its longest, and a longer one is folded; the other columns stay whole."""


def show(document: doc.Document, console: Console, medium: doc.Medium = doc.DETAILS, *, opens: bool = True) -> None:
    """Prints a document; text from elsewhere is shown as it is, never as markup or control sequence.

    The answer stands at the end, and where it `opens` at the top, too.
    """
    if opens:
        _print_statement(document, console)
    for at, section in enumerate(document.sections):
        _print_section(section, console, medium, is_first=at == 0)
    _print_statement(document, console)


def _print_statement(document: doc.Document, console: Console) -> None:
    if not document.statement:
        return
    # Never folded: the last line of the output is the whole sentence, for whoever reads it with `tail -1`.
    console.print(Text(doc.visible(document.statement), style=_STYLES[document.tone]), soft_wrap=True)


def _print_section(section: doc.Section, console: Console, medium: doc.Medium, *, is_first: bool) -> None:
    title = doc.plain_text(section.title) if section.terminal is None else section.terminal
    blocks = section.for_medium(medium)
    if blocks and not (title or is_first):
        console.print()
    for block in blocks:
        title = _print_block(block, title, console, medium)


def _print_block(block: doc.Block, title: str, console: Console, medium: doc.Medium) -> str:
    """Prints a block; returns the title if it is still to be printed: it belongs to the first table."""
    match block:
        case doc.Table():
            _print_table(title, *block.for_medium(medium), console, medium)
            return ""
        case doc.Facts():
            for group in block.groups.values():
                columns = [doc.Column("", kind="words"), doc.Column("what was measured", kind="words")]
                _print_table(title, columns, list(group.items()), console, medium)
            return ""
        case doc.Remark():
            console.print(_text(block.words, block.tone))
        case doc.Bullets():
            for item in block.items:
                console.print(_text(item, block.tone))
    return title


def _text(words: doc.Words, tone: doc.Tone = "", longest: int | None = None) -> Text:
    """Returns visible text in its styles, each part cut to `longest` letters."""
    text = Text(style=_STYLES[tone])
    for part in doc.parts(words):
        said = part if isinstance(part, str) else part.text
        style = _STYLES[part.tone] if isinstance(part, doc.Mark) else ""
        text.append(doc.visible(said) if longest is None else doc.brief(said, longest), style)
    return text


def _print_table(
    title: str, columns: Sequence[doc.Column], rows: Sequence[Sequence[doc.Words]], console: Console, medium: doc.Medium
) -> None:
    cells = [[_text(cell, longest=doc.LONGEST) for cell in row] for row in rows]
    heads = _heads(columns, medium)
    for at in _parts_that_fit(columns, heads, cells, console.width):
        grid = _grid(title, medium)
        if medium == doc.BRIEF or not title:
            console.print()
        for column, head in ((columns[one], heads[one]) for one in at):
            grid.add_column(
                head,
                justify="right" if column.kind == "figure" else "left",
                no_wrap=column.kind != "words",
                overflow="fold",
            )
        for row in cells:
            grid.add_row(*(row[one] for one in at))
        console.print(grid)
        title = ""


def _grid(title: str, medium: doc.Medium) -> Grid:
    if medium == doc.BRIEF:
        return Grid(title=Text(), box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    return Grid(
        title=Text(f"\n{doc.brief(title)}" if title else ""),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )


def _heads(columns: Sequence[doc.Column], medium: doc.Medium) -> list[Text]:
    """Names the columns; the first of each clock has its name, above it where times are of several."""
    clocks = [column.clock for column in columns]
    between = "\n" if len(set(filter(None, clocks))) > 1 else " "
    heads = []
    for at, column in enumerate(columns):
        name = column.head_on(medium)
        clock = column.clock if column.clock not in clocks[:at] else ""
        heads.append(Text(f"{clock}{between}{name}".strip(" ") if column.clock else name))
    return heads


def _parts_that_fit(
    columns: Sequence[doc.Column], heads: Sequence[Text], cells: Sequence[Sequence[Text]], width: int
) -> list[list[int]]:
    """Deals the columns out to tables that are no wider than the terminal; each begins with the first column."""
    texts = [[head, *(row[at] for row in cells)] for at, head in enumerate(heads)]
    least = [
        min(_width(column, r"\s+"), _LONGEST_WORD) if columns[at].kind == "words" else _width(column, "\n")
        for at, column in enumerate(texts)
    ]
    tables = [[0]]
    for at in range(1, len(columns)):
        if sum(least[one] + _GAP for one in [*tables[-1], at]) - _GAP > width and len(tables[-1]) > 1:
            tables.append([0])
        tables[-1].append(at)
    return tables


def _width(column: Sequence[Text], between: str) -> int:
    return max(cell_len(part) for text in column for part in re.split(between, text.plain))
