"""`convload gate`: judges a finished run again, by its own gates or by others."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from convload.cli.ending import details_option, end, exit_code, exit_zero_option
from convload.cli.judged import frozen_baseline, gates_of_flags
from convload.comparison.conclusion import Conclusion, conclude
from convload.errors import UsageError
from convload.judging.baseline import identity_of
from convload.plan.gate import Vocabulary, WrittenGate
from convload.plan.gate_grammar import parse_all
from convload.plan.gate_keys import parsed
from convload.report.data_files import turns_as_json
from convload.report.run import print_judgement
from convload.results import runlog
from convload.results.run import Run
from convload.results.runlog import RunLog

EPILOG = """\b
Examples:
  convload gate reports/latest
  convload gate reports/latest --gate 'create.p99 < 250ms' --gate 'errors < 0.1%'
  convload gate reports/latest --gate 'create.p99 <= baseline * 1.1' --baseline reports/last-release
"""


@click.command(epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--gate", "gates", metavar="EXPR", multiple=True, help="What must hold, in place of the run's own gates.")
@click.option("--gates-file", metavar="FILE", type=click.Path(path_type=Path), help="A file of gates, one a line.")
@click.option("--confidence", metavar="C", type=click.FloatRange(0.5, 1, max_open=True), help="In place of the plan's.")
@click.option("--baseline", metavar="RUN|FILE", help="The run, or what `baseline save` kept of it, to compare with.")
@click.option("--force-baseline", is_flag=True, help="Compare with a baseline that was another kind of run.")
@exit_zero_option
@details_option
@click.option("--json", "as_json", is_flag=True, help="Print gates and verdict as JSON.")
def gate(
    run: Path,
    gates: tuple[str, ...],
    gates_file: Path | None,
    confidence: float | None,
    baseline: str | None,
    force_baseline: bool,
    exit_zero: bool,
    details: bool,
    as_json: bool,
) -> int:
    """Judge a finished run again and end with the exit code of its verdict.

    RUN is a run folder or its run log. Nothing is written. Of a run at two targets the verdict is their comparison.
    """
    log = runlog.read(run)
    if Run(log).plan.target_b and (gates or gates_file or baseline):
        raise UsageError(
            f"{run}: compares two targets in turns; gates and baselines judge one, its verdict is the comparison"
        )
    asked = gates_of_flags(gates, gates_file) or _own_gates(log, has_baseline=baseline is not None)
    checked = _checked(log, asked)
    changes: dict[str, Any] = {"gates": checked} | ({} if confidence is None else {"confidence": confidence})
    frozen = log.manifest.baseline
    if baseline is not None:
        frozen = frozen_baseline(baseline, parsed(checked), identity_of(log.manifest), force=force_baseline)
    _needs_baseline(checked, frozen)
    manifest = msgspec.structs.replace(log.manifest, plan=log.manifest.plan | changes, baseline=frozen)
    conclusion = conclude(msgspec.structs.replace(log, manifest=manifest))
    if as_json:
        click.echo(_as_json(conclusion))
        return exit_code(conclusion, exit_zero=exit_zero)
    folder = run if run.is_dir() else run.parent
    return end(
        conclusion,
        folder,
        exit_zero=exit_zero,
        print_it=lambda console: print_judgement(conclusion, console, details=details),
    )


def _own_gates(log: RunLog, *, has_baseline: bool) -> list[WrittenGate]:
    """Returns the gates of the run's plan; with a baseline those too that are kept for one."""
    plan = Run(log).plan
    kept = [text for text in plan.baseline_gates if text not in plan.gates] if has_baseline else []
    return [WrittenGate("the run's plan", text) for text in [*plan.gates, *kept]]


def _checked(log: RunLog, asked: list[WrittenGate]) -> list[str]:
    """Returns the texts of gates that this run can be asked.

    Raises:
        UsageError: with every mistake.
    """
    run = Run(log)
    stages = [mark.name for mark in run.marks if not mark.warmup]
    found, problems = parse_all(asked, Vocabulary(run.plan.model, stages, list(run.variants)))
    if problems:
        raise UsageError(*problems)
    return [gate.text for gate in found]


def _needs_baseline(gates: list[str], frozen: dict[str, Any] | None) -> None:
    compared = [gate.text for gate in parsed(gates) if gate.needs_baseline]
    if compared and frozen is None:
        raise UsageError(f"{compared[0]!r} compares with a baseline; name a run folder or a file with --baseline")


def _as_json(conclusion: Conclusion) -> str:
    document = {
        "verdict": conclusion.verdict,
        "aborted": conclusion.aborted,
        "validity": conclusion.validity,
        "gates": conclusion.gates,
        "turns": conclusion.target_comparison and turns_as_json(conclusion.target_comparison),
    }
    return json.dumps(msgspec.to_builtins(document), indent=2)
