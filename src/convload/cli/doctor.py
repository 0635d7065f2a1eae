"""`convload doctor`: what this machine can generate, what limits it, and whether a target can be reached."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convload.cli.worker import parse_time
from convload.doctor import machine_checks, target
from convload.doctor.facts import Check
from convload.doctor.search import Ceiling, describe, find_ceiling, known_ceiling
from convload.doctor.trials import CeilingTrial
from convload.errors import ConvloadError, ExitCode, UsageError
from convload.plan.plan import MOCK, assemble
from convload.report import figures
from convload.report.document import brief, visible
from convload.run import ceiling

FORMAT = "convload/doctor/1"
SHORTEST_S, LONGEST_S = 0.5, 60.0
DEFAULT_SECONDS = "2s"

EPILOG = """\b
Examples:
  convload doctor                      takes about a minute
  convload doctor --quick --workers 2
  convload doctor --target https://va.msg.example.net --allow-host va.msg.example.net --account 123
"""

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "not known": "dim"}


class Report(msgspec.Struct, frozen=True):
    """All that was found; `ceiling` is None where it could not be measured, and `ceiling_text` says why."""

    format: str
    machine: list[Check]
    target: list[Check]
    workers: int
    ceiling: Ceiling | None
    ceiling_text: list[str]
    saved: str | None


@click.command(epilog=EPILOG)
@click.option("--target", "url", metavar="URL", help="Also ask whether this target can be used; creates nothing.")
@click.option("--account", metavar="ID", help="The account (brand) id at the target.")
@click.option("--allow-host", metavar="HOST", multiple=True, help="A host other than this machine that may be asked.")
@click.option(
    "--source-address", metavar="ADDRESS", multiple=True, help="Also look at the target from this one of ours."
)
@click.option(
    "--workers", metavar="N", default=1, type=click.IntRange(1, 500), help="Workers to measure with.  [default: 1]"
)
@click.option("--seconds", metavar="TIME", help=f"How long each trial measures.  [default: {DEFAULT_SECONDS}]")
@click.option("--quick", is_flag=True, help="At most 3 trials in place of 8: a rougher figure.")
@click.option("--trials", metavar="N", type=click.IntRange(1, 30), help="At most so many trials.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--save/--no-save", default=True, help="Keep the ceiling for `convload run` to compare with.")
def doctor(
    url: str | None,
    account: str | None,
    allow_host: tuple[str, ...],
    source_address: tuple[str, ...],
    workers: int,
    seconds: str | None,
    quick: bool,
    trials: int | None,
    as_json: bool,
    save: bool,
) -> int:
    """Examine this machine, measure the rate that it can generate, and ask whether a target can be used.

    The ceiling is the highest rate at which a short run against the embedded mock is valid. Nothing is created at
    the target. Exit code 4: the target cannot be used.
    """
    lists = {"allow_hosts": list(allow_host) or None, "source_addresses": list(source_address) or None}
    plan = assemble(None, os.environ, {"target": url, "account": account, **lists})
    trial_s = _trial_seconds(seconds or DEFAULT_SECONDS)
    machine = machine_checks.look(workers, Path("reports"))
    target_checks = [] if plan.target == MOCK else target.examine(plan)
    found, text = _measure(workers, trial_s, quick=quick, most_trials=trials)
    kept = _save(found, workers) if save and found else None
    report = Report(FORMAT, machine, target_checks, workers, found, text, kept)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(report), indent=2))
    else:
        print_report(report, plan.target, Console())
    unusable = any(check.state == "problem" for check in target_checks)
    return int(ExitCode.TARGET_UNUSABLE if unusable else ExitCode.PASS)


def _trial_seconds(text: str) -> float:
    seconds = parse_time(text, "--seconds")
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise UsageError(f"--seconds: {text!r} must be from {SHORTEST_S:g}s to {LONGEST_S:g}s")
    return seconds


def _measure(workers: int, seconds: float, *, quick: bool, most_trials: int | None) -> tuple[Ceiling | None, list[str]]:
    click.echo("convload: measuring the ceiling of this machine against the embedded mock", err=True)
    try:
        found = find_ceiling(workers, seconds, quick=quick, most_trials=most_trials)
    except KeyboardInterrupt as error:
        raise click.Abort from error
    except ConvloadError as error:
        return None, [f"The ceiling could not be measured: {problem}" for problem in error.problems]
    return found, describe(found, workers)


def _save(found: Ceiling, workers: int) -> str | None:
    measured = known_ceiling(found, workers, datetime.now(UTC))
    if measured is None:
        return None
    file = ceiling.path()
    try:
        if not ceiling.save(file, ceiling.Entry(ceiling.here(), measured)):
            click.echo(f"convload: not saved: {file} has a higher ceiling that this one does not refute", err=True)
            return None
    except OSError as error:
        click.echo(f"convload: the ceiling could not be saved: {file}: {error.strerror}", err=True)
        return None
    return str(file)


def print_report(report: Report, url: str, console: Console) -> None:
    """Prints the tables for a person; foreign text is shown as it is."""
    _print_checks(console, "This machine", report.machine)
    if report.target:
        _print_checks(console, f"Target {visible(url)}", report.target)
    if report.ceiling is not None:
        _print_trials(console, report.ceiling, report.workers)
    for line in report.ceiling_text:
        console.print(Text(visible(line)))
    if report.saved:
        console.print(Text(f"Saved in {visible(report.saved)}.", style="dim"))


def _print_checks(console: Console, title: str, checks: list[Check]) -> None:
    table = _table(title, "check", "", "figure, what it means, what to do")
    for check in checks:
        said = Text(brief(check.figure), style="bold")
        said.append(f"\n{brief(check.meaning)}", style="not bold dim")
        if check.advice:
            said.append(f"\n→ {brief(check.advice)}", style="not bold")
        table.add_row(Text(check.name), Text(check.state, style=_STYLES[check.state]), said)
    console.print(table)


def _print_trials(console: Console, found: Ceiling, workers: int) -> None:
    title = f"Trials on {workers} worker{'s' * (workers > 1)} against the embedded mock"
    table = _table(title, "rate /s", "", "lateness p50, p99 ms", "worker CPU", "mock CPU", "others", "met")
    for trial in found.trials:
        table.add_row(*_cells(trial))
    console.print(table)


def _cells(trial: CeilingTrial) -> list[Any]:
    state = Text("ok", style="green") if trial.valid else Text("not valid", style="yellow")
    late = f"{figures.milliseconds(trial.lateness_p50_ms)}, {figures.milliseconds(trial.lateness_p99_ms)}"
    shares = [_share(trial.cpu_share), _share(trial.mock_cpu_share), _share(trial.others_cores)]
    return [f"{trial.rate:,.0f}", state, late, *shares, ", ".join(trial.limits)]


def _share(value: float | None) -> str:
    return figures.NONE if value is None else f"{100 * value:.0f} %"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
