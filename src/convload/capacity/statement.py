"""What a search found, in sentences."""

from collections.abc import Sequence

from convload.capacity.overload import Shortfall
from convload.capacity.search import Search, relative_width
from convload.capacity.trials import four_digits, per_s
from convload.results.capacity_result import Bounds, Broke, Change, Trial
from convload.results.histogram import short


def statement(
    search: Search, bounds: Bounds, first: Broke | None, change: Change | None, shortfall: Shortfall | None = None
) -> str:
    """Returns the answer in one sentence."""
    broke = f"{_listed(first.objectives)} broke first, at {per_s(first.rate)}" if first else "nothing broke"
    sure = f"{100 * search.settings.confidence:g} %"
    varied = change if change is not None and change.kind != "rose" else None
    if (varied or shortfall) and bounds.low and bounds.high and search.end != "broken":
        return _varies(bounds, varied, shortfall)
    if search.end == "broken":
        known = f"; until then: {_between(bounds)}" if bounds.low or bounds.high else ""
        last = search.trials[-1].rate
        return (
            f"The target did not get back to normal within {search.settings.cool_down_s:g} s after the trial at "
            f"{per_s(last)}, so the search stopped to do no further harm{known}."
        )
    if search.end == "floor":
        return f"No rate from {per_s(search.settings.min_rate)} up meets the objective: {broke}."
    if bounds.high is None:
        return _at_least(search, bounds)
    if bounds.low is None:
        return f"The capacity is below {per_s(bounds.high)} ({broke}); no load that passes was found in the budget."
    width = 100 * relative_width(bounds.low, bounds.high)
    since = f" since {_at(change.from_s)}" if change is not None and change.from_s is not None else ""
    return f"The target carries {_between(bounds)}{since} ({sure} sure, {short(width, 2)} % wide); {broke}."


def _varies(bounds: Bounds, change: Change | None, shortfall: Shortfall | None) -> str:
    said = [_of_rates(change)] if change else []
    said += [shortfall.text] if shortfall else []
    return (
        f"The target carries between {per_s(bounds.low or 0.0)} (at its worst) and {per_s(bounds.high or 0.0)} (at its "
        f"best), not the same all the time: {'; '.join(said)}."
    )


def _of_rates(change: Change) -> str:
    rates = " and ".join([", ".join(map(four_digits, change.rates[:-1])), per_s(change.rates[-1])])
    times = " and ".join([", ".join(f"{at_s:.0f}" for at_s in change.at_s[:-1]), _at(change.at_s[-1])])
    less = ", less and less" if change.kind == "fell" else ""
    return f"offered more than it can do it got {rates} done, at {times}{less}"


def _at(at_s: float) -> str:
    return f"{at_s:.0f} s"


def _at_least(search: Search, bounds: Bounds) -> str:
    if bounds.low is None:
        return "The search says nothing of the target: " + _no_answer(search)
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


def notes(
    search: Search, trials: Sequence[Trial], bounds: Bounds, change: Change | None, *, monotonic: bool
) -> list[str]:
    """Returns what has to be known beside the answer."""
    found = []
    if not monotonic:
        found.append(
            "The results are not monotonic: the objective broke twice at a load and held at one far above it. "
            "What is told is the capacity below the lowest load that broke."
        )
    if change is not None:
        found.append(_of_change(change))
    found += [_of_overruled(trials)] if any(trial.overruled for trial in trials) else []
    if _is_wider(search, bounds) and (change is None or change.kind == "rose"):
        found.append("The budget ended before the interval was as narrow as asked for; more time makes it narrower.")
    if any(trial.growing for trial in search.trials):
        found.append("A load at which the backlog kept growing counts as failed, though its percentiles may have held.")
    if trials:
        longest = max(trial.duration_s for trial in trials)
        found.append(f"The longest trial took {longest:.0f} s: what the target does at a slower pace was not seen.")
    return found


def _is_wider(search: Search, bounds: Bounds) -> bool:
    if not (bounds.low and bounds.high) or search.end != "budget":
        return False
    return relative_width(bounds.low, bounds.high) > search.settings.width


def _of_change(change: Change) -> str:
    chance = "less than one in a million" if change.chance < 1e-6 else f"{change.chance:.1g}"  # noqa: PLR2004 -- as said
    said = f"Rates so far apart come from one capacity with a chance of {chance}."
    if change.kind == "rose":
        since = f"The target scaled up during the search, at {_at(change.from_s or 0.0)}"
        return f"{since}: what failed before is not counted. {said}"
    return f"{said} Its worst and its best are those that were seen; a longer search may see others."


def _of_overruled(trials: Sequence[Trial]) -> str:
    gone = [trial for trial in trials if trial.overruled]
    where = ", ".join(f"{per_s(trial.rate)} at {_at(trial.at_s)}" for trial in gone)
    return f"Overruled by later trials: the objective broke at {where}. So looks a target that warms up: --warm-target."


def _between(bounds: Bounds) -> str:
    if bounds.low is None:
        return f"less than {per_s(bounds.high or 0.0)}"
    return (
        f"at least {per_s(bounds.low)}" if bounds.high is None else f"{four_digits(bounds.low)} to {per_s(bounds.high)}"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(names) if names else "the objective"
