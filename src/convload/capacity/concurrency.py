"""The closed search: the number of users at which throughput stops growing."""

import math
from collections.abc import Callable, Sequence

from convload.capacity.law import fit
from convload.capacity.trials import Clock, End, Measurer, SearchSettings, Trials, between, check, further, per_s
from convload.results.capacity_result import Limit, Point, Saturation, Trial

GROWS = 0.05
"""Throughput that is within this share of the highest counts as not growing any more."""

_FLAT_DOUBLINGS = 2
_Z = 1.96


def search_concurrency(
    measurer: Measurer, settings: SearchSettings, clock: Clock, on_trial: Callable[[Trial], None] = lambda _: None
) -> Saturation:
    """Doubles the users until throughput stops growing twice in a row, then narrows where it came near its highest.

    Rates of the settings are users here. Failed gates do not end it: throughput is what is asked for.

    Raises:
        UsageError: the settings allow no search.
    """
    check(settings)
    trials = Trials(measurer, settings, clock, on_trial)
    users: float | None = max(1, round(settings.start_rate))
    ended: End | None = None
    while not ended and not _flat(trials.made) and users is not None:
        ended = trials.make(users, settings.first_s) or _by_generator(trials)
        users = further(users, settings.min_rate, settings.max_rate, down=False)
    while not ended and (following := _between(trials.made, settings.width)):
        ended = trials.make(following, settings.final_s) or _by_generator(trials)
    return _saturation(trials.made, ended)


def _by_generator(trials: Trials) -> End | None:
    return "generator" if trials.made[-1].verdict == "generator" else None


def throughputs(trials: Sequence[Trial]) -> dict[int, tuple[float, float]]:
    """Returns conversations a second and their standard error by users, all trials of a number added up."""
    sums: dict[int, tuple[float, float]] = {}
    for trial in trials:
        if trial.verdict != "generator" and trial.goodput_per_s is not None:
            done, took_s = sums.get(round(trial.rate), (0.0, 0.0))
            sums[round(trial.rate)] = (done + trial.goodput_per_s * trial.duration_s, took_s + trial.duration_s)
    return {n: (done / took_s, math.sqrt(max(done, 1.0)) / took_s) for n, (done, took_s) in sorted(sums.items())}


def _flat(trials: Sequence[Trial]) -> bool:
    """Says whether the last doublings raised throughput by no more than a little, or than chance does."""
    rates = list(throughputs(trials).values())
    if len(rates) <= _FLAT_DOUBLINGS:
        return False
    before, error = max(rates[:-_FLAT_DOUBLINGS])
    after, after_error = max(rates[-_FLAT_DOUBLINGS:])
    return after <= before * (1 + GROWS) + _Z * math.hypot(error, after_error)


def _bounds(trials: Sequence[Trial]) -> tuple[int | None, int | None]:
    """Returns the most users that are surely short of the highest throughput, and the fewest that may not be."""
    found = throughputs(trials)
    if not found:
        return None, None
    best, best_error = max(found.values())
    wanted = best * (1 - GROWS)
    reached = [n for n, (rate, _) in found.items() if rate >= wanted]
    short = [
        n
        for n, (rate, error) in found.items()
        if n < reached[0] and rate + _Z * error < wanted - _Z * best_error * (1 - GROWS)
    ]
    return (max(short) if short else None), reached[0]


def _between(trials: Sequence[Trial], width: float) -> int | None:
    low, high = _bounds(trials)
    if low is None or high is None or high - low <= max(1.0, width * high):
        return None
    middle = round(between(low, high))
    measured = sum(round(trial.rate) == middle for trial in trials)
    return middle if low < middle < high and measured < _FLAT_DOUBLINGS else None


def _saturation(trials: list[Trial], ended: End | None) -> Saturation:
    low, high = _bounds(trials)
    found = throughputs(trials)
    best = max((rate for rate, _ in found.values()), default=None)
    limited: Limit = "target"
    if best == 0:
        low, high = None, None
    elif not _flat(trials):
        limited = "generator" if ended == "generator" else "budget" if ended else "bound"
        low, high = max(found, default=None), None
    usl = fit([Point(n, rate) for n, (rate, _) in found.items()], best if limited == "target" else None)
    return Saturation(
        low_users=low,
        high_users=high,
        highest_per_s=best,
        limited_by=limited,
        trials=trials,
        usl=usl,
        text=_text(low, high, best, limited, len(found)),
    )


def _text(low: int | None, high: int | None, best: float | None, limited: str, numbers: int) -> str:
    if best is None:
        return "No trial measured a throughput."
    if best == 0:
        return "No create succeeded with any number of users."
    if high is None:
        why = {"generator": "generator-bound", "budget": "the budget ended", "bound": "the highest number asked for"}[
            limited
        ]
        if numbers == 1:
            return f"Throughput at {low:,} user{'s' * (low != 1)} is {per_s(best)}; no more were tried: {why}."
        return f"Throughput still grew at {low:,} users ({per_s(best)}): {why}."
    between = f"between {low + 1:,} and {high:,}" if low is not None and low + 1 < high else f"at {high:,}"
    return f"Throughput stops growing {between} users; it comes to {per_s(best)} at most."
