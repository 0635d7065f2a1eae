"""Says in figures what a run measured: the core of summary.json."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from convload.contract.steps import CREATE, FIRST
from convload.plan.facts import CLOSED, OPEN, PlanFacts
from convload.plan.schedule import StageMark
from convload.results.ceiling import near_ceiling
from convload.results.measured import (
    Figures,
    Measured,
    Window,
    begun_within,
    by_worker,
    intervals,
    measure,
    plan_facts,
    risen,
)
from convload.results.percentiles import Statistics, statistics, unsupported
from convload.results.retries import Retries, summarise_retries
from convload.results.runlog import Ended, Interval, Ledger, Note, RunLog

FORMAT = "convload/summary/1"


class Requests(msgspec.Struct, frozen=True):
    """The figures of one step or variant; but for `failed_response_ms`, times are of successful requests.

    `unsupported` says why a percentile is missing from the times of successful requests, `failed_unsupported` from
    those of failed ones.
    """

    count: int
    ok: int
    errors: dict[str, int]
    response_ms: Statistics
    service_ms: Statistics
    lateness_ms: Statistics
    unsupported: dict[str, str]
    failed_response_ms: Statistics
    failed_unsupported: dict[str, str]


class StageRequests(msgspec.Struct, frozen=True):
    """The create requests that were due in one measured stage; `duration_s` ends where the run was cut short.

    `offered_rate` counts arrivals that came due, `achieved_rate` requests that were sent while the stage lasted:
    a stage that cannot keep up falls behind here, whatever is made up for later.
    """

    from_rate: float
    to_rate: float
    duration_s: float
    offered_rate: float | None
    achieved_rate: float | None
    count: int
    ok: int
    errors: dict[str, int]
    response_ms: Statistics
    service_ms: Statistics
    lateness_ms: Statistics
    unsupported: dict[str, str]


class Counts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Create requests over the whole run, all phases and workers: payloads built, sent, results recorded.

    In the open model `offered` counts the arrivals that were due and `unsent` those never sent. With a retry policy
    `sent` and `recorded` count attempts, `retried` those that were not the first of their payload, so built + retried
    = sent. A 0 of these three is left out of summary.json.
    """

    built: int
    sent: int
    recorded: int
    offered: int = 0
    unsent: int = 0
    retried: int = 0

    @property
    def begun(self) -> int:
        """Conversations whose first attempt was sent."""
        return self.sent - self.retried


class Received(msgspec.Struct, frozen=True):
    """Create requests as the embedded mock counted them."""

    received: int
    accepted: int


class Generator(msgspec.Struct, frozen=True):
    """What the load generator itself used, over the measured time.

    `cpu_share` is the mean of the busiest worker (1 is a whole core: it can give no more),
    `cpu_share_highest` the highest of any interval, `cpu_share_sum` the mean of all workers together; None
    where nothing was measured. `memory_bytes` adds up the highest of each worker. `lateness_p99_ms` is of all
    create requests, failed ones too. `files_free_lowest` is None where it was not watched.

    `ceiling_per_s` is the rate of requests that as many workers of this machine were measured to generate, on the day
    `ceiling_measured`, and `requests_per_s` what they made, all steps together; `ceiling_share` is the one over the
    other. None where it is not known; `ceiling_at_least` where the measuring ended below it.
    """

    cpu_share: float | None
    cpu_share_highest: float | None
    cpu_share_sum: float | None
    memory_bytes: int
    lateness_p99_ms: float | None
    hub_delay_highest_ms: float
    files_free_lowest: int | None
    sockets_waiting_highest: int
    requests_per_s: float | None = None
    ceiling_per_s: float | None = None
    ceiling_share: float | None = None
    ceiling_measured: str | None = None
    ceiling_at_least: bool = False


class Summary(msgspec.Struct, frozen=True):
    """What a run measured. Times in milliseconds, rates per second; `duration_s` is the measured time.

    In the open model `offered_rate` is of the arrivals that came due in the measured time, `achieved_rate` of the
    create requests sent in it. In the closed model there is no offered rate, and the achieved one counts the
    measured requests. `users` of the open model is the most that may be in flight. With a retry policy these rates
    count conversations, and `retries` says how many requests each took; it is None without one. The windows of two
    targets in turns are no `stages`: they would be dozens.
    """

    plan: str
    target: str
    account: str
    started: str
    model: str
    seed: int
    workers: int
    arrivals: str | None
    users: int | None
    consumers: str
    mix: Any
    duration_s: float
    warmup_s: float
    offered_rate: float | None
    achieved_rate: float | None
    unsent: int
    backlog_highest: int
    in_flight_highest: int
    steps: dict[str, Requests]
    variants: dict[str, Requests]
    stages: dict[str, StageRequests]
    retries: Retries | None
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
    plan, counts = plan_facts(log), count_requests(log)
    generator = _generator(log, measured, plan)
    return Summary(
        plan=plan.name,
        target=log.manifest.target,
        account=plan.account,
        started=log.manifest.started,
        model=plan.model,
        seed=plan.seed,
        workers=plan.workers,
        arrivals=plan.schedule,
        users=plan.most_users,
        consumers=plan.consumers,
        mix=plan.mix,
        duration_s=round(measured.window.length_s, 3),
        warmup_s=plan.warmup_s,
        # The closed model offers no rate: users ask again when answered, so nothing can stay unsent.
        offered_rate=rate(measured.create.count + counts.unsent, measured.window) if plan.model == OPEN else None,
        achieved_rate=_achieved(log, measured, plan),
        unsent=counts.unsent,
        backlog_highest=_highest_together(log, measured.window, "backlog"),
        in_flight_highest=_highest_together(log, measured.window, "in_flight"),
        steps={name: requests_of(figures, plan) for name, figures in measured.steps.items()},
        variants={name: requests_of(figures, plan) for name, figures in measured.variants.items()},
        stages={mark.name: _stage(log, mark, measured) for mark in log.stages if not (mark.warmup or mark.target)},
        retries=summarise_retries(log, measured, plan.retry),
        counts=counts,
        ledger=received(log),
        left_open=sum(record.left_open for record in log.records if isinstance(record, Ended)),
        generator=generator,
        notes=[*log.manifest.notes, *_both(plan), *_noted(log), *_near_ceiling(generator)],
    )


def count_requests(log: RunLog) -> Counts:
    """Adds up the counts that each worker stated last."""
    ends = list(last_intervals(log).values())
    return Counts(*(sum(getattr(end, name) for end in ends) for name in Counts.__struct_fields__))


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


def sent_within(log: RunLog, within: Window) -> float:
    """Returns how many create requests were sent in a part of the run; of a conversation that was retried the first."""
    return begun_within(list(intervals(log)), within)


def requests_of(figures: Figures, plan: PlanFacts) -> Requests:
    """Returns the figures of one step, variant or target as reports state them."""
    return Requests(
        count=figures.count,
        ok=figures.ok,
        errors=figures.errors,
        response_ms=statistics(figures.response),
        service_ms=statistics(figures.service),
        lateness_ms={} if plan.model == CLOSED else statistics(figures.lateness),
        unsupported=unsupported(figures.ok),
        failed_response_ms=statistics(figures.failed_response),
        failed_unsupported=unsupported(figures.failed),
    )


def _stage(log: RunLog, mark: StageMark, measured: Measured) -> StageRequests:
    figures = measured.stages.get(mark.name) or Figures.merged([])
    ends_s = min(mark.starts_s + mark.duration_s, measured.window.to_s)
    within = Window(mark.starts_s, max(mark.starts_s, ends_s))
    # Exact where every arrival was sent; the stage of one that was not is known to the second only.
    offered = risen(intervals(log), within, "offered") if count_requests(log).unsent else figures.count
    return StageRequests(
        from_rate=mark.from_rate,
        to_rate=mark.to_rate,
        duration_s=round(within.length_s, 3),
        offered_rate=rate(offered, within),
        achieved_rate=rate(sent_within(log, within), within),
        count=figures.count,
        ok=figures.ok,
        errors=figures.errors,
        response_ms=statistics(figures.response),
        service_ms=statistics(figures.service),
        lateness_ms=statistics(figures.lateness),
        unsupported=unsupported(figures.ok),
    )


def _achieved(log: RunLog, measured: Measured, plan: PlanFacts) -> float | None:
    count = sent_within(log, measured.window) if plan.model == OPEN else measured.create.count
    return rate(count, measured.window)


def rate(count: float, window: Window) -> float | None:
    """Returns a count per second of a window, with the digits that every report has; None for no time."""
    return round(count / window.length_s, 3) if window.length_s > 0 else None


def _highest_together(log: RunLog, within: Window, name: str) -> int:
    """Returns the highest sum over the workers of what their intervals of the same number state."""
    together: dict[int, int] = defaultdict(int)
    for interval in intervals(log):
        if within.overlaps(interval):
            together[interval.n] += getattr(interval, name)
    return max(together.values(), default=0)


def _near_ceiling(generator: Generator) -> list[str]:
    warning = None if generator.ceiling_at_least else near_ceiling(generator.ceiling_share)
    return [warning] if warning else []


def _both(plan: PlanFacts) -> list[str]:
    both = "the run fired at two targets in turns: all figures are of both together, but for those of A against B"
    return [both] if plan.target_b else []


def _noted(log: RunLog) -> Iterator[str]:
    return (record.text for record in log.records if isinstance(record, Note))


def _generator(log: RunLog, measured: Measured, plan: PlanFacts) -> Generator:
    inside = [interval for interval in intervals(log) if measured.window.overlaps(interval)]
    shares = [_mean_share([i for i in inside if i.worker == worker]) for worker in {i.worker for i in inside}]
    peaks = [max(i.memory_bytes for i in parts) for parts in by_worker(log).values()]
    return Generator(
        cpu_share=round(max(shares), 3) if shares else None,
        cpu_share_highest=round(max(i.cpu_share for i in inside), 3) if inside else None,
        cpu_share_sum=round(sum(shares), 3) if shares else None,
        memory_bytes=sum(peaks),
        lateness_p99_ms=statistics(measured.create.all_lateness).get("p99"),
        hub_delay_highest_ms=round(max((i.hub_delay_ms for i in inside), default=0.0), 3),
        # No worker can run with no file left from its start to its end, so 0 throughout means: not watched.
        files_free_lowest=min(i.files_free for i in inside) if any(i.files_free for i in inside) else None,
        sockets_waiting_highest=max((i.sockets_waiting for i in inside), default=0),
        **_ceiling(log, measured, plan),
    )


def _ceiling(log: RunLog, measured: Measured, plan: PlanFacts) -> dict[str, Any]:
    """Returns how the requests of all steps compare with what was measured to be possible."""
    created = _achieved(log, measured, plan)
    if created is None:
        return {}
    # The rate of creates counts each conversation once, which is its first request.
    others = sum(figures.count for step, figures in measured.steps.items() if step not in {CREATE, FIRST})
    made = round(created + others / measured.window.length_s, 3)
    if log.manifest.ceiling is None:
        return {"requests_per_s": made}
    ceiling = log.manifest.ceiling.of_workers(plan.workers)
    return {
        "requests_per_s": made,
        "ceiling_per_s": round(ceiling, 3),
        "ceiling_share": round(made / ceiling, 4) if ceiling else None,
        "ceiling_measured": log.manifest.ceiling.measured[:10],
        "ceiling_at_least": log.manifest.ceiling.at_least,
    }


def _mean_share(parts: list[Interval]) -> float:
    length_s = sum(part.to_s - part.from_s for part in parts)
    return sum(part.cpu_share * (part.to_s - part.from_s) for part in parts) / length_s if length_s else 0.0
