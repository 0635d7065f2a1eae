"""capacity.json: the result of a capacity search, drawn from its trials."""

from collections.abc import Sequence

import msgspec

from convload.capacity.concurrency import throughputs
from convload.capacity.density import density
from convload.capacity.law import check_little, fit
from convload.capacity.posterior import sustained
from convload.capacity.search import Search, relative_width
from convload.capacity.trials import SearchSettings, four_digits, per_s
from convload.errors import ExitCode
from convload.results.capacity_result import (
    Bounds,
    Broke,
    CapacityResult,
    Limit,
    Point,
    Saturation,
    Trial,
)
from convload.results.histogram import short

_Z = 1.96

APART = 1.3
"""A load that passes so many times above one that failed twice cannot be chance."""


def conclude(search: Search, objective: list[str], beyond: Sequence[Trial] = ()) -> CapacityResult:
    """Draws the result of a search; what is measured besides is put in with `msgspec.structs.replace`.

    `beyond` are trials at loads above the capacity, made after the search: one that passes tells of a target whose
    results are not monotonic.
    """
    bounds = _bounds(search)
    first = first_broken(search.trials)
    monotonic = not contradicts([*search.trials, *beyond])
    recovered = search.end != "broken"
    known = sustained(search.trials)
    return CapacityResult(
        capacity_per_s=bounds,
        confidence=search.settings.confidence,
        width=relative_width(bounds.low, bounds.high) if bounds.low and bounds.high else None,
        objective=objective,
        limited_by=_limit(search, bounds),
        exit_code=_exit_code(search, bounds) if monotonic else ExitCode.INCONCLUSIVE,
        statement=_statement(search, bounds, first),
        notes=_notes(search, bounds, monotonic=monotonic),
        goodput_per_s=_goodput(search.trials, bounds),
        first_broken=first,
        monotonic=monotonic,
        recovered=recovered,
        budget_s=search.settings.budget_s,
        took_s=search.took_s,
        trials=search.trials,
        sustained_per_s=known.per_s if known else None,
        density=density(search.found),
        little=check_little(search.trials),
        usl=fit(usl_points(search.trials), most_doneper_s([*search.trials, *beyond])),
    )


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


def most_doneper_s(trials: Sequence[Trial]) -> float | None:
    """Returns the most that any load got done; None where no load went beyond what the target carries."""
    if not any(trial.growing or trial.overloaded for trial in trials):
        return None
    return max(trial.goodput_per_s or 0.0 for trial in trials)


def first_broken(trials: list[Trial]) -> Broke | None:
    """Returns the lowest load at which a trial failed, with what failed there."""
    failed = min((trial for trial in trials if trial.verdict == "fail"), key=_rate, default=None)
    return None if failed is None else Broke(failed.rate, failed.broken)


def contradicts(trials: Sequence[Trial]) -> bool:
    """Returns whether a load passed that is far above one that failed twice (by the same load or lower ones)."""
    failed = sorted(trial.rate for trial in trials if trial.verdict == "fail")
    highest = max((trial.rate for trial in trials if trial.verdict == "pass"), default=0.0)
    return len(failed) > 1 and highest >= APART * failed[1]


def _rate(trial: Trial) -> float:
    return trial.rate


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
    return max(within, key=_rate).goodput_per_s if within else None


def _statement(search: Search, bounds: Bounds, first: Broke | None) -> str:
    broke = f"{_listed(first.objectives)} broke first, at {per_s(first.rate)}" if first else "nothing broke"
    sure = f"{100 * search.settings.confidence:g} %"
    if search.end == "broken":
        known = f"; until then: {_between(bounds)}" if bounds.low or bounds.high else ""
        last = search.trials[-1].rate
        return (
            f"The target did not get back to normal within {search.settings.cool_down_s:g} s after the trial at "
            f"{per_s(last)}, so the search stopped to do no further harm{known}."
        )
    if search.end == "floor":
        return f"No rate from {per_s(search.settings.min_rate)} up meets the objective: {broke}."
    if bounds.low is None and bounds.high is None:
        return "The search says nothing of the target: " + _no_answer(search)
    if bounds.high is None:
        return _at_least(search, bounds)
    if bounds.low is None:
        return f"The capacity is below {per_s(bounds.high)} ({broke}); no load that passes was found in the budget."
    width = 100 * relative_width(bounds.low, bounds.high)
    return f"The target carries {_between(bounds)} ({sure} sure, {short(width, 2)} % wide); {broke}."


def _at_least(search: Search, bounds: Bounds) -> str:
    least = f"The target carries at least {per_s(bounds.low or 0.0)}"
    if search.generator_limit is not None:
        limit = per_s(search.generator_limit)
        return (
            f"{least}, generator-bound: the load generator makes no more than {limit}; until there the objective held."
        )
    if search.end == "ceiling":
        highest = per_s(search.settings.max_rate)
        return f"{least}: the objective never failed up to the highest rate asked for, {highest}."
    return f"{least}: the objective never failed within the budget; more time would go farther."


def _no_answer(search: Search) -> str:
    if search.generator_limit is not None:
        return (
            f"the load generator makes no more than {per_s(search.generator_limit)}, and no trial below was measured."
        )
    return "no trial was decided within the budget."


def _notes(search: Search, bounds: Bounds, *, monotonic: bool) -> list[str]:
    notes = []
    if not monotonic:
        notes.append(
            "The results are not monotonic: the objective broke twice at a load and held at one far above it. "
            "What is told is the capacity below the lowest load that broke."
        )
    if (
        bounds.low
        and bounds.high
        and search.end == "budget"
        and relative_width(bounds.low, bounds.high) > search.settings.width
    ):
        notes.append("The budget ended before the interval was as narrow as asked for; more time makes it narrower.")
    if any(trial.growing for trial in search.trials):
        notes.append("A load at which the backlog kept growing counts as failed, though its percentiles may have held.")
    return notes


def _between(bounds: Bounds) -> str:
    if bounds.low is None:
        return f"less than {per_s(bounds.high or 0.0)}"
    return (
        f"at least {per_s(bounds.low)}" if bounds.high is None else f"{four_digits(bounds.low)} to {per_s(bounds.high)}"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(names) if names else "the objective"
