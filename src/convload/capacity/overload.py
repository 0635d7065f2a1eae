"""Judges how a target behaves beyond its capacity: what it still gets done, what it sheds, and how it recovers."""

import math
from collections.abc import Sequence

import msgspec

from convload.capacity.trials import per_s
from convload.results.capacity_result import Overload, OverloadPoint
from convload.results.histogram import short
from convload.results.recovery import first_normal

FACTORS = (1.0, 1.2, 1.5, 2.0)
"""Of the capacity: what to offer."""

KEPT = 0.9
"""Goodput beyond capacity, relative to that at capacity, below which it counts as collapsing."""

_SURE = 3.0
"""Standard deviations: what came and what is done differ by chance."""


class OverloadTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A load beyond capacity, as measured.

    `statuses` counts the answers that refuse: "429", "503", others by kind. `in_time` are the successes that were
    answered while the load lasted, which alone are goodput of it; all where None.
    `accepted_p50_ms` and `accepted_p99_ms` are response times of the requests that succeeded.
    """

    factor: float
    offered_per_s: float
    count: int
    ok: int
    duration_s: float
    in_time: int | None = None
    statuses: dict[str, int] = {}
    accepted_p50_ms: float | None = None
    accepted_p99_ms: float | None = None


class Shortfall(msgspec.Struct, frozen=True):
    """What a target got done at its capacity where that was less, and that in words."""

    per_s: float
    text: str


SHEDDING = ("429", "503")
"""Answers by which a target refuses load on purpose; any other failure is one."""


def judge_overload(trials: Sequence[OverloadTrial], after_ms: Sequence[float | None], normal_ms: float) -> Overload:
    """Judges measurements at and beyond capacity.

    `after_ms` are response times, a value a second from when the load fell (None: no answer); `normal_ms` is what they
    were before. Recovered is from where the first three in a row are normal.
    """
    ordered = sorted(trials, key=lambda trial: trial.factor)
    # What it should get done at its capacity is what came then; less of it is none to measure others by.
    reference = max(_goodput_per_s(ordered[0]), _came_per_s(ordered[0])) if ordered else 0.0
    points = [_point(trial, reference) for trial in ordered]
    recovered = first_normal(after_ms, normal_ms)
    recovery_s = None if recovered is None else float(recovered)
    collapses = any(point.kept < KEPT for point in points)
    watched_s = float(len(after_ms))
    return Overload(
        points=points,
        collapses=collapses,
        recovery_s=recovery_s,
        watched_s=watched_s,
        text=_text(points, collapses=collapses, recovery_s=recovery_s, watched_s=watched_s),
    )


def falls_short(trials: Sequence[OverloadTrial]) -> Shortfall | None:
    """Returns how a target did not carry what was found to be its capacity; None where it did, or by chance."""
    at_capacity = [trial for trial in trials if trial.factor == FACTORS[0] and trial.count]
    for trial in at_capacity:
        came, done = _came_per_s(trial), _goodput_per_s(trial)
        by_chance = _SURE * math.sqrt(2 * trial.count) / trial.duration_s
        if done < KEPT * came and came - done > by_chance:
            median = "" if trial.accepted_p50_ms is None else f" with a median of {short(trial.accepted_p50_ms, 3)} ms"
            said = f"offered {per_s(trial.offered_per_s)} after the search, it got only {per_s(done)} done{median}"
            return Shortfall(done, said)
    return None


def _came_per_s(trial: OverloadTrial) -> float:
    return trial.count / trial.duration_s


def _point(trial: OverloadTrial, reference_per_s: float) -> OverloadPoint:
    goodput, count = _goodput_per_s(trial), max(trial.count, 1)
    shed = {status: trial.statuses[status] / count for status in SHEDDING if trial.statuses.get(status)}
    failed = (trial.count - trial.ok) / count
    return OverloadPoint(
        factor=trial.factor,
        offered_per_s=trial.offered_per_s,
        goodput_per_s=goodput,
        kept=goodput / reference_per_s if reference_per_s else 0.0,
        shed_share=sum(shed.values()),
        failed_share=max(0.0, failed - sum(shed.values())),
        shed_by=shed,
        accepted_p50_ms=trial.accepted_p50_ms,
        accepted_p99_ms=trial.accepted_p99_ms,
    )


def _goodput_per_s(trial: OverloadTrial) -> float:
    return (trial.ok if trial.in_time is None else trial.in_time) / trial.duration_s


def _text(points: list[OverloadPoint], *, collapses: bool, recovery_s: float | None, watched_s: float) -> str:
    if not points:
        return "Nothing was measured beyond capacity."
    worst, last = min(points, key=lambda point: point.kept), points[-1]
    does = "collapses" if collapses else "holds"
    said = (
        f"Beyond capacity goodput {does}: {100 * worst.kept:.0f} % of what comes at capacity "
        f"are done at {worst.factor:g}×; "
        f"at {last.factor:g}× {100 * last.shed_share:.0f} % are shed and "
        f"{100 * last.failed_share:.0f} % fail otherwise. "
    )
    if recovery_s is None:
        return f"{said}The response was not normal again within {watched_s:g} s after the load fell."
    return f"{said}The response is normal again {recovery_s:g} s after the load falls."
