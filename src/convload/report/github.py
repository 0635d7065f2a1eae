"""Shows GitHub Actions what was found: annotations, the summary of the step, outputs for later steps.

Workflow commands are lines of a step's output, so text of a target that looks like one would be obeyed;
`defused` takes that from it. The runner knows two forms (actions/runner, ActionCommand.cs): `::name …::` at the
start of a line, blanks before it allowed, and `##[name …]` anywhere.
"""

import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

import msgspec

from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import REGRESSED, UNKNOWN
from convload.comparison.two_targets import TargetComparison
from convload.contract.steps import CREATE
from convload.judging.gate_result import FAIL, INCONCLUSIVE
from convload.report import figures, run, runner
from convload.report.document import visible
from convload.results.summary import Requests

SUMMARY_BYTES = 1_048_576
"""GitHub drops the summary of a step that is larger."""

MOST_OF_A_KIND = 10
"""GitHub shows so many errors, warnings and notices of a step."""


class StepReport(msgspec.Struct, frozen=True):
    """What a step of GitHub Actions shows: annotations as workflow commands, Markdown, outputs by name.

    `whole` says where the rest of a summary is that is cut.
    """

    annotations: list[str]
    summary: str
    outputs: dict[str, str]
    whole: str


def run_report(conclusion: Conclusion, folder: Path) -> StepReport:
    """Returns what GitHub shows of a run."""
    said, outcome = annotations(conclusion), outputs(conclusion, folder)
    return StepReport(said, run.render_markdown(conclusion), outcome, "summary.md of the run folder")


def publish(report: StepReport, environment: Mapping[str, str], out: TextIO) -> list[str]:
    """Prints the annotations on `out`, appends to the files that GitHub names, returns what could not be done.

    What was found is worth more than a summary of it, so a file that cannot be written is no error.
    """
    out.writelines(f"{line}\n" for line in report.annotations)
    out.flush()
    problems = []
    parts = {"GITHUB_STEP_SUMMARY": _summary, "GITHUB_OUTPUT": _outputs}
    for variable, text in parts.items():
        if not environment.get(variable):
            continue
        path = Path(environment[variable])
        try:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text(report, file.tell()))
        except OSError as error:
            problems.append(f"{variable}: {path}: cannot be written: {error.strerror}")
    return problems


def annotations(conclusion: Conclusion) -> list[str]:
    """Returns the workflow commands: an error for what failed, a warning for what leaves the verdict open."""
    return [
        *commands("error", list(_failures(conclusion))),
        *commands("warning", list(_doubts(conclusion))),
        *commands("notice", [("waived", reason.text) for reason in conclusion.validity.waived]),
    ]


def outputs(conclusion: Conclusion, folder: Path) -> dict[str, str]:
    """Returns what later steps may want; empty where nothing was measured."""
    summary, turns = conclusion.summary, conclusion.target_comparison
    return {
        "verdict": conclusion.verdict.outcome,
        "exit_code": str(int(conclusion.verdict.exit_code)),
        "text": visible(conclusion.verdict.text),
        "failed_gates": ", ".join(visible(gate.gate) for gate in conclusion.gates if gate.outcome == FAIL),
        **_figures(summary.steps.get(CREATE)),
        "rate": stated(summary.achieved_rate),
        **(_of_targets(turns) if turns else {}),
        **({"by_ratio": "true"} if conclusion.baseline and conclusion.baseline.is_by_ratio else {}),
        "folder": str(folder),
        "report": str(folder / "report.html"),
    }


def _of_targets(turns: TargetComparison) -> dict[str, str]:
    """Returns the comparison of two targets, and the figures of each under names that begin with a_ or b_."""
    figures_of = {
        f"{target.lower()}_{name}": value
        for target, steps in turns.figures.items()
        for name, value in _figures(steps.get(CREATE)).items()
    }
    return {"comparison": turns.outcome, "comparison_text": visible(turns.text)} | figures_of


def _figures(create: Requests | None) -> dict[str, str]:
    times = create.response_ms if create else {}
    failed = 100 * (create.count - create.ok) / create.count if create and create.count else None
    return {f"{name}_ms": stated(times.get(name)) for name in ("p50", "p95", "p99")} | {
        "errors_percent": stated(failed)
    }


def commands(kind: str, said: list[tuple[str, str]], most: int = MOST_OF_A_KIND) -> list[str]:
    """Returns the annotations of a kind (error, warning, notice), each of a title and a text, at most so many."""
    if len(said) > most:
        left = len(said) - most + 1
        said = [*said[: most - 1], ("convload", f"{left} more of this kind are in the summary of the step")]
    return [runner.command(kind, title if title == "convload" else f"convload: {title}", text) for title, text in said]


def stated(value: float | None) -> str:
    """Returns a figure as an output has it; empty where there is none."""
    return "" if value is None else f"{value:.6g}"


def _failures(conclusion: Conclusion) -> Iterator[tuple[str, str]]:
    if conclusion.aborted is not None:
        yield "stopped early", figures.aborted(conclusion)
    yield from ((gate.gate, gate.message) for gate in conclusion.gates if gate.outcome == FAIL)
    yield from _of_turns(conclusion, REGRESSED)


def _doubts(conclusion: Conclusion) -> Iterator[tuple[str, str]]:
    yield from (("no verdict", reason) for reason in conclusion.validity.reasons)
    yield from ((gate.gate, gate.message) for gate in conclusion.gates if gate.outcome == INCONCLUSIVE)
    yield from _of_turns(conclusion, UNKNOWN)


def _of_turns(conclusion: Conclusion, outcome: str) -> Iterator[tuple[str, str]]:
    turns = conclusion.target_comparison
    if turns is not None and turns.outcome == outcome:
        yield from (("A against B", reason) for reason in turns.reasons)


def _summary(report: StepReport, taken_bytes: int) -> str:
    """Returns the summary, cut between two parts where it would not fit with what the step has said already."""
    text = report.summary
    room = SUMMARY_BYTES - taken_bytes
    if len(text.encode()) <= room:
        return text
    cut = f"\n\n*The rest is left out, as GitHub takes 1 MiB a step; it is in {report.whole}.*\n"
    kept = text.encode()[: max(room - len(cut.encode()), 0)].decode(errors="ignore")
    whole = kept.rpartition("\n\n")[0]
    return whole + cut if whole else ""


def _outputs(report: StepReport, _taken_bytes: int) -> str:
    """Writes each output between two lines that nobody can guess, so that no value ends early or adds another."""
    fence = f"convload_{secrets.token_hex(16)}"
    return "".join(f"{name}<<{fence}\n{text}\n{fence}\n" for name, text in report.outputs.items())
