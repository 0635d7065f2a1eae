"""Names the kind of limit that a search met, from what failed trials have in common."""

from collections.abc import Sequence

from convload.results.capacity_result import Change, Trial

QUEUE, SHEDDING, LIMITER, LATENCY, ERRORS = "queue", "queue that sheds", "rate limiter", "latency", "errors"
VARYING, SHRINKING = "varying", "shrinking"

RATE_LIMITED = "rate_limited"

_FLAT = 1.5
"""Times the median of a load that passed: an answer that takes no longer has not waited."""

_REFUSES = 0.005
"""Of a trial's creates, refused: a limit and no mishap."""

TEXTS = {
    QUEUE: "The limit is a queue: offered more, the target gets no more done, and requests wait longer and longer.",
    SHEDDING: "The limit is a queue that has an end: what is accepted waits, and what finds no room is refused.",
    LIMITER: "The limit is a rate limiter: what is beyond its rate is refused (429), the rest is answered as fast as "
    "before. A burst gets more through than the rate that lasts, so that short trials look better.",
    LATENCY: "No queue was met: answers take longer the more is asked, and the objective breaks before the target gets "
    "less done than it is offered. Such a limit has no sharp place.",
    ERRORS: "The limit is errors: they become more with the load while no requests pile up.",
    VARYING: "The limit moves: what the target carries changed with time.",
    SHRINKING: "The limit shrinks: the target carried less and less while it was searched.",
}


def kind_of_limit(trials: Sequence[Trial], change: Change | None) -> str:
    """Returns the kind of limit that trials met; nothing where none failed."""
    failed = [trial for trial in trials if trial.verdict == "fail" and not trial.overruled]
    if not failed:
        return ""
    refused = [trial for trial in failed if (trial.error_share or 0.0) > _REFUSES]
    kind = _of_refusals(refused, _median_at_ease(trials)) if 2 * len(refused) > len(failed) else ""
    if kind != LIMITER and change is not None and change.kind != "rose":
        return SHRINKING if change.kind == "fell" else VARYING
    if kind:
        return kind
    # Just above the limit requests pile up too slowly to show: the higher half of the loads tells.
    higher = sorted(failed, key=lambda trial: trial.rate)[len(failed) // 2 :]
    piled_up = [trial for trial in higher if trial.growing or trial.overloaded]
    return QUEUE if 2 * len(piled_up) >= len(higher) else LATENCY


def _of_refusals(refused: Sequence[Trial], at_ease_ms: float | None) -> str:
    slowest_ms = max((trial.response_p50_ms or 0.0 for trial in refused), default=0.0)
    is_flat = at_ease_ms is not None and slowest_ms <= _FLAT * at_ease_ms
    limited = [trial for trial in refused if trial.mostly_failed_by == RATE_LIMITED]
    if is_flat and 2 * len(limited) > len(refused):
        return LIMITER
    return ERRORS if is_flat else SHEDDING


def _median_at_ease(trials: Sequence[Trial]) -> float | None:
    """Returns the longest median of loads that passed."""
    medians = [trial.response_p50_ms for trial in trials if trial.side == "pass" and trial.response_p50_ms is not None]
    return max(medians, default=None)
