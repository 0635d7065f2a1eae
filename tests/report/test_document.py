import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.report.document import brief, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Ünïcode, 😀, 漢字", "plain text, Ünïcode, 😀, 漢字"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\r\nlines\u2028three", "two\\r\\nlines\\u2028three"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\u202eback", "\\u202eback"),
        ("\ud800\ufffe", "\\ud800\\ufffe"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(codec=None)))
def test_whatever_comes_in_what_goes_out_prints_on_one_line(text: str) -> None:
    shown = visible(text)

    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    shown.encode()


def test_long_text_is_cut_with_a_mark() -> None:
    assert brief("x" * 10, 10) == "x" * 10
    assert brief("x" * 11, 10) == "x" * 9 + "…"
    assert len(brief("\x00" * 1000)) == 300
