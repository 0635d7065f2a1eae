"""capacity.json: the result of a capacity search, drawn from its trials."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from convload.capacity.change import change_of, still_true, worst_and_best
from convload.capacity.concurrency import throughputs
from convload.capacity.law import check_little, fit
from convload.capacity.limit import TEXTS, kind_of_limit
from convload.capacity.overload import Shortfall
from convload.capacity.posterior import Posterior, sustained
from convload.capacity.search import Search, relative_width
from convload.capacity.statement import notes, statement
from convload.capacity.trials import SearchSettings
from convload.errors import ExitCode
from convload.results.capacity_result import Bounds, Broke, CapacityResult, Change, Limit, Point, Saturation, Trial

_Z = 1.96

APART = 1.3
"""A load that passes so many times above one that failed twice cannot be chance."""


def conclude(
    search: Search, objective: list[str], beyond: Sequence[Trial] = (), shortfall: Shortfall | None = None
) -> CapacityResult:
    """Draws the result of a search; what is measured besides is put in with `msgspec.structs.replace`.

    `beyond` are trials at loads above the capacity, made after the search: one that passes tells of a target whose
    results are not monotonic. `shortfall` is what the target did at its capacity where that was less.
    """
    change = change_of(search.trials)
    varies = change is not None and change.kind != "rose"
    bounds = worst_and_best(search.trials, search.settings.tail) if varies else _bounds(search)
    if shortfall is not None and bounds.low is not None:
        bounds = Bounds(min(bounds.low, shortfall.per_s), bounds.high)
    trials = [_overruled(trial, bounds, change) for trial in search.trials]
    first, kind = first_broken(trials), kind_of_limit(trials, change)
    monotonic = not contradicts([*still_true(search.trials), *beyond])
    known = sustained(still_true(search.trials))
    is_sure = monotonic and not varies and shortfall is None
    return CapacityResult(
        capacity_per_s=bounds,
        confidence=search.settings.confidence,
        width=relative_width(bounds.low, bounds.high) if bounds.low and bounds.high else None,
        objective=objective,
        limited_by=_limit(search, bounds),
        exit_code=_exit_code(search, bounds) if is_sure else ExitCode.INCONCLUSIVE,
        statement=statement(search, bounds, first, change, shortfall),
        notes=[*notes(search, trials, bounds, change, monotonic=monotonic), *([TEXTS[kind]] if kind else [])],
        goodput_per_s=_goodput(search.trials, bounds),
        first_broken=first,
        monotonic=monotonic,
        recovered=search.end != "broken",
        budget_s=search.settings.budget_s,
        took_s=search.took_s,
        trials=trials,
        sustained_per_s=known.per_s if known else None,
        density=_density(search.found if is_sure else None),
        limit_kind=kind,
        change=change,
        longest_trial_s=max((trial.duration_s for trial in trials), default=None),
        little=check_little(search.trials),
        usl=fit(usl_points(search.trials), most_done_per_s([*search.trials, *beyond])),
    )


def _density(found: Posterior | None) -> list[tuple[float, float]]:
    """Returns loads and their probability relative to the most probable; nothing where no trial went either way."""
    if found is None:
        return []
    top = max(found.weights)
    pairs = zip(found.loads, found.weights, strict=True)
    return [(float(f"{load:.5g}"), round(weight / top, 4)) for load, weight in pairs]


def _overruled(trial: Trial, bounds: Bounds, change: Change | None) -> Trial:
    """Marks a failure that later trials contradict: the target carries that load all the same, or does since."""
    was_before = change is not None and change.from_s is not None and trial.at_s < change.from_s
    if trial.verdict != "fail" or not (was_before or trial.rate < (bounds.low or 0.0)):
        return trial
    return msgspec.structs.replace(trial, overruled=True)


def conclude_saturation(
    saturation: Saturation, objective: list[str], settings: SearchSettings, took_s: float
) -> CapacityResult:
    """Draws the result of a closed search: the throughput that more users do not raise."""
    best = throughputs(saturation.trials)
    highest = max(best.values(), default=None)
    error = _Z * highest[1] if highest else 0.0
    found = saturation.high_users is not None
    low = max(highest[0] - error, 0.0) if highest else None
    return CapacityResult(
        capacity_per_s=Bounds(low, highest[0] + error if highest and found else None),
        confidence=settings.confidence,
        width=2 * error / highest[0] if highest and highest[0] and found else None,
        objective=objective,
        limited_by=saturation.limited_by,
        exit_code=_saturation_code(saturation),
        statement=saturation.text,
        notes=["Closed model: what users saw at their own pace. No rate of arrivals follows from it."],
        goodput_per_s=saturation.highest_per_s,
        first_broken=first_broken(saturation.trials),
        monotonic=True,
        recovered=True,
        budget_s=settings.budget_s,
        took_s=took_s,
        trials=saturation.trials,
        little=check_little(saturation.trials),
        usl=saturation.usl,
        saturation=saturation,
    )


def _saturation_code(saturation: Saturation) -> ExitCode:
    if saturation.highest_per_s == 0:
        return ExitCode.GATE_FAILED
    return ExitCode.PASS if saturation.high_users is not None else ExitCode.INCONCLUSIVE


def interrupted(result: CapacityResult) -> CapacityResult:
    """Returns the result of a search that a person has stopped."""
    note = "The search was interrupted; this is what it had found until then."
    return msgspec.structs.replace(
        result, interrupted=True, exit_code=ExitCode.INTERRUPTED, notes=[note, *result.notes]
    )


def usl_points(trials: list[Trial]) -> list[Point]:
    """Returns throughput by the mean number in flight, of the trials that were steady."""
    return [
        Point(trial.in_flight_mean, trial.goodput_per_s)
        for trial in trials
        if trial.verdict != "generator" and not trial.growing and trial.in_flight_mean and trial.goodput_per_s
    ]


def most_done_per_s(trials: Sequence[Trial]) -> float | None:
    """Returns the most that any load got done; None where no load went beyond what the target carries."""
    if not any(trial.growing or trial.overloaded for trial in trials):
        return None
    return max(trial.goodput_per_s or 0.0 for trial in trials)


def first_broken(trials: list[Trial]) -> Broke | None:
    """Returns the lowest load at which a trial failed that none overruled, with what failed there."""
    failed = min(
        (one for one in trials if one.verdict == "fail" and not one.overruled), key=attrgetter("rate"), default=None
    )
    return None if failed is None else Broke(failed.rate, failed.broken)


def contradicts(trials: Sequence[Trial]) -> bool:
    """Returns whether a load passed that is far above one that failed twice (by the same load or lower ones)."""
    failed = sorted(trial.rate for trial in trials if trial.verdict == "fail")
    highest = max((trial.rate for trial in trials if trial.verdict == "pass"), default=0.0)
    return len(failed) > 1 and highest >= APART * failed[1]


def _bounds(search: Search) -> Bounds:
    """Returns the interval; a side on which no trial stands is open."""
    sides = {trial.side for trial in search.trials}
    if search.found is None or search.end == "floor":
        return Bounds(None, search.settings.min_rate if search.end == "floor" else None)
    low, high = search.found.interval(search.settings.confidence)
    highest = max((trial.rate for trial in search.trials if trial.side == "pass"), default=0.0)
    open_above = "fail" not in sides or search.end in {"ceiling", "generator"}
    return Bounds(min(low, highest) if "pass" in sides else None, None if open_above else high)


def _limit(search: Search, bounds: Bounds) -> Limit:
    if search.end == "ceiling":
        return "bound"
    if bounds.high is None and search.generator_limit is not None:
        return "generator"
    return "target" if search.end in {"floor", "broken"} or (bounds.low and bounds.high) else "budget"


def _exit_code(search: Search, bounds: Bounds) -> ExitCode:
    if search.end in {"floor", "broken"}:
        return ExitCode.GATE_FAILED
    known = bounds.low is not None and (bounds.high is not None or search.end == "ceiling")
    return ExitCode.PASS if known else ExitCode.INCONCLUSIVE


def _goodput(trials: list[Trial], bounds: Bounds) -> float | None:
    within = [
        trial for trial in trials if trial.side == "pass" and bounds.low and trial.rate <= (bounds.high or trial.rate)
    ]
    return max(within, key=attrgetter("rate")).goodput_per_s if within else None
