import io
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.report.run import print_run
from convload.results.runlog import Manifest, Note, Record

COLUMNS = ("p50", "p95", "p99", "max")


def printed(conclusion: Conclusion, *, width: int = 80, color: bool = False, folder: Path | None = None) -> str:
    file = io.StringIO()
    system = "truecolor" if color else None
    console = Console(file=file, width=width, color_system=system, force_terminal=color)  # type: ignore[arg-type]  # rich's Literal
    print_run(conclusion, console, folder)
    return file.getvalue()


def test_the_verdict_comes_first_and_last(conclusion: Conclusion) -> None:
    lines = printed(conclusion, width=300).strip().split("\n")

    assert lines[0].strip() == lines[-1].strip() == conclusion.verdict.text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_but_the_verdict_is_wider_than_the_terminal(conclusion: Conclusion, width: int) -> None:
    lines = printed(conclusion, width=width).split("\n")

    assert max(len(line) for line in lines if line != conclusion.verdict.text) <= width


def test_the_last_line_is_the_whole_verdict(conclusion: Conclusion) -> None:
    assert printed(conclusion, width=40).rstrip("\n").split("\n")[-1] == conclusion.verdict.text


def test_figures_are_never_cut_at_80_columns(conclusion: Conclusion) -> None:
    text = printed(conclusion)

    for name, row in conclusion.summary.steps.items():
        line = next(line for line in text.split("\n") if line.startswith(name))
        assert line.split()[1:] == [
            str(row.count),
            str(row.count - row.ok),
            *(f"{row.response_ms[key]:,.2f}" if key in row.response_ms else "—" for key in COLUMNS),
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


def test_the_report_is_named_just_before_the_last_line(conclusion: Conclusion) -> None:
    lines = printed(conclusion, width=300, folder=Path("reports/[1]")).strip().split("\n")

    assert lines[-2].strip() == "Report: reports/[1]/report.html"
    assert "Report:" not in printed(conclusion)


def test_a_percentile_without_enough_samples_is_a_dash_with_a_footnote(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(passing)
    text = printed(conclusion)

    count = conclusion.summary.variants["minimal"].count
    assert conclusion.summary.variants["minimal"].unsupported["p99"] == f"needs 299 samples, has {count}"
    assert re.search(r"minimal +\d+ +0 +[\d.]+ +[\d.]+ +— +[\d.]+", text)
    assert "— too few samples: p99 from 299." in text


def test_an_open_run_shows_both_clocks_and_both_rates(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    text = printed(conclude_records(opened))

    assert "120.0 create requests/s sent of 120.0 offered, 0 never sent" in text.replace(" \n", " ")
    assert re.search(r"response +service\n", text)
    assert re.search(r"surge +80 → 240 +160\.0 +160\.0", text)


def test_a_single_stage_is_not_told_twice(opened: list[Record], conclude_records: Callable[..., Conclusion]) -> None:
    manifest = opened[0]
    assert isinstance(manifest, Manifest)
    opened[0] = msgspec.structs.replace(manifest, stages=manifest.stages[:2])

    assert "Stages" not in printed(conclude_records(opened))


def test_a_waived_reason_is_told_by_its_name(opened: list[Record], conclude_records: Callable[..., Conclusion]) -> None:
    manifest = opened[0]
    assert isinstance(manifest, Manifest)
    opened[0] = msgspec.structs.replace(manifest, plan=manifest.plan | {"validity": {"waive": ["late"]}})

    conclusion = conclude_records(opened)
    text = printed(conclusion, width=300)

    assert conclusion.verdict.outcome == "pass"
    assert "Waived (late): requests started late: lateness p99 581 ms" in text
    assert "Not valid" not in text


def brief(conclusion: Conclusion, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_run(conclusion, console, Path("reports/x"), details=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip("\n").split("\n")


def test_a_run_ends_with_ten_lines_on_the_terminal(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(passing)
    lines = [line for line in brief(conclusion, 120) if line.strip()]

    assert len(lines) == 4 + len(conclusion.gates) + len(conclusion.summary.steps) == 10
    assert lines[-1] == conclusion.verdict.text
    assert lines[-2].startswith("Report: reports/x/report.html")
    assert "--details" in lines[-2]
    for name in (*conclusion.summary.steps, *(gate.gate for gate in conclusion.gates)):
        assert [line for line in lines if line.startswith(name)]


def test_what_failed_is_named_in_the_short_end_too(conclusion: Conclusion) -> None:
    text = "\n".join(brief(conclusion, 120))

    assert "Failed of conversation.create: http_503 20, rate_limited 12, read_timeout 8, contract 4" in text
    assert "Variants" not in text


def test_an_open_run_has_one_clock_in_the_short_end(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    text = "\n".join(brief(conclude_records(opened)))

    assert "service" not in text
    assert "response p50" in text
