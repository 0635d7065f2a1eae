import io
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.judging.gate_result import GateResult
from convload.report import github, run, runner
from convload.report.run import print_run
from convload.results.runlog import Aborted, Note, Record

HERE = {"GITHUB_ACTIONS": "true"}
COMMANDS = {"error", "warning", "notice", "debug", "group", "add-mask", "stop-commands", "set-output", "add-path"}


def obeyed(line: str) -> tuple[str, dict[str, str], str] | None:
    """Reads a line as the runner does (actions/runner, src/Runner.Common/ActionCommand.cs): both forms of commands."""
    stripped = line.lstrip()
    if stripped.startswith("::") and (end := stripped.find("::", 2)) >= 0:
        name, _, said = stripped[2:end].partition(" ")
        if name in COMMANDS:
            pairs = (pair.split("=", 1) for pair in said.strip().split(",") if "=" in pair)
            return name, {key: unescaped(text, "%3A:", "%2C,") for key, text in pairs}, unescaped(stripped[end + 2 :])
    if (start := line.find("##[")) >= 0 and (end := line.find("]", start)) >= 0:
        name, _, _ = line[start + 3 : end].partition(" ")
        if name in COMMANDS:
            return name, {}, line[end + 1 :]
    return None


def unescaped(text: str, *more: str) -> str:
    for mapping in ("%0D\r", "%0A\n", *more, "%25%"):
        text = text.replace(mapping[:3], mapping[3])
    return text


def gate(name: str, outcome: str, message: str = "it is so") -> GateResult:
    return GateResult(name, outcome, 251.0, 240.0, 262.0, 250.0, "ms", False, message)


def outputs_in(text: str) -> dict[str, str]:
    """Reads an outputs file as the runner does: `name<<fence`, lines, `fence`, or `name=value`."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        if "=" in line.partition("<<")[0]:
            name, _, found[name] = line.partition("=")
            continue
        name, fence = line.split("<<", 1)
        value: list[str] = []
        while (inner := next(lines)) != fence:
            value.append(inner)
        assert name not in found
        found[name] = "\n".join(value)
    return found


def test_a_failed_gate_is_an_error_and_an_undecided_one_a_warning(conclusion: Conclusion) -> None:
    gates = [gate("create.p50 < 9ms", "pass"), gate("create.p99 < 250ms", "fail"), gate("rate >= 1, x", "inconclusive")]
    lines = github.annotations(msgspec.structs.replace(conclusion, gates=gates))

    assert [obeyed(line) for line in lines] == [
        ("error", {"title": "convload: create.p99 < 250ms"}, "it is so"),
        ("warning", {"title": "convload: rate >= 1, x"}, "it is so"),
    ]
    assert "title=convload%3A rate >= 1%2C x::" in lines[1]


def test_a_run_that_was_stopped_early_is_an_error(conclusion: Conclusion) -> None:
    aborted = Aborted(7.5, "errors > 20% over 5s", "errors are at 99 %")
    lines = github.annotations(msgspec.structs.replace(conclusion, aborted=aborted, gates=[]))

    assert [obeyed(line) for line in lines] == [
        ("error", {"title": "convload: stopped early"}, "Stopped early at 7.5 s: errors are at 99 %")
    ]


def test_why_there_is_no_verdict_is_a_warning(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records([*silent, Note(1.0, "100 % broken\r\n::error::no", invalidates=True)])
    said = [obeyed(line) for line in github.annotations(conclusion)]

    assert ("warning", {"title": "convload: no verdict"}, "100 % broken\\r\\n::error::no") in said
    assert {entry and entry[0] for entry in said} == {"warning"}


@given(st.text(st.sampled_from("a%:,=\r\n \x1b[]#"), max_size=20), st.text(st.sampled_from("a%:,\r\n#["), max_size=20))
def test_no_title_or_message_can_end_its_annotation_or_start_another(title: str, message: str) -> None:
    line = runner.problem(message)
    assert "\n" not in line
    assert obeyed(line) == ("error", {"title": "convload"}, message.replace("\r", "\\r").replace("\n", "\\n"))

    [line] = github.commands("warning", [(title, message)])
    said = obeyed(line)
    assert said is not None
    assert said[0] == "warning"
    assert said[1].keys() == {"title"}
    assert "\n" not in line


def test_of_many_errors_the_last_one_tells_how_many_are_left(conclusion: Conclusion) -> None:
    many = [gate(f"create.p99 < {limit}ms", "fail") for limit in range(25)]
    lines = github.annotations(msgspec.structs.replace(conclusion, gates=many))

    assert len(lines) == github.MOST_OF_A_KIND
    assert "16 more" in lines[-1]


def test_the_summary_is_appended_and_the_outputs_can_be_read_by_later_steps(
    conclusion: Conclusion, tmp_path: Path
) -> None:
    summary, output = tmp_path / "summary", tmp_path / "output"
    summary.write_text("before\n")
    output.write_text("a<<b\nc\nb\n")
    environment = HERE | {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)}
    out = io.StringIO()

    assert github.publish(github.run_report(conclusion, Path("reports/x")), environment, out) == []

    assert summary.read_text() == "before\n" + run.render_markdown(conclusion)
    found = outputs_in(output.read_text())
    create = conclusion.summary.steps["conversation.create"]
    assert found["verdict"] == "fail"
    assert found["exit_code"] == "1"
    assert found["failed_gates"] == "errors <= 1%"
    assert float(found["p99_ms"]) == pytest.approx(create.response_ms["p99"], rel=1e-5)
    assert float(found["rate"]) == pytest.approx(conclusion.summary.achieved_rate, rel=1e-5)
    assert (found["folder"], found["report"]) == ("reports/x", "reports/x/report.html")
    assert out.getvalue().splitlines() == github.annotations(conclusion)


def test_no_value_of_an_output_can_add_another(conclusion: Conclusion, tmp_path: Path) -> None:
    output = tmp_path / "output"
    hostile = msgspec.structs.replace(conclusion.verdict, text="x\nEOF\nverdict<<y\npass\ny")
    gates = [gate("a\nexit_code<<z\n0\nz", "fail")]

    github.publish(
        github.run_report(
            msgspec.structs.replace(conclusion, verdict=hostile, gates=gates), Path("a\nverdict=pass\nb")
        ),
        HERE | {"GITHUB_OUTPUT": str(output)},
        io.StringIO(),
    )

    found = outputs_in(output.read_text())
    assert (found["verdict"], found["exit_code"]) == ("fail", "1")
    assert found["folder"] == "a\nverdict=pass\nb"
    assert "\n" not in found["text"] + found["failed_gates"]
    fences = set(re.findall(r"<<(convload_[0-9a-f]{32})$", output.read_text(), re.MULTILINE))
    assert len(fences) == 1


@pytest.mark.parametrize("taken", [0, github.SUMMARY_BYTES - 20_000, github.SUMMARY_BYTES - 3_000])
def test_a_summary_that_is_too_long_is_cut_between_two_parts(
    taken: int, conclusion: Conclusion, tmp_path: Path
) -> None:
    summary = tmp_path / "summary"
    summary.write_text("x" * taken)
    notes = ["an é of noise " * 8_000 for _ in range(20)]
    verdict = msgspec.structs.replace(conclusion.verdict, reasons=notes)
    long = msgspec.structs.replace(conclusion, verdict=verdict) if not taken else conclusion
    environment = HERE | {"GITHUB_STEP_SUMMARY": str(summary)}

    github.publish(github.run_report(long, tmp_path), environment, io.StringIO())

    text = summary.read_text()[taken:]
    assert summary.stat().st_size <= github.SUMMARY_BYTES
    assert text.startswith("# FAIL: convload smoke")
    whole = run.render_markdown(long)
    if taken != github.SUMMARY_BYTES - 20_000:
        kept, _, told = text.rpartition("\n\n")
        assert whole.startswith(kept + "\n\n")
        assert "summary.md of the run folder" in told
        assert kept.count("```mermaid") * 2 == kept.count("\n```")
    else:
        assert text == whole


def test_a_file_that_cannot_be_written_is_told_and_loses_no_run(conclusion: Conclusion, tmp_path: Path) -> None:
    environment = HERE | {"GITHUB_STEP_SUMMARY": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "a" / "b")}

    problems = github.publish(github.run_report(conclusion, tmp_path), environment, io.StringIO())

    assert [problem.partition(":")[0] for problem in problems] == ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"]


def test_without_the_files_there_are_annotations_alone(conclusion: Conclusion, tmp_path: Path) -> None:
    assert github.publish(github.run_report(conclusion, tmp_path), HERE, io.StringIO()) == []
    assert not list(tmp_path.iterdir())


def test_nothing_that_a_target_said_is_obeyed_by_the_runner(
    failing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    # Wrapped to a narrow column, the second word of each comes to stand at the start of a line.
    attacks = ["aaaa ::add-mask::e", "::error::no", "bbbb ##[add-mask]e", "##[error]no"]
    wide = [f"{'x' * width} ::stop-commands::z ##[error]no" for width in range(60, 120)]
    notes = [Note(1.0, text, invalidates=True) for text in attacks + wide]
    conclusion = conclude_records([*failing, *notes])
    plain, safe = io.StringIO(), io.StringIO()

    print_run(conclusion, Console(file=plain, width=80))
    print_run(conclusion, Console(file=runner.Defused(safe), width=80))  # type: ignore[arg-type]  # all rich asks

    assert any(obeyed(line) for line in plain.getvalue().split("\n"))
    assert [line for line in safe.getvalue().split("\n") if obeyed(line)] == []


@given(st.text(st.sampled_from(":# [error]\n\ta"), max_size=30))
def test_defused_text_holds_no_command_and_loses_nothing(text: str) -> None:
    safe = runner.defused(text)

    assert not [line for line in safe.split("\n") if obeyed(line)]
    assert safe.replace("\\", "") == text
