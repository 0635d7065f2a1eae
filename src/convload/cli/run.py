"""`convload run`: a load test from a plan to its report and exit code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from convload.bundled import find_plan
from convload.cli.ending import details_option, end, exit_zero_option, show, show_run
from convload.cli.judged import baseline_of, warn, warnings_of
from convload.cli.watching import Wanted, watching, watching_options
from convload.cli.worker import check_reach, count_workers, joining_of
from convload.comparison.conclusion import conclude
from convload.errors import ExitCode, UsageError
from convload.plan.plan import MOCK, Plan, assemble, cautions
from convload.plan.retry import POLICIES
from convload.report.document import visible
from convload.report.folder import write_all
from convload.report.runner import defused
from convload.results import runlog
from convload.results.histogram import short
from convload.run.ceiling import workers_for
from convload.run.dry_run import describe
from convload.run.execution import execute
from convload.run.files import read_inputs

DEFAULT_PLAN = "smoke"

EPILOG = """\b
Examples:
  convload run                                     the plan `smoke` against the embedded mock
  convload run plans/soak.toml --users 200
  convload run plans/soak.toml --bind 127.0.0.1:5557 --expect-workers 2 --key-file worker.key
  convload run --target https://va.msg.example.net --allow-host va.msg.example.net --account 123 --users 50
"""


@click.command(epilog=EPILOG)
@click.argument("plan", required=False)
@click.option("--name", metavar="TEXT", help="The title of the run.  [default: the plan's name]")
@click.option("--tag", "tags", metavar="K=V", multiple=True, help="What reports and `convload history` name it by.")
@click.option("--target", metavar="URL|mock", help="Where to fire: the embedded mock, or http(s)://HOST[:PORT].")
@click.option("--target-b", metavar="URL", help="A second target: both in turns, in one run, compared in the end.")
@click.option(
    "--window", metavar="TIME", help="With --target-b: how long each turn is.  [default: 5s, less in a short run]"
)
@click.option("--account", metavar="ID", help="The account (brand) id.")
@click.option("--model", type=click.Choice(["closed", "open"]), help="Users that wait, or arrivals that do not.")
@click.option("--rate", metavar="R", help="Conversations that arrive a second; makes the load open.")
@click.option("--arrivals", type=click.Choice(["even", "poisson"]), help="How arrivals of an open load are spread.")
@click.option("--replay", metavar="FILE", help="Recorded start times to fire again; makes the load open.")
@click.option("--max-in-flight", metavar="N", help="Most users of an open load.")
@click.option("--users", metavar="N", help="Concurrent users.")
@click.option("--ramp", metavar="TIME", help="Time over which the users start.")
@click.option("--think", metavar="TIME", help="Think time: none, 'constant 1s', 'uniform 1s 3s', 'exponential 2s'.")
@click.option("--duration", metavar="TIME", help="How long to measure, after the warm-up.")
@click.option("--conversations", metavar="N", help="End after this many conversations.")
@click.option("--warmup", metavar="TIME", help="Time at the start that is left out of the figures.")
@click.option("--workers", metavar="N|auto", help="Worker processes of this machine; auto: as the rate needs.")
@click.option("--bind", metavar="HOST:PORT", help="Listen there for workers of other machines (convload worker).")
@click.option("--expect-workers", metavar="N", type=click.IntRange(1, 2000), help="With --bind: how many of them.")
@click.option("--min-workers", metavar="N", type=click.IntRange(1, 2000), help="With --bind: how many are enough.")
@click.option("--key-file", metavar="FILE", help="With --bind: the key that they have too (convload key new).")
@click.option("--grace", metavar="TIME", help="With --bind: how long the way to a worker may be cut.  [default: 20s]")
@click.option("--join-within", metavar="TIME", help="With --bind: how long to wait for them.  [default: 120s]")
@click.option("--on-full", type=click.Choice(["continue", "stop"]), help="What a run does while the disk is full.")
@click.option("--on-lost-worker", type=click.Choice(["take_over", "stop"]), help="What becomes of its share.")
@click.option("--mix", metavar="NAME", help="Which variants in which shares, from mixes.toml.")
@click.option("--payloads", metavar="DIR", help="Folder with variants, pools and mixes in place of the bundled one.")
@click.option("--locustfile", metavar="FILE", help="User classes in place of the bundled ones.")
@click.option("--seed", metavar="N", help="Same seed, same payloads.")
@click.option("--consumers", type=click.Choice(["close", "fresh", "pool", "none"]), help="Where consumers come from.")
@click.option("--retry", type=click.Choice(POLICIES), help="What becomes of a create that failed.")
@click.option("--traced", metavar="SHARE", help="Share of creates that carry a trace context (traceparent), 0 to 1.")
@click.option(
    "--allow-host", metavar="HOST", multiple=True, help="A host other than this machine that may be fired at."
)
@click.option(
    "--source-address",
    "source_addresses",
    metavar="ADDRESS",
    multiple=True,
    help="An address of this machine that connections leave from; several in turns.",
)
@click.option("--insecure", is_flag=True, default=None, help="Let credentials go to another machine by http.")
@click.option("--gate", "gates", metavar="EXPR", multiple=True, help="What must hold, in place of the plan's gates.")
@click.option("--gates-file", metavar="FILE", help="A file of gates, one a line; added to those of --gate.")
@click.option("--confidence", metavar="C", help="How sure a gate must be to pass or fail.  [default: 0.99]")
@click.option("--extend", metavar="TIME", help="How much longer an undecided run may go on.")
@click.option("--abort-when", metavar="EXPR", multiple=True, help="What ends a hopeless run: 'errors > 20% over 5s'.")
@click.option("--interactive", is_flag=True, default=None, help="With --web: the load can be changed by hand.")
@click.option("--baseline", metavar="RUN|FILE", help="The run, or what `baseline save` kept of it, to compare with.")
@click.option("--force-baseline", is_flag=True, help="Compare with a baseline that was another kind of run.")
@click.option("--dry-run", is_flag=True, help="Show plan, schedule and what they take; contact and write nothing.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="The run folder, exactly as given.")
@watching_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary too, as one line of JSON, the last one.")
@exit_zero_option
@details_option
def run(
    plan: str | None,
    out: Path | None,
    allow_host: tuple[str, ...],
    bind: str | None,
    expect_workers: int | None,
    min_workers: int | None,
    join_within: str | None,
    key_file: str | None,
    grace: str | None,
    force_baseline: bool,
    dry_run: bool,
    as_json: bool,
    exit_zero: bool,
    details: bool,
    web: str | None,
    prometheus: str | None,
    otlp: bool,
    **flags: Any,
) -> int:
    """Run a load test and end with its report.

    PLAN is a TOML file or the name of one in plans/, else of a bundled one, `smoke` without. Flags override
    CONVLOAD_* variables, which override the plan.
    """
    flags["allow_hosts"] = list(allow_host) or None
    wanted = Wanted(web, prometheus, otlp)
    for key in ("gates", "abort_when", "tags", "source_addresses"):
        flags[key] = list(flags[key]) or None
    joining = joining_of(bind, expect_workers, join_within, key_file, grace, min_workers, dry_run=dry_run)
    flags["workers"] = count_workers(flags["workers"], joining)
    settled = assemble(find_plan(plan or DEFAULT_PLAN), os.environ, flags, workers_for)
    has_name = plan or flags["name"] or os.environ.get("CONVLOAD_NAME")
    if not has_name and settled.target != MOCK:
        # Nobody has chosen the plan, whose name would say what this run is not.
        settled = msgspec.structs.replace(settled, name=str(urlsplit(settled.target).hostname))
    if problems := unused_flags(settled, flags):
        raise UsageError(*problems)
    if joining is not None and not dry_run:
        check_reach(settled, joining)
    if not dry_run:
        click.echo(defused(visible(_announce(settled))), err=True)
    warn([*cautions(settled), *warnings_of(settled)])
    if dry_run:
        click.echo("\n".join(describe(settled, read_inputs(settled))))
        return int(ExitCode.PASS)
    baseline = baseline_of(settled, force=force_baseline)
    with watching(wanted, settled) as watch:
        folder = execute(settled, out, watch.update, joining, watch.steering, baseline)
        watch.finish(folder)
        code = _report(folder, exit_zero=exit_zero, details=details)
        watch.reported(folder)
    if as_json and (written := folder / "summary.json").exists():
        show(lambda console: console.out(compact(written.read_bytes()), highlight=False))
    return code


def _report(folder: Path, *, exit_zero: bool, details: bool) -> int:
    """Writes the reports and tells what they say; returns the exit code."""
    try:
        return end(write_all(folder), folder, exit_zero=exit_zero, details=details)
    except UsageError as error:  # no room for a report: what is known is shown, and nobody can look it up later
        written = folder if (folder / "report.html").exists() else None
        show_run(conclude(runlog.read(folder)), written, details=details)
        click.echo(f"convload: {error}; without its reports the run is inconclusive, whatever it shows", err=True)
        return int(ExitCode.INCONCLUSIVE)


def compact(summary: bytes) -> str:
    """Returns a summary in one line, where a log is all that is left of a run."""
    return msgspec.json.format(summary, indent=-1).decode()


def unused_flags(plan: Plan, flags: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with flags that the plan they led to has no use for: nobody gives them for nothing."""
    open_alone = "is for the open model, and this load is closed"
    is_open = plan.model == "open"
    unused = {
        "users": is_open
        and "is for the closed model, and this load is open: its users grow as needed, up to --max-in-flight",
        "arrivals": (not is_open and f"{open_alone}; give --rate R too")
        or (plan.replay and "a replay has starts of its own; leave it out"),
        "max_in_flight": not is_open and f"{open_alone}; did you mean --users?",
        "window": not plan.target_b and "is the length of a turn; give --target-b URL too",
    }
    found = [f"--{key.replace('_', '-')}: {why}" for key, why in unused.items() if why and flags.get(key) is not None]
    if is_open and flags.get("model") == "closed":
        made = next(key for key in ("rate", "stages", "replay") if getattr(plan, key))
        found.append(f"--model closed: --{made} makes the load open; give --users N in place of it")
    return found


def _announce(plan: Plan) -> str:
    target = "the embedded mock" if plan.target == "mock" else plan.target
    other = f" and {plan.target_b} in turns" if plan.target_b else ""
    return f"convload: {plan.name}: {_load(plan)} after {plan.warmup_s:g} s of warm-up, at {target}{other}"


def _load(plan: Plan) -> str:
    if plan.replay:
        return f"arrivals of {plan.replay}"
    if plan.model == "open":
        rates = sorted({stage.to_rate for stage in plan.resolved_stages()})
        written = " to ".join(short(rate, 7) for rate in dict.fromkeys((rates[0], rates[-1])))
        return f"{plan.arrivals} arrivals at {written}/s for {plan.duration_s:g} s"
    length = f"{plan.conversations} conversations" if plan.conversations else f"{plan.duration_s:g} s"
    return f"{plan.users} user{'s' * (plan.users > 1)}, {length}"
