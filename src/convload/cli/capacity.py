"""`convload capacity`: how much a target carries, as an interval, and what happens beyond it."""

import math
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from convload.bundled import find_plan
from convload.capacity import finding
from convload.capacity.planner import generator_need, instances, peak_of_day, read_profile
from convload.capacity.trials import EndedError, SearchSettings, check
from convload.cli.ending import show, tell_ci
from convload.cli.judged import warn
from convload.cli.options import parse_percent
from convload.cli.watching import watching_search
from convload.cli.worker import parse_time
from convload.errors import ExitCode, UsageError, gathered, why_unread
from convload.live.searching import SearchSoFar
from convload.plan.gate import ALL_PERCENT, Gate, Vocabulary, WrittenGate
from convload.plan.gate_grammar import parse_all
from convload.plan.gate_keys import variants_of
from convload.plan.gate_names import RESPONSE, SHARE, UNITS
from convload.plan.plan import MOCK, Plan, cautions, for_all_cores, settle
from convload.report import capacity as contents
from convload.report import html, markdown, terminal
from convload.report.folder import write_text
from convload.results.capacity_result import CapacityResult, Peak, Trial, encode
from convload.results.histogram import short

EPILOG = """\b
Examples:
  convload capacity                                     the plan `capacity` against a mock of known capacity
  convload capacity --target https://HOST --allow-host HOST --account 123 --objective 'create.p99 < 250ms' --budget 10m
  convload capacity --need 1200/s --headroom 30%        how many instances that takes
  convload capacity --model closed --most 256           the number of users at which throughput stops growing
"""

DEFAULT_OBJECTIVE = "errors < 1%"
DEFAULT_START_PER_S = 100.0
DEFAULT_MOST_PER_S = 20_000.0
START_USERS, MOST_USERS = 1.0, 512.0
LOWEST_SHARE = 1 / 64
"""Of the start rate: six halvings down."""

CLOSED_SETTINGS = {"width": 0.1, "first_trial_s": 4.0, "final_trial_s": 8.0}


@click.command(epilog=EPILOG)
@click.argument("plan", default="capacity")
@click.option("--target", metavar="URL|mock", help="Where to fire: the embedded mock, or http(s)://HOST[:PORT].")
@click.option("--account", metavar="ID", help="The account (brand) id.")
@click.option("--objective", metavar="EXPR", multiple=True, help="A gate that must hold, in place of the plan's gates.")
@click.option("--budget", metavar="TIME", default="3m", show_default=True, help="How long the search may take.")
@click.option("--warm-target", metavar="TIME", help="Hold the first load for so long before the search begins.")
@click.option("--width", metavar="SHARE", default="1%", show_default=True, help="How narrow the interval is to be.")
@click.option("--start", metavar="R", help="Where the search begins: arrivals a second, or users.")
@click.option("--least", metavar="R", help="The lowest load to try.")
@click.option("--most", metavar="R", help="The highest load to try; a target is never asked for more.")
@click.option(
    "--model", type=click.Choice(["open", "closed"]), default="open", show_default=True, help="Rates or users."
)
@click.option("--overload/--no-overload", default=True, help="Whether to look beyond the capacity, up to twice it.")
@click.option("--need", metavar="R/s", help="Conversations a second that are to be carried: how many instances?")
@click.option("--profile", metavar="FILE", type=click.Path(path_type=Path), help="Hourly conversations of a day (CSV).")
@click.option(
    "--peak-to-mean", metavar="X", type=float, help="With --profile: the busiest second over its hour's mean."
)
@click.option("--headroom", metavar="SHARE", default="30%", show_default=True, help="Of each instance to stay free.")
@click.option("--arrivals", type=click.Choice(["even", "poisson"]), help="How arrivals are spread.")
@click.option("--max-in-flight", metavar="N", help="Most users of the open model.")
@click.option("--workers", metavar="N|auto", help="Worker processes of this machine.  [default: all cores - 1]")
@click.option("--mix", metavar="NAME", help="Which variants in which shares, from mixes.toml.")
@click.option("--seed", metavar="N", help="Same seed, same payloads.")
@click.option("--consumers", type=click.Choice(["close", "fresh", "none"]), help="Where consumers come from.")
@click.option(
    "--retry", metavar="POLICY", help="What becomes of a create that failed: none, fixed, exponential, documented."
)
@click.option(
    "--allow-host", metavar="HOST", multiple=True, help="A host other than this machine that may be fired at."
)
@click.option(
    "--source-address", metavar="ADDRESS", multiple=True, help="An address of ours to fire from; several in turns."
)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="The run folder, exactly as given.")
def capacity(plan: str, out: Path | None, **flags: Any) -> int:
    """Find the highest load at which the objective holds.

    PLAN is a TOML file or the name of one in plans/, else of a bundled one; its gates are the objective, its rate is
    where the search begins. Ends with capacity.json, capacity.md and report.html in the run folder.
    """
    is_closed = flags["model"] == "closed"
    settled = _plan(plan, flags)
    gates, settings, asked, warm_s = gathered(
        lambda: _objective(settled),
        lambda: _settings(settled, flags, is_closed=is_closed),
        lambda: _needs(flags),
        lambda: parse_time(flags["warm_target"] or "0s", "--warm-target"),
    )
    wanted = finding.SearchPlan(gates, settings, overload=flags["overload"] and not is_closed, warm_s=warm_s)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    click.echo(_announce(settled, settings, wanted, is_closed=is_closed), err=True)
    warn(cautions(settled))
    try:
        if is_closed:
            folder, found = finding.find_closed(settled, out, wanted, _print_trial)
        else:
            folder, found = _watched(settled, out, wanted)
    except EndedError:
        click.echo("convload: interrupted before the search had tried a load", err=True)
        return int(ExitCode.INTERRUPTED)
    cautious = msgspec.structs.replace(found, notes=[*cautions(settled), *found.notes])
    result = _with_needs(msgspec.structs.replace(cautious, target=settled.target, started=started), asked)
    write_text(folder / "capacity.json", encode(result).decode())
    write_text(folder / "capacity.md", markdown.render(contents.document(result)))
    write_text(folder / "report.html", html.render(contents.document(result, _limit_ms(gates))))
    tell_ci(lambda: contents.github_report(result, folder))
    show(lambda console: terminal.show(contents.document(result), console))
    return int(result.exit_code)


def _watched(plan: Plan, out: Path | None, wanted: finding.SearchPlan) -> tuple[Path, CapacityResult]:
    """Searches, and shows on a terminal how it goes."""
    so_far = SearchSoFar()

    def on_trial(trial: Trial) -> None:
        so_far.note_trial(trial)
        _print_trial(trial)

    with watching_search(so_far) as watch:
        return finding.find(plan, out, wanted, on_trial, watch, so_far.note_interval)


def _plan(name: str, flags: dict[str, Any]) -> Plan:
    """Returns the plan of the search: its own stages, times and gates against a baseline have no place in one."""
    wanted = ("target", "account", "arrivals", "max_in_flight", "workers", "mix", "seed", "consumers", "retry")
    given = {key: flags[key] for key in wanted}
    given["allow_hosts"] = list(flags["allow_host"]) or None
    given["source_addresses"] = list(flags["source_address"]) or None
    plan, origins = settle(find_plan(name), os.environ, given)
    return msgspec.structs.replace(
        plan,
        workers=plan.workers if "workers" in origins else for_all_cores(plan),  # no rate says beforehand how many
        model=flags["model"],
        rate=plan.rate if flags["model"] == "open" else None,
        stages=[],
        replay=None,
        conversations=None,
        users=plan.max_in_flight if flags["model"] == "open" else plan.users,
        gates=list(flags["objective"]) or plan.gates or [DEFAULT_OBJECTIVE],
        baseline_gates=[],
        baseline=None,
        abort_when=[],
        extend_s=0.0,
        target_b=None,
    )


def _objective(plan: Plan) -> list[Gate]:
    variants = variants_of(plan.payloads, plan.mix, replayed=False)
    asked = [WrittenGate("--objective", text) for text in plan.gates]
    gates, mistakes = parse_all(asked, Vocabulary(plan.model, variants=variants))
    problems = list[str]()
    for gate in gates:
        if gate.needs_baseline:
            problems.append(f"{gate.text}: an objective is a limit of its own, it compares with no baseline")
        if gate.subject.stage:
            problems.append(f"{gate.text}: an objective is asked of each trial, not of a stage of the plan")
        if gate.windows is not None:
            problems.append(f"{gate.text}: an objective is asked of a whole trial, not of windows in it")
        if gate.quantity is SHARE and gate.operator in {"<", "<="} and gate.limit.constant >= ALL_PERCENT:
            problems.append(f"{gate.text}: no load breaks it, so there is nothing to search")
    if mistakes or problems:
        raise UsageError(*mistakes, *(f"--objective: {problem}" for problem in problems))
    return gates


def _settings(plan: Plan, flags: dict[str, Any], *, is_closed: bool) -> SearchSettings:
    rates = (lambda name=name: _rate(f"--{name}", flags[name]) for name in ("start", "least", "most"))
    start, least, most, budget_s, width = gathered(
        *rates,
        lambda: parse_time(flags["budget"], "--budget"),
        lambda: parse_percent(flags["width"], "--width"),
    )
    start = start or (START_USERS if is_closed else plan.rate or DEFAULT_START_PER_S)
    least = least or (1.0 if is_closed else start * LOWEST_SHARE)
    most = most or max(MOST_USERS if is_closed else DEFAULT_MOST_PER_S, start)
    own = CLOSED_SETTINGS if is_closed else {"width": width}
    try:
        settings = msgspec.convert(
            {
                "start_rate": start,
                "min_rate": least,
                "max_rate": most,
                "budget_s": budget_s,
                **own,
            },
            SearchSettings,
        )
    except msgspec.ValidationError as error:
        raise UsageError(f"--start, --least, --most, --budget, --width: {error}") from error
    check(settings)
    return settings


def _rate(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    number = text.removesuffix("/s").strip()
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{flag}: {text!r} is no load; write a number above 0, such as 500 or 500/s")
    return value


class _Needs(msgspec.Struct, frozen=True):
    """What the capacity is wanted for."""

    peak: Peak | None
    need_per_s: float | None
    headroom: float


def _needs(flags: dict[str, Any]) -> _Needs:
    need, peak = _rate("--need", flags["need"]), None
    headroom = parse_percent(flags["headroom"], "--headroom")
    if flags["peak_to_mean"] is not None and flags["profile"] is None:
        raise UsageError("--peak-to-mean: goes with --profile, whose busiest hour it belongs to")
    if flags["profile"] is not None:
        if need is not None:
            raise UsageError("--need, --profile: give one of them; a profile says what is needed")
        try:
            rows = read_profile(flags["profile"].read_text(encoding="utf-8"), str(flags["profile"]))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--profile {flags['profile']}: cannot be read: {why_unread(error)}") from error
        peak = peak_of_day(rows, flags["peak_to_mean"])
        need = peak.required_per_s
    if need is not None:
        instances(need, headroom, 1.0, 1.0)  # raises what is wrong with them before the search
    return _Needs(peak, need, headroom)


def _with_needs(result: CapacityResult, needs: _Needs) -> CapacityResult:
    """Adds how many instances the need takes, and what a test of it takes on the side of the load."""
    if needs.need_per_s is None:
        return result
    bounds = result.capacity_per_s
    at_ease = min((trial for trial in result.trials if trial.response_mean_ms), key=lambda one: one.rate, default=None)
    mean_ms = at_ease.response_mean_ms if at_ease else None
    return msgspec.structs.replace(
        result,
        peak=needs.peak,
        instances=instances(needs.need_per_s, needs.headroom, bounds.low, bounds.high),
        generator_need=generator_need(needs.need_per_s, mean_ms) if mean_ms else None,
    )


def _announce(plan: Plan, settings: SearchSettings, wanted: finding.SearchPlan, *, is_closed: bool) -> str:
    target = "the embedded mock" if plan.target == MOCK else plan.target
    what = "users" if is_closed else "conversations/s"
    warm = f", after {wanted.warm_s:g} s of {short(settings.start_rate, 7)} {what}" if wanted.warm_s else ""
    return (
        f"convload: capacity of {target}: {short(settings.min_rate, 7)} to {short(settings.max_rate, 7)} {what} within "
        f"{settings.budget_s:g} s{warm}, where {' and '.join(wanted.objective)}"
    )


def _print_trial(trial: Trial) -> None:
    """Prints a trial as it ends: a search takes minutes."""
    p99 = "–" if trial.response_p99_ms is None else f"{trial.response_p99_ms:.1f} ms"
    broke = f" ({', '.join(trial.broken)})" if trial.broken else ""
    # Not by click, which would write past the lines that stand at the end of a terminal.
    sys.stderr.write(
        f"convload: {trial.at_s:5.0f} s  {trial.rate:9.1f} for {trial.duration_s:4.1f} s  p99 {p99}  "
        f"{trial.verdict}{broke}\n"
    )


def _limit_ms(gates: list[Gate]) -> float | None:
    """Returns the limit of the p99 response, for the chart."""
    times = (gate for gate in gates if gate.subject.statistic == "p99" and gate.subject.clock == RESPONSE)
    return next((gate.limit.constant * UNITS[gate.limit.unit].scale for gate in times), None)
