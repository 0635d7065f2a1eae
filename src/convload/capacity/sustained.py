"""What overloaded trials say: the rate that a target sustains, above which no load can be held.

A target that is asked for more than it can do is busy all the time, and what it then gets done a second is its capacity
in the sense of C·μ. That is far more precise than whether a trial passed: n answers of a busy target have a relative
spread of √(D/n), where D is the index of dispersion of the answers a second (Cox and Lewis, "The statistical analysis
of series of events", 1966, ch. 4): 1 for exponential service times, 0 for constant ones. D is pooled over the trials.

The load sought lies a gap below that rate. For a queue in heavy traffic it is known up to some factor (`expected_gap`);
other targets have any gap, so the prior is a mixture of both. A target that does less the more it is overloaded shows
less than it can sustain: each trial may be such a one, and all of them together may mislead, so that passes at higher
loads overrule them. The shares and factors below are guesses of how often that is so; what follows from them for
coverage and width is found by simulation: bench/capacity.py.
"""

import math
import statistics
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from convload.capacity.trials import Tail
from convload.results.capacity_result import Overloaded, Trial

Floats = npt.NDArray[np.float64]

CLEARLY = 1.05
"""A trial tells what a target sustains where it was offered this many times as much."""

_FEWEST_SECONDS = 2
_PRIOR_SECONDS = 4.0
"""So many seconds with the dispersion of exponential service times stand before all that was seen."""

_FLOOR = 0.003
"""Nothing is known better, relative: a trial's edges cut through answers, and seconds are not exact."""

_COLLAPSED, _DEEP = 0.2, 0.3
"""The share of overloaded trials in which a target does less than it could, and how much less, as a mean logarithm."""

_MISLEADING = 0.1
"""The chance that no overloaded trial says what the target sustains."""

_QUEUES, _WITHIN = 0.8, math.log(2)
"""The share of targets that are like a queue in heavy traffic, and how well the gap is then known: a factor of 2."""

_LEAST_GAP, _MOST_GAP = 0.002, 2.0
_MOST_EXPECTED = 0.2
"""Heavy traffic is near the limit; a gap that comes out larger than this is none of its."""

_POINTS = 401
_REACH = 4.0


class Sustained(msgspec.Struct, frozen=True):
    """Rates that a target may sustain, as evenly spaced logarithms, and the probability of each.

    `dispersion` is that of its answers; `decay_per_s` as in `Overloaded`.
    """

    logs: list[float]
    weights: list[float]
    dispersion: float
    decay_per_s: float

    @property
    def per_s(self) -> float:
        """The mean of the distribution."""
        return math.exp(float(np.dot(self.logs, self.weights)))

    @property
    def spread(self) -> float:
        """The standard deviation of the logarithm."""
        logs, weights = np.array(self.logs), np.array(self.weights)
        return float(np.sqrt(np.dot(weights, (logs - np.dot(logs, weights)) ** 2)))


def overloaded(
    by_second: Sequence[float], offered_per_s: float, allowed_share: float, failed_share: float, response_s: float
) -> Overloaded | None:
    """Returns what an overloaded target got done; None where it was not clearly overloaded.

    `by_second` are the good answers of each settled second, `allowed_share` is the share of failures that the objective
    allows, `failed_share` what there was, and `response_s` the median response of the good ones.
    """
    if len(by_second) < _FEWEST_SECONDS:
        return None
    mean = statistics.fmean(by_second)
    sheds = failed_share > allowed_share > 0 and response_s > 0
    per_s = mean / (1 - allowed_share) if sheds else mean
    if not mean or offered_per_s < CLEARLY * per_s:
        return None
    return Overloaded(
        per_s=per_s,
        dispersion=statistics.variance(by_second) / mean,
        seconds=len(by_second),
        decay_per_s=math.log(1 / allowed_share) / response_s if sheds else 0.0,
    )


def sustained(trials: Sequence[Trial]) -> Sustained | None:
    """Returns what the failed trials among these say of the rate that is sustained; None where they say nothing."""
    seen = [trial.overloaded for trial in trials if trial.overloaded and trial.verdict == "fail"]
    if not seen:
        return None
    rates, dispersion = np.log([one.per_s for one in seen]), _pooled_dispersion(seen)
    spreads = np.hypot([math.sqrt(dispersion / (one.per_s * one.seconds)) for one in seen], _FLOOR)
    reach = _REACH * spreads.max()
    logs: Floats = np.linspace(rates.min() - reach, rates.max() + reach, _POINTS)
    total = sum(np.log(_likelihood(logs - rate, spread)) for rate, spread in zip(rates, spreads, strict=True))
    weights = np.exp(total - np.max(total))
    decay_per_s = max(one.decay_per_s for one in seen)
    return Sustained(logs.tolist(), (weights / weights.sum()).tolist(), dispersion, decay_per_s)


def _pooled_dispersion(seen: Sequence[Overloaded]) -> float:
    seconds = sum(one.seconds for one in seen)
    return (sum(one.seconds * one.dispersion for one in seen) + _PRIOR_SECONDS) / (seconds + _PRIOR_SECONDS)


def _likelihood(above: Floats, spread: float) -> Floats:
    """Returns how likely a trial is for rates so far above what it got done, as logarithms."""
    fair = np.exp(-0.5 * (above / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
    less = np.where(above > 0, np.exp(-np.maximum(above, 0) / _DEEP) / _DEEP, 0.0)
    return np.asarray((1 - _COLLAPSED) * fair + _COLLAPSED * less + np.finfo(float).tiny)


def prior(told: Sustained | None, tail: Tail, log_range: float, logs: Floats) -> Floats:
    """Returns how probable each of some loads is before it is asked which trials passed.

    `logs` are evenly spaced logarithms; `log_range` is the range of loads within which each is as probable as any other
    where nothing is known.
    """
    step = logs[1] - logs[0]
    known_nothing = np.full(len(logs), step / log_range)
    if told is None:
        return known_nothing
    edges = np.concatenate([logs - step / 2, [logs[-1] + step / 2]])
    gaps = np.maximum(np.array(told.logs)[None, :] - edges[:, None], 1e-9)
    of_queues = ndtr(-np.log(gaps / (expected_gap(told, tail) + _LEAST_GAP)) / _WITHIN)
    larger = _QUEUES * of_queues + (1 - _QUEUES) * _of_others(gaps)
    informed = np.diff(larger @ np.array(told.weights))
    return np.asarray(_MISLEADING * known_nothing + (1 - _MISLEADING) * informed)


def _of_others(gaps: Floats) -> Floats:
    """Returns the share of gaps that are larger than these, where not even the order of magnitude is known."""
    within = np.clip(gaps, _LEAST_GAP, _MOST_GAP)
    return np.asarray(1 - np.log(within / _LEAST_GAP) / math.log(_MOST_GAP / _LEAST_GAP))


def expected_gap(told: Sustained, tail: Tail) -> float:
    """Returns how far below what is sustained a queue keeps the objective, relative.

    In heavy traffic the tail of the waiting time is exponential and falls with 2 (C - load) / (c_a² + c_s²) a second
    (Kingman, "The single server queue in heavy traffic", 1961); the objective says how fast it has to fall.
    """
    variability = (tail.arrivals_dispersion + told.dispersion) / 2
    return min(_MOST_EXPECTED, max(tail.decay_per_s, told.decay_per_s) * variability / told.per_s)
