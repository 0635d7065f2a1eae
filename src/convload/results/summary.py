"""Says in figures what a run measured: the core of summary.json."""

from typing import Any

import msgspec

from convload.results.histogram import Histogram
from convload.results.measured import Figures, Measured, PlanFacts, Window, intervals, measure, plan_facts
from convload.results.runlog import Ended, Interval, Ledger, Note, RunLog

FORMAT = "convload/summary/1"

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
CLOSED = "closed"

Statistics = dict[str, float]
"""p50 … p99.9, max and mean in milliseconds; empty where nothing was measured."""


class Requests(msgspec.Struct, frozen=True):
    """The figures of one step or variant; but for `failed_response_ms`, times are of successful requests."""

    count: int
    ok: int
    errors: dict[str, int]
    response_ms: Statistics
    service_ms: Statistics
    lateness_ms: Statistics
    failed_response_ms: Statistics


class Counts(msgspec.Struct, frozen=True):
    """Create requests over the whole run, all phases and workers: payloads built, sent, results recorded."""

    built: int
    sent: int
    recorded: int


class Received(msgspec.Struct, frozen=True):
    """Create requests as the embedded mock counted them."""

    received: int
    accepted: int


class Generator(msgspec.Struct, frozen=True):
    """What the load generator itself used, over the measured time.

    `cpu_share` is the mean of the busiest worker (1 is a whole core: it can give no more),
    `cpu_share_highest` the highest of any interval, `cpu_share_sum` the mean of all workers together; None
    where nothing was measured. `memory_bytes` adds up the highest of each worker.
    """

    cpu_share: float | None
    cpu_share_highest: float | None
    cpu_share_sum: float | None
    memory_bytes: int
    lateness_p99_ms: float | None


class Summary(msgspec.Struct, frozen=True):
    """What a run measured. Times in milliseconds, rates per second; `duration_s` is the measured time."""

    plan: str
    target: str
    account: str
    started: str
    model: str
    seed: int
    workers: int
    users: int | None
    consumers: str
    mix: Any
    duration_s: float
    warmup_s: float
    offered_rate: float | None
    achieved_rate: float | None
    unsent: int
    steps: dict[str, Requests]
    variants: dict[str, Requests]
    counts: Counts
    ledger: Received | None
    left_open: int
    generator: Generator
    notes: list[str]


def summarise(log: RunLog, measured: Measured | None = None) -> Summary:
    """Returns the figures of a run; `measured` saves adding the log up again.

    Raises:
        RunLogError: the manifest's plan or a histogram cannot be read.
    """
    measured = measured or measure(log)
    plan = plan_facts(log)
    return Summary(
        plan=plan.name,
        target=log.manifest.target,
        account=plan.account,
        started=log.manifest.started,
        model=plan.model,
        seed=plan.seed,
        workers=plan.workers,
        users=plan.users,
        consumers=plan.consumers,
        mix=plan.mix,
        duration_s=round(measured.window.length_s, 3),
        warmup_s=plan.warmup_s,
        # The closed model offers no rate: users ask again when answered, so nothing can stay unsent.
        offered_rate=None,
        achieved_rate=_rate(measured.create.count, measured.window),
        unsent=0,
        steps={name: _requests(figures, plan) for name, figures in measured.steps.items()},
        variants={name: _requests(figures, plan) for name, figures in measured.variants.items()},
        counts=count_requests(log),
        ledger=received(log),
        left_open=sum(record.left_open for record in log.records if isinstance(record, Ended)),
        generator=_generator(log, measured),
        notes=log.manifest.notes + [record.text for record in log.records if isinstance(record, Note)],
    )


def count_requests(log: RunLog) -> Counts:
    """Adds up the counts that each worker stated last."""
    ends = list(last_intervals(log).values())
    return Counts(sum(i.built for i in ends), sum(i.sent for i in ends), sum(i.recorded for i in ends))


def last_intervals(log: RunLog) -> dict[int, Interval]:
    """Returns the interval with the highest number of each worker."""
    latest: dict[int, Interval] = {}
    for interval in intervals(log):
        known = latest.get(interval.worker)
        if known is None or interval.n >= known.n:
            latest[interval.worker] = interval
    return latest


def received(log: RunLog) -> Received | None:
    """Returns what the embedded mock counted; None for another target."""
    ledgers = (record for record in log.records if isinstance(record, Ledger))
    return next((Received(ledger.received, ledger.accepted) for ledger in ledgers), None)


def statistics(histogram: Histogram) -> Statistics:
    """Returns the usual percentiles, maximum and mean in milliseconds; empty for an empty histogram."""
    if not histogram.count:
        return {}
    values = histogram.percentiles(list(PERCENTILES.values()))
    named = dict(zip(PERCENTILES, values, strict=True)) | {"max": histogram.max_us, "mean": histogram.mean_us}
    return {name: milliseconds(value) for name, value in named.items()}


def milliseconds(us: float) -> float:
    """Converts microseconds, with the resolution of one."""
    return round(us / 1000, 3)


def _requests(figures: Figures, plan: PlanFacts) -> Requests:
    return Requests(
        count=figures.count,
        ok=figures.ok,
        errors=figures.errors,
        response_ms=statistics(figures.response),
        service_ms=statistics(figures.service),
        lateness_ms={} if plan.model == CLOSED else statistics(figures.lateness),
        failed_response_ms=statistics(figures.failed_response),
    )


def _rate(count: int, window: Window) -> float | None:
    return round(count / window.length_s, 3) if window.length_s > 0 else None


def _generator(log: RunLog, measured: Measured) -> Generator:
    inside = [interval for interval in intervals(log) if measured.window.overlaps(interval)]
    workers = {interval.worker for interval in inside}
    shares = [_mean_share([i for i in inside if i.worker == worker]) for worker in workers]
    peaks = [max(i.memory_bytes for i in intervals(log) if i.worker == worker) for worker in last_intervals(log)]
    lateness = statistics(measured.create.lateness)
    return Generator(
        cpu_share=round(max(shares), 3) if shares else None,
        cpu_share_highest=round(max(i.cpu_share for i in inside), 3) if inside else None,
        cpu_share_sum=round(sum(shares), 3) if shares else None,
        memory_bytes=sum(peaks),
        lateness_p99_ms=lateness.get("p99"),
    )


def _mean_share(parts: list[Interval]) -> float:
    length_s = sum(part.to_s - part.from_s for part in parts)
    return sum(part.cpu_share * (part.to_s - part.from_s) for part in parts) / length_s if length_s else 0.0
