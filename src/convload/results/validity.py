"""Finds the reasons why a run supports no verdict, whatever its figures say."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from convload.results.measured import CREATE, Measured, intervals
from convload.results.runlog import Interval, Note, RunLog, Started, WorkerLost
from convload.results.summary import count_requests, received

NOT_SURELY_RECEIVED = frozenset(
    {"connect_refused", "connect_timeout", "dns", "tls", "reset", "read_timeout", "malformed_http"}
)
"""Outcomes of requests that may or may not have reached the target."""


class Validity(msgspec.Struct, frozen=True):
    """Whether a run supports a verdict, and all reasons why not."""

    valid: bool
    reasons: list[str]


def examine(log: RunLog, measured: Measured) -> Validity:
    """Returns whether the run's record is whole, adds up and holds samples."""
    checks = (_damage, _workers, _gaps, _notes, _counts, _ledger)
    reasons = [reason for check in checks for reason in check(log)]
    if not measured.create.count:
        reasons.append("no create request was measured")
    return Validity(not reasons, reasons)


def _damage(log: RunLog) -> Iterator[str]:
    yield from log.damage


def _workers(log: RunLog) -> Iterator[str]:
    for record in log.records:
        if isinstance(record, WorkerLost):
            yield f"worker {record.worker} was lost after {record.at_s:.1f} s: {record.why}"
    started = next((record for record in log.records if isinstance(record, Started)), None)
    seen = len(_by_worker(log))
    if started is None:
        yield "the run never started"
    elif seen != started.workers:
        yield f"{started.workers} workers were started, but {seen} reported"


def _gaps(log: RunLog) -> Iterator[str]:
    lost = {record.worker for record in log.records if isinstance(record, WorkerLost)}
    for worker, parts in sorted(_by_worker(log).items()):
        numbers = [part.n for part in parts]
        missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
        if missing:
            yield f"worker {worker}: intervals missing: {len(missing)}, the first is number {missing[0]}"
        if len(set(numbers)) < len(numbers):
            yield f"worker {worker}: intervals that came twice: {len(numbers) - len(set(numbers))}"
        if not max(parts, key=lambda part: part.n).last and worker not in lost:
            yield f"worker {worker} did not send its last interval"


def _notes(log: RunLog) -> Iterator[str]:
    for record in log.records:
        if isinstance(record, Note) and record.invalidates:
            yield record.text


def _counts(log: RunLog) -> Iterator[str]:
    counts = count_requests(log)
    if counts.built != counts.sent:
        yield f"{counts.built:,} create payloads were built but {counts.sent:,} were sent"
    if counts.sent != counts.recorded:
        yield f"{counts.sent:,} create requests were sent but {counts.recorded:,} results were recorded"
    reported = sum(_create_outcomes(log).values())
    if counts.recorded != reported:
        yield f"{counts.recorded:,} results were recorded but the intervals hold {reported:,}"


def _ledger(log: RunLog) -> Iterator[str]:
    ledger = received(log)
    if ledger is None:
        return
    sent, arrived = count_requests(log).sent, ledger.received
    unsure = sum(count for kind, count in _create_outcomes(log).items() if kind in NOT_SURELY_RECEIVED)
    if arrived > sent:
        yield f"the mock received {arrived:,} create requests but only {sent:,} were sent"
    elif sent - arrived > unsure:
        yield (
            f"the mock received {arrived:,} of {sent:,} create requests sent; "
            f"connection failures and timeouts explain only {unsure:,} of the difference"
        )


def _by_worker(log: RunLog) -> dict[int, list[Interval]]:
    workers: dict[int, list[Interval]] = defaultdict(list)
    for interval in intervals(log):
        workers[interval.worker].append(interval)
    return workers


def _create_outcomes(log: RunLog) -> dict[str, int]:
    outcomes: dict[str, int] = defaultdict(int)
    for cell in (cell for interval in intervals(log) for cell in interval.cells if cell.step == CREATE):
        outcomes[cell.outcome] += cell.count
    return outcomes
