"""Finds what is wrong with the record of a run: parts that are missing, counts that do not add up."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from convload.contract.steps import ATTEMPTS, CREATE
from convload.judging.finding import Finding
from convload.results.measured import attempt_steps, by_worker, intervals, plan_facts
from convload.results.runlog import Note, RunLog, Started, WorkerLost
from convload.results.summary import Summary

NOT_SURELY_RECEIVED = frozenset(
    {"connect_refused", "connect_timeout", "dns", "tls", "reset", "read_timeout", "malformed_http"}
)
"""Outcomes of requests that may or may not have reached the target."""

_TOKEN_STEPS = frozenset({"token.app", "token.consumer"})


def findings(log: RunLog, summary: Summary) -> Iterator[Finding]:
    """Yields all that is wrong with the record."""
    for text in log.damage:
        yield Finding("log_damaged", text)
    yield from _workers(log)
    yield from _gaps(log)
    for record in log.records:
        if isinstance(record, Note) and record.invalidates:
            yield Finding("noted", record.text)
    yield from _counts(log, summary)
    yield from _ledger(log, summary)


def _workers(log: RunLog) -> Iterator[Finding]:
    for record in log.records:
        if isinstance(record, WorkerLost):
            yield Finding("worker_lost", f"worker {record.worker} was lost after {record.at_s:.1f} s: {record.why}")
    started = next((record for record in log.records if isinstance(record, Started)), None)
    seen = len(by_worker(log))
    if started is None:
        yield Finding("not_started", "the run never started")
    elif seen != started.workers:
        yield Finding("worker_lost", f"{started.workers} workers were started, but {seen} reported")


def _gaps(log: RunLog) -> Iterator[Finding]:
    lost = {record.worker for record in log.records if isinstance(record, WorkerLost)}
    for worker, parts in by_worker(log).items():
        numbers = [part.n for part in parts]
        missing = sorted(set(range(max(numbers) + 1)) - set(numbers))
        if missing:
            text = f"worker {worker}: intervals missing: {len(missing)}, the first is number {missing[0]}"
            yield Finding("intervals_missing", text)
        if len(set(numbers)) < len(numbers):
            text = f"worker {worker}: intervals that came twice: {len(numbers) - len(set(numbers))}"
            yield Finding("intervals_missing", text)
        if not parts[-1].last and worker not in lost:
            yield Finding("intervals_missing", f"worker {worker} did not send its last interval")


def _counts(log: RunLog, summary: Summary) -> Iterator[Finding]:
    counts, reported = summary.counts, sum(_attempts(log).values())
    untold = counts.offered - counts.unsent - counts.begun
    if untold > 0 and untold > _failed_tokens(log):
        text = f"{counts.offered:,} arrivals were due but {counts.begun:,} were sent and {counts.unsent:,} left unsent"
        yield Finding("counts_differ", text)
    if counts.built != counts.begun:
        again = f", {counts.retried:,} of them again" if counts.retried else ""
        text = f"{counts.built:,} create payloads were built but {counts.sent:,} were sent{again}"
        yield Finding("counts_differ", text)
    if counts.sent != counts.recorded:
        text = f"{counts.sent:,} create requests were sent but {counts.recorded:,} results were recorded"
        yield Finding("counts_differ", text)
    if counts.recorded != reported:
        text = f"{counts.recorded:,} results were recorded but the intervals hold {reported:,}"
        yield Finding("counts_differ", text)
    yield from _conversations(log, summary)


def _conversations(log: RunLog, summary: Summary) -> Iterator[Finding]:
    """Yields what does not add up between conversations and their attempts, where there are several a conversation."""
    if summary.retries is None:
        return
    told = sum(_outcomes(log, {CREATE}).values())
    firsts, others = (sum(_outcomes(log, {step}).values()) for step in ATTEMPTS)
    if told != firsts or firsts != summary.counts.begun:
        text = (
            f"{summary.counts.begun:,} conversations were begun, but there are {firsts:,} results of first attempts "
            f"and {told:,} of whole conversations"
        )
        yield Finding("counts_differ", text)
    if others != summary.counts.retried:
        text = f"{summary.counts.retried:,} creates were retried but there are {others:,} results of retries"
        yield Finding("counts_differ", text)


def _attempts(log: RunLog) -> dict[str, int]:
    """Returns the outcomes of all create requests sent, retries too."""
    return _outcomes(log, attempt_steps(plan_facts(log).retry))


def _failed_tokens(log: RunLog) -> int:
    """Returns how many token calls failed: an arrival that gets no token comes to no create request."""
    return sum(count for kind, count in _outcomes(log, _TOKEN_STEPS).items() if kind != "ok")


def _ledger(log: RunLog, summary: Summary) -> Iterator[Finding]:
    if summary.ledger is None:
        return
    sent, arrived = summary.counts.sent, summary.ledger.received
    unsure = sum(count for kind, count in _attempts(log).items() if kind in NOT_SURELY_RECEIVED)
    if arrived > sent:
        text = f"the mock received {arrived:,} create requests but only {sent:,} were sent"
        yield Finding("ledger_differs", text)
    elif sent - arrived > unsure:
        text = (
            f"the mock received {arrived:,} of {sent:,} create requests sent; "
            f"connection failures and timeouts explain only {unsure:,} of the difference"
        )
        yield Finding("ledger_differs", text)


def _outcomes(log: RunLog, steps: Collection[str]) -> dict[str, int]:
    outcomes: dict[str, int] = defaultdict(int)
    for cell in (cell for interval in intervals(log) for cell in interval.cells if cell.step in steps):
        outcomes[cell.outcome] += cell.count
    return outcomes
