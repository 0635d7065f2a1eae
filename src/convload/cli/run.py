"""`convload run`: a load test from a plan to its report and exit code."""

import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from convload.live import Live
from convload.plan import Plan, assemble, find
from convload.report.folder import write_all
from convload.report.text import print_conclusion
from convload.run import execute

EPILOG = """\b
Examples:
  convload run                                     the plan `smoke` against the embedded mock
  convload run plans/soak.toml --users 200
  convload run --target https://va.msg.example.net --allow-host va.msg.example.net --account 123 --users 50
"""


@click.command(epilog=EPILOG)
@click.argument("plan", default="smoke")
@click.option("--target", metavar="URL|mock", help="Where to fire: the embedded mock, or http(s)://HOST[:PORT].")
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
@click.option("--workers", metavar="N", help="Worker processes, one core each.")
@click.option("--mix", metavar="NAME", help="Which variants in which shares, from mixes.toml.")
@click.option("--payloads", metavar="DIR", help="Folder with variants, pools and mixes in place of the bundled one.")
@click.option("--locustfile", metavar="FILE", help="User classes in place of the bundled ones.")
@click.option("--seed", metavar="N", help="Same seed, same payloads.")
@click.option("--consumers", type=click.Choice(["close", "fresh", "pool", "none"]), help="Where consumers come from.")
@click.option(
    "--allow-host", metavar="HOST", multiple=True, help="A host other than this machine that may be fired at."
)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="The run folder, exactly as given.")
def run(plan: str, out: Path | None, allow_host: tuple[str, ...], **flags: Any) -> int:
    """Run a load test and end with its report.

    PLAN is a TOML file or the name of a bundled plan. Flags override CONVLOAD_* variables, which override the
    plan.
    """
    if allow_host:
        flags["allow_hosts"] = list(allow_host)
    settled = assemble(find(plan), os.environ, flags)
    live = Live(sys.stderr, settled)
    click.echo(_announce(settled), err=True)
    folder = execute(settled, out, live.update)
    live.close()
    conclusion = write_all(folder)
    print_conclusion(conclusion, Console(), folder)
    return int(conclusion.verdict.exit_code)


def _announce(plan: Plan) -> str:
    target = "the embedded mock" if plan.target == "mock" else plan.target
    return f"convload: {plan.name}: {_load(plan)} after {plan.warmup_s:g} s of warm-up, at {target}"


def _load(plan: Plan) -> str:
    if plan.replay:
        return f"arrivals of {plan.replay}"
    if plan.model == "open":
        rates = sorted({stage.to_rate for stage in plan.resolved_stages()})
        written = f"{rates[0]:g}" if len(rates) == 1 else f"{rates[0]:g} to {rates[-1]:g}"
        return f"{plan.arrivals} arrivals at {written}/s for {plan.duration_s:g} s"
    length = f"{plan.conversations} conversations" if plan.conversations else f"{plan.duration_s:g} s"
    return f"{plan.users} users, {length}"
