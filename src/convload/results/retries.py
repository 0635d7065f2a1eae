"""Says in figures what a retry policy did: how many requests a conversation took, and what the waits were."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from convload.contract.outcomes import RATE_LIMITED
from convload.contract.steps import FIRST, RETRY
from convload.plan.retry import CUT_OFF, GAVE_UP, HONOURED, NONE, NOT_RETRIED, RETRIED, RetryPolicy
from convload.results.histogram import Histogram, Statistics, statistics
from convload.results.measured import Totals
from convload.results.runlog import MEASURE, Backoff, Interval

SHED = (RATE_LIMITED, "http_503")


class Retries(msgspec.Struct, frozen=True):
    """What the attempts of the measured conversations came to.

    `amplification` is requests per conversation. `recovered` conversations failed at first and ended ok. `retried` are
    the outcomes that were followed by another attempt; the other failed attempts ended their conversation: all were
    made or too long a wait was asked for (`gave_up`), the outcome is not retried, or the run ended (`cut_off`).
    `shed` are the attempts that the target turned away, by 429 or 503.
    `retry_after_seen` counts answers with that header, `retry_after_honoured` the waits that heeded one. `waited_ms`
    is of the waits before retries.
    """

    policy: str
    max_attempts: int
    conversations: int
    attempts: int
    amplification: float | None
    first_failed: int
    first_failed_share: float | None
    recovered: int
    retried: dict[str, int]
    gave_up: int
    not_retried: int
    cut_off: int
    shed: dict[str, int]
    retry_after_seen: int
    retry_after_honoured: int
    waited_ms: Statistics


def summarise_retries(intervals: Iterable[Interval], totals: Totals, policy: RetryPolicy) -> Retries | None:
    """Returns the figures of a run with a retry policy; None for one without."""
    if policy.policy == NONE:
        return None
    first, later = (totals.figures(step) for step in (FIRST, RETRY))
    backoffs = [one for interval in intervals for one in interval.backoffs if one.phase == MEASURE]
    attempts = first.count + later.count
    return Retries(
        policy=policy.policy,
        max_attempts=policy.attempts,
        conversations=first.count,
        attempts=attempts,
        amplification=_share(attempts, first.count),
        first_failed=first.failed,
        first_failed_share=_share(first.failed, first.count),
        recovered=later.ok,
        retried=dict(_outcomes(one for one in backoffs if one.fate == RETRIED).most_common()),
        gave_up=_count(one for one in backoffs if one.fate == GAVE_UP),
        not_retried=_count(one for one in backoffs if one.fate == NOT_RETRIED),
        cut_off=_count(one for one in backoffs if one.fate == CUT_OFF),
        shed={kind: number for kind in SHED if (number := first.errors.get(kind, 0) + later.errors.get(kind, 0))},
        retry_after_seen=_count(one for one in backoffs if one.retry_after),
        retry_after_honoured=_count(one for one in backoffs if one.retry_after == HONOURED and one.fate == RETRIED),
        waited_ms=statistics(Histogram.merged(Histogram.decode(one.waited) for one in backoffs)),
    )


def _count(backoffs: Iterable[Backoff]) -> int:
    return sum(one.count for one in backoffs)


def _outcomes(backoffs: Iterable[Backoff]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one in backoffs:
        counts[one.outcome] += one.count
    return counts


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
