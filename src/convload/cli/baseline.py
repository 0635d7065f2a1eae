"""`convload baseline`: keeps what later runs are held against, and shows it."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from convload.contract.steps import STEPS
from convload.errors import UsageError
from convload.judging.baseline import FILE_NAME, Baseline, load, of_file
from convload.report import figures
from convload.report.document import brief
from convload.results.histogram import statistics
from convload.results.runlog import FILE_NAME as RUN_LOG

EPILOG = """\b
Examples:
  convload baseline save reports/latest --out baseline.json
  convload run plans/smoke.toml --baseline baseline.json --gate 'create.p99 <= baseline * 1.1 + 5ms'
  convload baseline show baseline.json
"""


@click.group(epilog=EPILOG)
def baseline() -> None:
    """Keep the figures of a run that later runs are held against."""


@baseline.command(epilog="\b\nExample:\n  convload baseline save reports/latest --out baseline.json\n")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Where to.  [default: RUN/baseline.json]")
def save(run: Path, out: Path | None) -> None:
    """Keep the figures of a valid run in a file of its own, some hundred kilobytes at most.

    RUN is a run folder or its run log.
    """
    log = run / RUN_LOG if run.is_dir() else run
    path = out or log.parent / FILE_NAME
    text = msgspec.json.format(msgspec.json.encode(of_file(log)), indent=1)
    try:
        path.write_bytes(text + b"\n")
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror}") from error
    click.echo(str(path))


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
    console.print(_table(found))


def _facts(found: Baseline) -> dict[str, str]:
    identity = msgspec.structs.asdict(found.identity)
    del identity["kind"]
    facts = {name: str(identity[name]) for name in ("plan", "started", "version", *identity) if identity[name]}
    flow = found.flows[""]
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
