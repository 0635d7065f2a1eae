"""Looks for what grows or shrinks where it should be level: times, errors, lateness, the generator's own memory."""

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from convload.plan.facts import ValidityLimits
from convload.plan.schedule import StageMark
from convload.results.histogram import short
from convload.results.run import Run
from convload.results.series import Second
from convload.results.window import EDGE_S, Window

Judged = Literal["drifts", "steady", "too short"]

DRIFTS: Judged = "drifts"
STEADY: Judged = "steady"
TOO_SHORT: Judged = "too short"

MEDIAN, TAIL, ERRORS, LATENESS, MEMORY = "service p50", "service p90", "error share", "lateness p90", "memory"
"""What is looked at. A second has few samples, so its p99 is a maximum; p90 is the tail that a line can be drawn of."""

LEAST_ERRORS_PERCENT = 0.1
"""Percentage points. A share that starts at 0 has no relative change, and a smaller one decides no error budget."""

LEAST_LATENESS_MS = 1.0
"""A tenth of what makes a run late; below it lateness is the timer's, and its relative change says nothing."""

POINTS = 60
"""Longer series are cut into so many batches: neighbouring seconds resemble each other, which looks like a trend."""


CHANGE_HIDES = 4
DIGITS = 6
"""Of what is left without a slope; further ones are the rounding of the slope."""
MOST_KEPT = 0.95
"""Of a deviation, from a point to the next. What keeps more cannot be told from a trend by 60 points."""

MEMORY_GROWTH, MEMORY_GROWTH_MB = 0.2, 50.0
"""Beyond both the generator itself is named: a worker's caches fill in the first minutes, and with far less."""

Points = npt.NDArray[np.float64]

_UNITS = {MEDIAN: "ms", TAIL: "ms", ERRORS: "%", LATENESS: "ms", MEMORY: "MB"}
_BYTES_PER_MB = 1e6


class Trend(msgspec.Struct, frozen=True):
    """`p` is the chance of as clear a direction without a trend; `first` and `last` are medians of the outer thirds."""

    p: float
    first: float
    last: float

    @property
    def change(self) -> float:
        """From the first third to the last, relative to the first."""
        return self.last / self.first - 1 if self.first else math.inf


def trend(values: list[float]) -> Trend:
    """Returns the Mann-Kendall test, two-sided, with its correction for ties; asks for no distribution.

    Mann, "Nonparametric tests against trend", Econometrica 13 (1945); Kendall, "Rank correlation methods" (1975);
    the variance with ties as in Gilbert, "Statistical methods for environmental pollution monitoring" (1987), §16.4.
    Neighbours that resemble each other look like a trend, so the variance is that of as many points as they are worth.
    """
    points = np.array([np.median(batch) for batch in np.array_split(values, min(POINTS, len(values)))])
    n = len(points)
    s = float(np.triu(np.sign(points[None, :] - points[:, None])).sum())
    _, ties = np.unique(points, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    variance *= resemblance(points)
    z = max(abs(s) - 1, 0.0) / math.sqrt(variance) if variance > 0 else 0.0
    third = max(1, n // 3)
    return Trend(2 * (1 - NormalDist().cdf(z)), float(np.median(points[:third])), float(np.median(points[-third:])))


def resemblance(points: Points) -> float:
    """Returns how many neighbouring points are worth one, if each keeps a share of the last one's deviation: AR(1).

    Yue and Wang, "The Mann-Kendall test modified by effective sample size", Water Resources Management 18 (2004): by
    the correlation of neighbours once the trend is taken away, made up for what few points hide of it (Kendall, "Note
    on bias in the estimation of autocorrelation", Biometrika 41, 1954). They take away a slope alone; what is left of a
    step then resembles its neighbours so much that the step is not found.
    """
    n, level = len(points), np.round(_without_change(points), DIGITS)
    ranks = np.sign(level[:, None] - level[None, :]).sum(axis=1)
    spread = float((ranks**2).sum())
    if not spread or n <= CHANGE_HIDES:
        return 1.0
    kept = (n * float((ranks[1:] * ranks[:-1]).sum()) / spread + 1) / (n - CHANGE_HIDES)
    kept = min(max(kept, 0.0), MOST_KEPT)
    return (1 + kept) / (1 - kept)


def _without_change(points: Points) -> Points:
    """Returns the points without a slope (Theil and Sen's) or a step, whichever leaves less."""
    n = len(points)
    earlier, later = np.triu_indices(n, 1)
    slope = np.median((points[later] - points[earlier]) / (later - earlier)) if n > 1 else 0.0
    sloped = points - slope * np.arange(n)
    # A step stands where the squares that are left are the fewest: the sums before and behind it say which.
    places = np.arange(n // 5 + 1, n - n // 5)
    before = np.cumsum(points)[places - 1]
    at = places[np.argmax(before**2 / places + (points.sum() - before) ** 2 / (n - places))] if len(places) else 0
    stepped = np.concatenate([part - np.median(part) for part in (points[:at], points[at:]) if len(part)])
    return min(sloped - np.median(sloped), stepped, key=lambda left: float(np.abs(left).sum()))


def joined_stages(run: Run) -> list[StageMark]:
    """Returns the stages; one that was added at the rate that the load had is a part of the stage before it."""
    joined = list(run.manifest.stages)
    for mark in run.marks[len(joined) :]:
        before = joined[-1] if joined else mark
        goes_on = abs(before.starts_s + before.duration_s - mark.starts_s) < EDGE_S
        if goes_on and before.from_rate == before.to_rate == mark.from_rate == mark.to_rate and not before.warmup:
            joined[-1] = msgspec.structs.replace(before, duration_s=before.duration_s + mark.duration_s)
        else:
            joined.append(mark)
    return joined


def stretches(run: Run) -> dict[str, Window]:
    """Returns each stretch of constant load by name; what was never reached of it is left out."""
    within = run.window
    if not run.is_open:
        return {"the measured time": within}
    return {
        f"stage {mark.name}": Window(mark.starts_s, min(mark.starts_s + mark.duration_s, within.to_s))
        for mark in joined_stages(run)
        if not mark.warmup and mark.from_rate == mark.to_rate and mark.starts_s < within.to_s
    }


def whole_seconds(series: list[Second], within: Window) -> list[Second]:
    """Returns the seconds that lie in a stretch as a whole."""
    return [row for row in series if row.t_s >= within.from_s - EDGE_S and row.t_s + 1 <= within.to_s + EDGE_S]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity over one stretch of constant load; `worker` is told of memory, which is each worker's own.

    `first` and `last` are of the outer thirds of the stretch, in `unit`; `change` lies between them, `change_per_hour`
    is the same over the time between the middles of the two. Where it is too short for a test these are None.
    """

    stretch: str
    quantity: str
    unit: str
    worker: int | None
    seconds: int
    verdict: Judged
    first: float | None = None
    last: float | None = None
    change: float | None = None
    change_per_hour: float | None = None
    p: float | None = None

    @property
    def name(self) -> str:
        """The quantity, of whom."""
        return self.quantity if self.worker is None else f"{self.quantity} of worker {self.worker}"


def examine_drift(run: Run) -> list[Drift]:
    """Tests each quantity of each stretch of constant load that is long enough; empty where none is.

    All tests together share the significance (Bonferroni). The median service time is asked as the validity rule
    `not_steady` asks it, its stretches sharing the significance among them, so that the two never disagree.
    """
    limits = run.plan.validity
    lines = [
        line
        for name, stretch in stretches(run).items()
        if len(rows := whole_seconds(run.series, stretch)) >= limits.trend_seconds
        for line in _lines(run, name, stretch, rows)
    ]
    long_enough = [one.quantity for one, _ in lines if one.seconds >= limits.trend_seconds]
    tests = {MEDIAN: max(long_enough.count(MEDIAN), 1)}
    return [_tested(one, values, tests.get(one.quantity, len(long_enough)), limits) for one, values in lines]


def drift_notes(found: Sequence[Drift]) -> list[str]:
    """Returns a note for each drift that is no reason of validity: of errors, and of the generator's memory."""
    return [_note(one) for one in found if one.verdict == DRIFTS and one.quantity in {ERRORS, MEMORY}]


def change_text(one: Drift) -> str:
    """Says a change in a few words; empty where nothing was tested."""
    if one.first is None or one.last is None or one.change is None:
        return ""
    way = "rose" if one.change > 0 else "fell"
    return f"{way} from {short(one.first)} to {short(one.last)} {one.unit}"


def _lines(run: Run, stretch: str, within: Window, rows: list[Second]) -> Iterator[tuple[Drift, list[float]]]:
    """Yields what is to be tested: not tested yet, with a value for each second or for each batch of them."""

    def line(quantity: str, seconds: int, values: list[float], worker: int | None = None) -> tuple[Drift, list[float]]:
        untested = Drift(
            stretch=stretch, quantity=quantity, unit=_UNITS[quantity], worker=worker, seconds=seconds, verdict=TOO_SHORT
        )
        return untested, values

    times = [row.service_ms for row in rows if row.service_ms]
    for quantity, percentile in ((MEDIAN, "p50"), (TAIL, "p90")):
        yield line(quantity, len(times), [point[percentile] for point in times])
    asked = [row for row in rows if row.requests_per_s]
    yield line(ERRORS, len(asked), _error_percents(asked))
    if run.is_open:
        late = [row.lateness_ms["p90"] for row in rows if row.lateness_ms]
        yield line(LATENESS, len(late), late)
    inside = within.within(run.health)
    memory = np.split(inside["memory_bytes"] / _BYTES_PER_MB, inside.starts[1:])
    known = dict(zip(inside.workers, memory, strict=False))
    for worker in run.health.workers:
        own = known.get(worker, memory[0][:0])
        yield line(MEMORY, len(own), own.tolist(), worker)


def _error_percents(rows: list[Second]) -> list[float]:
    """Returns the share of failed requests of each batch: of single seconds with rare errors the median is always 0."""
    counts = np.array([(row.requests_per_s - row.ok_per_s, row.requests_per_s) for row in rows]).reshape(-1, 2)
    batches = np.array_split(counts, min(POINTS, len(counts))) if len(counts) else []
    return [round(100 * max(0.0, float(failed / asked)), 6) for failed, asked in (batch.sum(0) for batch in batches)]


def _tested(untested: Drift, values: list[float], tests: int, limits: ValidityLimits) -> Drift:
    if untested.seconds < limits.trend_seconds:
        return untested
    found = trend(values)
    first, last = _thirds(values) if untested.quantity == ERRORS else (found.first, found.last)
    drifts = found.p < limits.trend_significance / tests and matters(untested.quantity, found, last - first, limits)
    return msgspec.structs.replace(
        untested,
        verdict=DRIFTS if drifts else STEADY,
        first=round(first, 4),
        last=round(last, 4),
        change=round(last - first, 4),
        # From the middle of the first third to that of the last.
        change_per_hour=round((last - first) / (untested.seconds * 2 / 3) * 3600, 4),
        p=float(f"{found.p:.3g}"),
    )


def _thirds(values: list[float]) -> tuple[float, float]:
    """Returns the means of the outer thirds: half of all batches may have no error, and the others many."""
    third = max(1, len(values) // 3)
    return float(np.mean(values[:third])), float(np.mean(values[-third:]))


def matters(quantity: str, found: Trend, change: float, limits: ValidityLimits) -> bool:
    """Says whether a change is one that matters, apart from whether it is chance."""
    if quantity == ERRORS:
        return abs(change) >= LEAST_ERRORS_PERCENT
    least = {LATENESS: LEAST_LATENESS_MS, MEMORY: 0.0}.get(quantity, limits.trend_change_ms)
    return abs(found.change) > limits.trend_change and abs(change) >= least


def _note(one: Drift) -> str:
    first, change, per_hour = one.first or 0.0, one.change or 0.0, one.change_per_hour or 0.0
    text = f"drift: in {one.stretch} the {one.name} {change_text(one)} ({short(per_hour, sign='+')} {one.unit} an hour)"
    if one.quantity == MEMORY and change > MEMORY_GROWTH_MB and change > MEMORY_GROWTH * first:
        return f"{text}; it is the load generator that grows here, not the target: a longer run may run out of memory"
    return text
