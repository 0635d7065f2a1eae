"""`convload baseline`: keeps what later runs are held against, and shows it."""

import os
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convload import machine, origin
from convload.comparison.sides import keep
from convload.contract.steps import STEPS
from convload.errors import ExitCode, UsageError
from convload.judging import calibration, kept_baselines
from convload.judging.baseline import FILE_NAME, Baseline, load
from convload.plan.plan import assemble
from convload.report import figures
from convload.report.document import brief
from convload.results.histogram import statistics
from convload.results.runlog import FILE_NAME as RUN_LOG
from convload.run import calibrating

EPILOG = """\b
Examples:
  convload baseline save reports/latest --out baseline.json
  convload run plans/smoke.toml --baseline baseline.json --gate 'create.p99 <= baseline * 1.1 + 5ms'
  convload baseline show baseline.json
"""


_branch_option = click.option(
    "--branch", metavar="NAME", help="Whose baselines.  [default: the pipeline's own, else main]"
)


@click.group(epilog=EPILOG)
def baseline() -> None:
    """Keep the figures of a run that later runs are held against."""


@baseline.command(
    epilog="""\b
    Examples:
      convload baseline save reports/latest --out baseline.json
      convload baseline save reports/gate --to baselines --branch main --keep 5
    """
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Where to.  [default: RUN/baseline.json]")
@click.option("--to", metavar="DIR|FILE", type=click.Path(path_type=Path), help="A folder of many, or a .json file.")
@_branch_option
@click.option(
    "--keep",
    "most",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=kept_baselines.KEPT,
    show_default=True,
    help="With --to DIR: so many stay of a branch, plan and kind of machine; older ones are removed.",
)
def save(run: Path, out: Path | None, to: Path | None, branch: str | None, most: int) -> None:
    """Keep the figures of a valid run in a file of its own, some hundred kilobytes at most.

    RUN is a run folder or its run log. With --to DIR its place there follows from branch and plan. A calibration run of
    this machine (convload baseline calibrate) is kept with it.
    """
    if out and to:
        raise UsageError("--out, --to: only one of them can say where")
    log = run / RUN_LOG if run.is_dir() else run
    made = calibration.with_own(keep(log), calibrating.known(machine.facts()))
    text = msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"
    if to is not None and to.suffix != kept_baselines.SUFFIX:
        click.echo(str(kept_baselines.keep(to, made, text, _branch(branch), most)))
        return
    path = out or to or log.parent / FILE_NAME
    try:
        path.write_bytes(text)
    except OSError as error:
        raise UsageError(f"--{'to' if to else 'out'} {path}: cannot be written: {error.strerror}") from error
    click.echo(str(path))


@baseline.command(epilog="\b\nExample:\n  convload baseline find baselines --plan plans/gate.toml --branch main\n")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--plan", metavar="FILE|NAME", required=True, help="The plan, or its name as it stands in its reports.")
@_branch_option
@click.option("--calibrate", is_flag=True, help="Make a calibration run of this machine where that is what is missing.")
def find(folder: Path, plan: str, branch: str | None, *, calibrate: bool) -> int:
    """Print the newest baseline in DIR of a branch and plan that was made on a machine of this kind.

    Else one of another kind that calibration runs of both machines allow to judge by ratio. Prints nothing where there
    is none at all. Where there are others alone, nothing can be said: it tells why, and the exit code is 3.
    """
    plan, here = _name_of(plan), machine.facts()
    found = kept_baselines.find(folder, _branch(branch), plan, here, calibrating.known(here))
    if found.path is None and found.lacks_calibration and calibrate:
        found = kept_baselines.find(folder, _branch(branch), plan, here, _calibrate())
    if found.path and found.others:
        click.echo(f"convload: of another kind of machine, to be judged by ratio: {found.others[0]}", err=True)
    if found.path is not None:
        click.echo(str(found.path))
    elif found.others:
        for other in found.others[:1]:
            click.echo(f"convload: no baseline of {plan} on this kind of machine; the newest is {other}", err=True)
        return int(ExitCode.INCONCLUSIVE)
    else:
        click.echo(f"convload: {folder}: no baseline of {plan} yet", err=True)
    return int(ExitCode.PASS)


@baseline.command(name="calibrate", epilog="\b\nExample:\n  convload baseline calibrate\n")
def calibrate_command() -> None:
    """Measure how long this machine takes over a fixed load at the embedded mock, half a minute, and keep that.

    `convload baseline save` puts it beside the baselines of this machine; where the machine has changed since, gates
    on times at the embedded mock are judged by the ratio of both calibration runs.
    """
    _calibrate()
    click.echo(str(calibrating.path()))


def _calibrate() -> Baseline:
    click.echo("convload: a calibration run of this machine, half a minute at the embedded mock", err=True)
    return calibrating.make()


def _name_of(plan: str) -> str:
    """Returns the name that runs of a plan have: its own, that of CONVLOAD_NAME, or its file's."""
    file = Path(plan)
    return assemble(file, os.environ, {}).name if file.is_file() else file.name.removesuffix(".toml")


def _branch(given: str | None) -> str:
    return given or origin.origin_of(os.environ).get("branch") or "main"


@baseline.command(epilog="\b\nExample:\n  convload baseline show baseline.json\n")
@click.argument("file", type=click.Path(path_type=Path))
def show(file: Path) -> None:
    """Show what a baseline was and what it measured.

    FILE is what `convload baseline save` wrote, or a run folder.
    """
    found = load(file)
    console = Console()
    for name, value in _facts(found).items():
        console.print(Text(f"{name}: {value}"))
    for text in found.warnings:
        console.print(Text(f"warning: {text}", style="yellow"))
    console.print(_table(found))


def _facts(found: Baseline) -> dict[str, str]:
    identity = msgspec.structs.asdict(found.identity)
    del identity["kind"]
    facts = {name: str(identity[name]) for name in ("plan", "started", "version", *identity) if identity[name]}
    flow = found.flows[""]
    if found.calibrations:
        facts["calibration run"] = found.calibrations[0].identity.started
    return facts | {"sent": f"{figures.rate(flow.achieved_rate)}/s for {flow.length_s:,.0f} s"}


def _table(found: Baseline) -> Table:
    totals = found.totals()
    columns = ("p50", "p95", "p99", "max")
    table = Table("step", "count", "failed", *(f"{name} ms" for name in columns), box=None)
    known = {step for step, _, _ in totals.parts}
    for step in sorted(known, key=lambda step: (STEPS.index(step) if step in STEPS else len(STEPS), step)):
        part = totals.figures(step)
        times = statistics(part.response)
        cells = (figures.milliseconds(times.get(name)) for name in columns)
        table.add_row(Text(brief(step)), figures.count(part.count), figures.count(part.failed), *cells)
    return table
