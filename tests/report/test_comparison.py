import io
from collections.abc import Callable

import msgspec
import pytest
from rich.console import Console
from tests.report.conftest import HOSTILE
from tests.report.test_github import obeyed

from convload.comparison.compare import FORMAT, Comparison
from convload.comparison.outcomes import UNKNOWN, Difference, Minimum, Shift, judged, not_judged
from convload.comparison.sides import RunFacts
from convload.errors import ExitCode
from convload.judging.alike import Unlikeness
from convload.report import github, markdown, terminal
from convload.report.comparison import document, github_report
from convload.report.data_files import render_json

CREATE = "conversation.create"


def comparison() -> Comparison:
    """Everything that a rendering has to bear, hostile text in every place that a run log fills."""
    minimum = Minimum()
    differences: list[Difference] = [
        judged(CREATE, "p50", 20.0, 23.0, Shift(3.0, 2.1, 3.9, 2.4, 3.6), minimum),
        judged(CREATE, "p95", 40.0, 36.0, Shift(-4.0, -5.0, -3.0, -4.8, -3.2), minimum),
        judged(CREATE, "p99", 60.0, 61.0, Shift(1.0, -8.0, 10.0, -6.0, 8.0), minimum),
        judged(CREATE, "errors", 0.0, 0.0, Shift(0.0, -0.05, 0.05, -0.03, 0.03), minimum),
        judged(CREATE, "rate", 500.0, 501.0, Shift(1.0, -9.0, 11.0, -7.0, 9.0), minimum),
        not_judged(HOSTILE, "p50", None, None, "the new side has no such requests"),
    ]
    run = RunFacts(f"runs/{HOSTILE}", "2026-01-02T03:04:05Z", HOSTILE, 1, 60.0, 30_000, [])
    return Comparison(
        format=FORMAT,
        outcome="regressed",
        exit_code=ExitCode.GATE_FAILED,
        text="Regressed: conversation.create p50 +15.0%.",
        method="within runs",
        clock="response",
        confidence=0.99,
        minimum=minimum,
        base=[run],
        new=[RunFacts("runs/new", "2026-01-03T03:04:05Z", "smoke", 2, 60.0, 29_000, ["the run was interrupted"])],
        unlike=[Unlikeness("mix", "`mix`", HOSTILE, "text")],
        notes=["One run a side.", f"The version of {HOSTILE} differs."],
        differences=differences,
    )


def test_the_terminal_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    out = io.StringIO()
    terminal.show(document(comparison()), Console(file=out, width=120, color_system=None))

    golden("comparison.txt", out.getvalue())
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "Regressed: conversation.create p50 +15.0%."


def test_a_row_has_one_line_in_a_terminal_of_80_columns() -> None:
    out = io.StringIO()
    terminal.show(document(comparison()), Console(file=out, width=80, color_system=None))

    lines = out.getvalue().splitlines()
    for statistic, last in (("p50 ms", "regressed"), ("errors %", "same"), ("rate /s", "same")):
        assert next(line for line in lines if line.startswith(statistic)).rstrip().endswith(last)


def test_the_markdown_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    text = markdown.render(document(comparison()))

    golden("comparison.md", text)
    assert "<script>" not in text.split("\n## ")[0]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [("regressed", "error"), (UNKNOWN, "warning"), ("improved", "notice"), ("same", "notice")],
)
def test_github_is_told_the_sentence_by_its_outcome_and_what_was_forced(outcome: str, kind: str) -> None:
    found = msgspec.structs.replace(comparison(), outcome=outcome)
    told = github_report(found)
    said = [obeyed(line) for line in told.annotations]

    assert said[0] == (kind, {"title": "convload: compare"}, found.text)
    assert [one and one[0] for one in said[1:]] == ["warning", "warning"]
    assert all(one and one[2].startswith("Compared by force") for one in said[1:])
    assert told.summary == markdown.render(document(found))
    assert told.outputs["outcome"] == outcome
    assert told.outputs["exit_code"] == "1"
    assert told.outputs["regressed"] == "conversation.create p50"
    assert told.outputs["improved"] == "conversation.create p95"


def test_github_shows_all_annotations_however_much_was_forced() -> None:
    many = [Unlikeness("plan", f"`{number}`", "1", "2") for number in range(40)]
    told = github_report(msgspec.structs.replace(comparison(), outcome=UNKNOWN, unlike=many))

    assert len(told.annotations) == github.MOST_OF_A_KIND
    assert "more of this kind" in told.annotations[-1]


def test_the_json_is_as_it_was(golden: Callable[[str, str], None]) -> None:
    golden("comparison.json", render_json(comparison()))
