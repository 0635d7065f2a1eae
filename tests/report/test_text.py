import io
from collections.abc import Callable

import pytest
from rich.console import Console

from convload.report.text import print_conclusion
from convload.results.runlog import Note, Record
from convload.results.verdict import Conclusion


def printed(conclusion: Conclusion, *, width: int = 80, color: bool = False) -> str:
    file = io.StringIO()
    system = "truecolor" if color else None
    console = Console(file=file, width=width, color_system=system, force_terminal=color)  # type: ignore[arg-type]  # rich's Literal
    print_conclusion(conclusion, console)
    return file.getvalue()


def test_the_verdict_comes_first_and_last(conclusion: Conclusion) -> None:
    lines = printed(conclusion, width=300).strip().split("\n")

    assert lines[0].strip() == lines[-1].strip() == conclusion.verdict.text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(conclusion: Conclusion, width: int) -> None:
    assert max(len(line) for line in printed(conclusion, width=width).split("\n")) <= width


def test_figures_are_never_cut_at_80_columns(conclusion: Conclusion) -> None:
    text = printed(conclusion)

    for name, row in conclusion.summary.steps.items():
        line = next(line for line in text.split("\n") if line.startswith(name))
        assert line.split()[1:] == [
            str(row.count),
            str(row.count - row.ok),
            *(f"{row.response_ms[key]:,.2f}" for key in ("p50", "p95", "p99", "max")),
        ]


def test_no_control_sequence_of_foreign_text_reaches_the_terminal(conclusion: Conclusion) -> None:
    plain = printed(conclusion)
    coloured = printed(conclusion, color=True)

    assert plain.replace("\n", "").isprintable()
    assert "\x1b[1;31mFail" in coloured
    for sequence in ("\x1b]", "\x07", "\x9b", "\u202e", "\x1b[31mred"):
        assert sequence not in coloured


def test_foreign_text_is_no_console_markup(conclusion: Conclusion) -> None:
    assert "[/bold red] {{ 7*7 }}" in printed(conclusion, width=1000)


def test_all_reasons_of_an_invalid_run_are_told(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    notes = [Note(1.0, "the [bold]first", invalidates=True), Note(1.0, "the second", invalidates=True)]

    text = printed(conclude_records([*passing, *notes]), width=200)

    assert "Not valid: the [bold]first" in text
    assert "Not valid: the second" in text
