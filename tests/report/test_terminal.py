"""Tables on a terminal: whatever they hold, they fit it, and no figure or name is cut."""

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.report.test_history import history

from convload.report import document as doc
from convload.report import terminal
from convload.report.history import document


def printed(table: doc.Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    section = doc.Section("Title", [table])
    terminal.show(doc.Document(kind="", title="", heading="", statement="", sections=[section]), console)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().split("\n")]


@given(st.lists(st.integers(1, 24), min_size=1, max_size=12), st.integers(60, 120))
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_cut(lengths: list[int], width: int) -> None:
    columns = [doc.Column("run", kind="words"), *(doc.Column(f"p{at}") for at in range(len(lengths)))]
    figures = ["".join(str((at + one) % 10) for one in range(length)) for at, length in enumerate(lengths)]

    lines = printed(doc.Table(columns, [["smoke", *figures]]), width)
    words = " ".join(lines).split()

    assert max(map(len, lines)) <= width
    for figure in figures:
        assert figure in words
    for at in range(len(lengths)):
        assert f"p{at}" in words


def test_a_table_that_is_too_wide_goes_on_below_with_its_first_column() -> None:
    columns = [doc.Column("run", kind="words"), *(doc.Column(f"column {at}") for at in range(12))]

    lines = printed(doc.Table(columns, [["smoke", *["1.5"] * 12]]), 60)

    assert sum(line.startswith("smoke ") for line in lines) > 1
    assert sum(line.count("1.5") for line in lines) == 12


@pytest.mark.parametrize("width", [80, 100])
def test_a_history_keeps_dates_and_names_whole(width: int) -> None:
    found = history()
    points = [
        msgspec.structs.replace(one, folder=f"runs/2026-01-{at + 1:02}T030405Z-smoke")
        for at, one in enumerate(found.points)
    ]
    console = Console(file=io.StringIO(), width=width, color_system=None)
    terminal.show(
        document(msgspec.structs.replace(found, plan="smoke", target="mock", points=points, left_out=[])), console
    )
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().split("\n")

    assert max(map(len, lines)) <= width
    for at in range(12):
        assert any(f"2026-01-{at + 1:02}T030405Z-smoke  2026-01-{at + 1:02} 03:04" in line for line in lines)
