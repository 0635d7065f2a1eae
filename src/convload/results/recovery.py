"""Says how long a target took to answer as before, after the load fell."""

from collections.abc import Sequence

import msgspec

from convload.plan.schedule import StageMark
from convload.results.drift import joined_stages, whole_seconds
from convload.results.run import Run
from convload.results.series import Second
from convload.results.window import Window

NORMAL = 1.2
"""At rest again: the response is at most this multiple of what it was before."""

NORMAL_SECONDS = 3
"""In a row: a single quick second may be a lull of what still drains."""

FALL = 0.5
"""A rate that falls to this share of itself or below ends a spike."""


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What followed the end of stage `stage`; rates are per second, just before and just after.

    `recovered_s` is from the fall to the first of the seconds that are normal again, None where that was not seen in
    `watched_s`; `normal_ms` is the median response time of the stage before the spike.
    """

    stage: str
    from_rate: float
    to_rate: float
    normal_ms: float
    recovered_s: float | None
    watched_s: float


def first_normal(after_ms: Sequence[float | None], normal_ms: float) -> int | None:
    """Returns where the first values in a row that are normal begin; None is no answer, which is not normal."""
    normal = [value is not None and value <= NORMAL * normal_ms for value in after_ms]
    starts = range(len(normal) - NORMAL_SECONDS + 1)
    return next((at for at in starts if all(normal[at : at + NORMAL_SECONDS])), None)


def find_recoveries(run: Run) -> list[Recovery]:
    """Returns one for each fall of the rate that has a calm stage before its spike and was reached."""
    if not run.is_open:
        return []
    marks = joined_stages(run)
    found = [_recovery(run, marks, at) for at in range(1, len(marks))]
    return [one for one in found if one]


def _recovery(run: Run, marks: list[StageMark], at: int) -> Recovery | None:
    spike, after = marks[at - 1], marks[at]
    normal_ms = _normal_ms(marks[: at - 1], FALL * spike.to_rate, run)
    if after.from_rate > FALL * spike.to_rate or normal_ms is None or after.starts_s >= run.window.to_s:
        return None
    calm = Window(after.starts_s, min(_calm_until_s(marks[at:], spike), run.window.to_s))
    rows = whole_seconds(run.series, calm)
    medians = {row.t_s: _median_ms(row) for row in rows}
    watched = range(min(medians), max(medians) + 1) if medians else range(0)
    begins = first_normal([medians.get(t_s) for t_s in watched], normal_ms)
    return Recovery(
        stage=spike.name,
        from_rate=spike.to_rate,
        to_rate=after.from_rate,
        normal_ms=normal_ms,
        recovered_s=None if begins is None else round(watched[begins] - after.starts_s, 3),
        watched_s=round(watched[-1] + 1 - after.starts_s, 3) if watched else 0.0,
    )


def _normal_ms(earlier: list[StageMark], highest_rate: float, run: Run) -> float | None:
    """Returns the median response time of the last stage that was calm all along; a climb belongs to the spike."""
    calm = (mark for mark in reversed(earlier) if not mark.warmup and 0 < _highest(mark) <= highest_rate)
    known = run.summary.stages.get(next((mark.name for mark in calm), ""))
    return known.response_ms.get("p50") if known else None


def _calm_until_s(following: list[StageMark], spike: StageMark) -> float:
    ends = following[-1].starts_s + following[-1].duration_s
    return next((mark.starts_s for mark in following if _highest(mark) > FALL * spike.to_rate), ends)


def _highest(mark: StageMark) -> float:
    return max(mark.from_rate, mark.to_rate)


def _median_ms(row: Second) -> float | None:
    """Returns the median response; None where most failed, for then quick successes are no sign of health."""
    return row.response_ms.get("p50") if row.ok_per_s >= row.requests_per_s / 2 else None
