"""Finds what is wrong with the record of a run: parts that are missing, counts that do not add up."""

from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np

from convload.contract.steps import ATTEMPTS, CREATE
from convload.judging.load_rules import Found
from convload.results.measured import attempt_steps
from convload.results.run import Run
from convload.results.runlog import Note, Started, WorkerLost

NOT_SURELY_RECEIVED = frozenset(
    {"connect_refused", "connect_timeout", "dns", "tls", "reset", "read_timeout", "malformed_http"}
)
"""Outcomes of requests that may or may not have reached the target."""

_TOKEN_STEPS = frozenset({"token.app", "token.consumer"})


def findings(run: Run) -> Iterator[Found]:
    """Yields all that is wrong with the record."""
    for text in run.log.damage:
        yield "log_damaged", text
    yield from _workers(run)
    yield from _gaps(run)
    for record in run.log.records:
        if isinstance(record, Note) and record.invalidates:
            yield "noted", record.text
    yield from _counts(run)
    yield from _ledger(run)


def _workers(run: Run) -> Iterator[Found]:
    for record in run.log.records:
        if isinstance(record, WorkerLost):
            yield "worker_lost", f"worker {record.worker} was lost after {record.at_s:.1f} s: {record.why}"
    started = next((record for record in run.log.records if isinstance(record, Started)), None)
    seen = len(run.health.workers)
    if started is None:
        yield "not_started", "the run never started"
    elif seen != started.workers:
        yield "worker_lost", f"{started.workers} workers were started, but {seen} reported"


def _gaps(run: Run) -> Iterator[Found]:
    lost = {record.worker for record in run.log.records if isinstance(record, WorkerLost)}
    numbers, ends = run.health["n"], run.health.ends
    steps = run.health.rises("n")
    steps[run.health.starts] += 1
    twice = run.health.sums((steps == 0).astype(int))
    missing = ends["n"] + 1 - (run.health.sizes - twice)
    for at in np.flatnonzero((missing > 0) | (twice > 0) | ~ends["last"]).tolist():
        worker, start = run.health.workers[at], int(run.health.starts[at])
        if missing[at]:
            known = set(numbers[start : start + int(run.health.sizes[at])].tolist())
            first = next(number for number in range(len(known) + 1) if number not in known)
            text = f"worker {worker}: intervals missing: {missing[at]}, the first is number {first}"
            yield "intervals_missing", text
        if twice[at]:
            yield "intervals_missing", f"worker {worker}: intervals that came twice: {twice[at]}"
        if not ends["last"][at] and worker not in lost:
            yield "intervals_missing", f"worker {worker} did not send its last interval"


def _counts(run: Run) -> Iterator[Found]:
    counts, reported = run.counts, _attempts(run).total()
    untold = counts.offered - counts.unsent - counts.begun
    if untold > 0 and untold > _failed_tokens(run):
        text = f"{counts.offered:,} arrivals were due but {counts.begun:,} were sent and {counts.unsent:,} left unsent"
        yield "counts_differ", text
    if counts.built != counts.begun:
        again = f", {counts.retried:,} of them again" if counts.retried else ""
        text = f"{counts.built:,} create payloads were built but {counts.sent:,} were sent{again}"
        yield "counts_differ", text
    if counts.sent != counts.recorded:
        text = f"{counts.sent:,} create requests were sent but {counts.recorded:,} results were recorded"
        yield "counts_differ", text
    if counts.recorded != reported:
        text = f"{counts.recorded:,} results were recorded but the intervals hold {reported:,}"
        yield "counts_differ", text
    yield from _conversations(run)


def _conversations(run: Run) -> Iterator[Found]:
    """Yields what does not add up between conversations and their attempts, where there are several a conversation."""
    if run.summary.retries is None:
        return
    conversations, firsts, others = (run.outcomes[step].total() for step in (CREATE, *ATTEMPTS))
    if conversations != firsts or firsts != run.counts.begun:
        text = (
            f"{run.counts.begun:,} conversations were begun, but there are {firsts:,} results of first attempts "
            f"and {conversations:,} of whole conversations"
        )
        yield "counts_differ", text
    if others != run.counts.retried:
        text = f"{run.counts.retried:,} creates were retried but there are {others:,} results of retries"
        yield "counts_differ", text


def _attempts(run: Run) -> Counter[str]:
    """Returns the outcomes of all create requests sent, retries too."""
    return _outcomes(run, attempt_steps(run.plan.retry))


def _failed_tokens(run: Run) -> int:
    """Returns how many token calls failed: an arrival that gets no token comes to no create request."""
    return sum(count for kind, count in _outcomes(run, _TOKEN_STEPS).items() if kind != "ok")


def _ledger(run: Run) -> Iterator[Found]:
    if run.ledger is None:
        return
    sent, arrived = run.counts.sent, run.ledger.received
    unsure = sum(count for kind, count in _attempts(run).items() if kind in NOT_SURELY_RECEIVED)
    if arrived > sent and not run.ledger.shared:
        text = f"the mock received {arrived:,} create requests but only {sent:,} were sent"
        yield "ledger_differs", text
    elif sent - arrived > unsure:
        text = (
            f"the mock received {arrived:,} of {sent:,} create requests sent; "
            f"connection failures and timeouts explain only {unsure:,} of the difference"
        )
        yield "ledger_differs", text


def _outcomes(run: Run, steps: Collection[str]) -> Counter[str]:
    return sum((run.outcomes[step] for step in steps), Counter())
