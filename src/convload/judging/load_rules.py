"""Finds where the load was not the one that the plan meant, or the generator was what was measured."""

from collections.abc import Iterator

from convload.judging.generator import (
    THROTTLED_SHARE,
    has_no_cpu_left,
    is_late_by_target,
    late_p99_ms,
    saturated_workers,
)
from convload.plan.facts import REPLAY, ReasonName, ValidityLimits
from convload.results.drift import MEDIAN, Trend, matters, stretches, trend, whole_seconds
from convload.results.histogram import chance, short
from convload.results.run import Run
from convload.results.summary import Summary
from convload.results.window import REMNANT_S

EPHEMERAL_PORTS = 28_000
"""Linux hands out 32768 to 60999 unless told otherwise: 28,232. Taken where the manifest does not say."""

STOOD_STILL = 10
"""One delay of so many times the limit is of a process that was stopped, and all that was in flight shows it."""

Found = tuple[ReasonName, str]
"""What a rule found: the name of the reason, and a sentence with its figures."""

POISSON_SPREADS = 5
"""A Poisson count lies further than 5 standard deviations from its mean less than once in a million runs."""


def findings(run: Run) -> Iterator[Found]:
    """Yields all that the load itself was short of."""
    limits, summary = run.plan.validity, run.summary
    if run.create.count < limits.samples:
        yield "too_few_samples", _few(run.create.count, limits)
    yield from _saturated(run, limits)
    if run.is_open:
        yield from _late(run, limits)
        yield from _rate_missed(summary, limits)
        yield from _schedule_cut(run, limits)
        yield from _unsent(summary)
    yield from _hub_delay(run, limits)
    yield from _exhausted(run, limits)


def _few(count: int, limits: ValidityLimits) -> str:
    if not count:
        return "no create request was measured"
    return f"{count:,} create requests were measured, at least {limits.samples:,} are asked for"


def _saturated(run: Run, limits: ValidityLimits) -> Iterator[Found]:
    late = run.generator.lateness_p99_ms
    end = "the generator was the limit, not the target" if late is None else f"lateness p99 {short(late)} ms"
    for found in saturated_workers(run.measured_health, limits):
        at = f"was at {100 * found.cpu_share:.0f} % CPU for {found.hot_s:.0f} of {found.all_s:.0f} s"
        if found.throttled_share > THROTTLED_SHARE:
            at += f" and held back by the CPU quota of its cgroup for {100 * found.throttled_share:.0f} % of it"
        elif not has_no_cpu_left(found.cpu_share, limits):
            at += f" and waited for a core for another {100 * found.wait_share:.0f} %"
        yield "generator_saturated", f"worker {found.worker} {at}; {end}"


def _late(run: Run, limits: ValidityLimits) -> Iterator[Found]:
    p99_ms = late_p99_ms(run.create.all_lateness, limits)
    if p99_ms is not None:
        text = (
            f"requests started late: lateness p99 {short(p99_ms)} ms, the limit is {short(limits.lateness_p99_ms)} ms"
        )
        yield "late", text + _waiting(run.summary)


def are_by_target(run: Run) -> bool:
    """Says whether a load came late, or not whole, for want of answers; earlier versions did not watch for that."""
    health = run.measured_health
    is_watched = run.is_open and bool(health["awaiting"].any())
    return is_watched and is_late_by_target(health, run.plan.validity, run.plan.most_users)


def _waiting(summary: Summary) -> str:
    if not summary.backlog_highest:
        return ""
    return f"; arrivals that waited for a free user at once: up to {summary.backlog_highest:,}"


def _rate_missed(summary: Summary, limits: ValidityLimits) -> Iterator[Found]:
    if not summary.offered_rate or summary.achieved_rate is None:
        return
    off = (summary.achieved_rate - summary.offered_rate) / summary.offered_rate
    # An arrival at an edge of the window may be counted on either side of it, once for each worker and edge.
    edges = 2 * summary.workers / (summary.offered_rate * summary.duration_s)
    if abs(off) > limits.rate_deviation + edges:
        text = (
            f"{summary.achieved_rate:,.1f} create requests/s were sent where {summary.offered_rate:,.1f}/s were "
            f"offered: {short(100 * abs(off))} % {'less' if off < 0 else 'more'}, "
            f"{short(100 * limits.rate_deviation)} % is allowed"
        )
        yield "rate_missed", text + _waiting(summary)


def _schedule_cut(run: Run, limits: ValidityLimits) -> Iterator[Found]:
    """Yields a schedule that did not run as the plan's stages say: arrivals that never came due are not unsent."""
    summary, stages = run.summary, [mark for mark in run.marks if not mark.warmup]
    if run.cut_short or not stages or summary.arrivals == REPLAY:
        return
    meant = sum((mark.from_rate + mark.to_rate) / 2 * mark.duration_s for mark in stages)
    came = run.create.count + summary.unsent
    allowed = limits.rate_deviation * meant + 2 * summary.workers
    if summary.arrivals == "poisson":
        allowed += POISSON_SPREADS * max(meant, 0.0) ** 0.5
    if abs(came - meant) > allowed:
        text = f"the plan's stages mean {meant:,.0f} arrivals, {came:,} were measured or left unsent"
        yield "rate_missed", text


def _unsent(summary: Summary) -> Iterator[Found]:
    if summary.unsent:
        text = f"{summary.unsent:,} of {summary.counts.offered:,} arrivals were due and never sent"
        yield "unsent", text + _waiting(summary)


def _hub_delay(run: Run, limits: ValidityLimits) -> Iterator[Found]:
    health = run.measured_health
    stalled = health.where((health.lengths_s >= REMNANT_S) & (health["hub_delay_ms"] > limits.hub_delay_ms))
    longest_ms = stalled.highest(stalled["hub_delay_ms"]).tolist()
    for worker, seconds, longest in zip(stalled.workers, stalled.sizes.tolist(), longest_ms, strict=True):
        if seconds > limits.hub_delay_intervals or longest > STOOD_STILL * limits.hub_delay_ms:
            text = (
                f"worker {worker}: the event loop was late by more than {short(limits.hub_delay_ms)} ms "
                f"in {seconds} second{'s' * (seconds > 1)}, at worst by {longest:,.0f} ms"
            )
            yield "hub_delay", text


def _exhausted(run: Run, limits: ValidityLimits) -> Iterator[Found]:
    generator = run.generator
    if generator.files_free_lowest is not None and generator.files_free_lowest < limits.files_free:
        left = generator.files_free_lowest
        text = f"a worker had {left} file descriptors left, at least {limits.files_free} are asked for"
        yield "files_exhausted", text
    stated = run.manifest.machine.get("ephemeral_ports")
    ports = stated if isinstance(stated, int) and stated > 0 else EPHEMERAL_PORTS
    ports *= max(len(run.plan.source_addresses), 1)  # each has its own
    if generator.sockets_waiting_highest > limits.ports_share * ports:
        text = (
            f"{generator.sockets_waiting_highest:,} of {ports:,} local ports were waiting to be free again "
            f"(TIME_WAIT), more than {short(100 * limits.ports_share)} %"
        )
        yield "ports_exhausted", text


def examine_steadiness(run: Run) -> tuple[list[Found], list[str]]:
    """Tests each stretch of constant load, several sharing the significance among them (Bonferroni).

    Returns what was found, and what could not be looked at.
    """
    limits = run.plan.validity
    medians = {
        name: [row.service_ms["p50"] for row in whole_seconds(run.series, stretch) if row.service_ms]
        for name, stretch in stretches(run).items()
    }
    tested = {name: values for name, values in medians.items() if len(values) >= limits.trend_seconds}
    if not tested:
        longest = max((len(values) for values in medians.values()), default=0)
        needed = f"it needs {limits.trend_seconds} s of constant load, the longest stretch has {longest} s"
        return [], [f"whether the run was steady: {needed}"]
    significance = limits.trend_significance / len(tested)
    trends = {name: trend(values) for name, values in tested.items()}
    return [
        ("not_steady", _unsteady(name, found))
        for name, found in trends.items()
        if found.p < significance and matters(MEDIAN, found, found.last - found.first, limits)
    ], []


def _unsteady(name: str, found: Trend) -> str:
    way = "rose" if found.change > 0 else "fell"
    return (
        f"not steady: in {name} the median service time {way} from {short(found.first)} ms in the first third to "
        f"{short(found.last)} ms in the last (Mann-Kendall p {chance(found.p)}); "
        "the warm-up was too short or the target drifts"
    )
