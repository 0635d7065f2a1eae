"""What the trials so far say of the load at which the objective breaks: a distribution, not a point.

A trial at load x with n arrivals breaks the objective with probability Φ((log x - log θ) / s), where Φ is the normal
distribution. θ is the load sought: there half of all trials break, which is also what the exceed ratio of MLRsearch
(draft-ietf-bmwg-mlrsearch) asks by default. The spread is s = f·√(2/n)·(1 + 300/n): arrivals and services that come at
random move a queue by √(2n) in a trial, and fewer than some 300 arrivals settle nothing and hold no p99; x counts the
arrivals that there were, which takes their half of the chance out of it. The factor f
is about 1 for a queue with random services and near 0 for a machine that does the same each time; it is unknown and
summed out on a grid, so contradictory trials at one load widen the answer instead of breaking it. One trial in a
hundred is taken to have another cause (a pause of the machine), so that none alone excludes anything.

A trial that its confidence bounds leave undecided counts by the side of its point value; most such trials are undecided
because they are short, not because the load is near the limit, and nothing more is read from them.

The method is that of Bayesian adaptive threshold measurement: Watson and Pelli, "QUEST: a Bayesian adaptive
psychometric method", Perception & Psychophysics 33 (1983); Kontsevich and Tyler, "Bayesian adaptive estimation of
psychometric slope and threshold", Vision Research 39 (1999).
"""

import math
from collections.abc import Sequence
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from convload.capacity.sustained import prior, sustained
from convload.capacity.trials import Tail
from convload.results.capacity_result import Trial

Floats = npt.NDArray[np.float64]

LAPSE = 0.01
"""The share of trials that say nothing."""

FINEST = 0.004
"""No trial tells loads apart better than this, relative: growth of a backlog and rates of a generator have limits."""

SETTLING = 300
"""Arrivals that a trial needs to say much: from 299 on a p99 is more than another name for the maximum."""

SHIFT = 1.0
"""How far all trials together may be off, as a multiple of their spread: what a queue that is not settled makes a load
look better, and what a backlog must grow by to be told from chance, both shrink like that. Repeating a trial does not
help; only a longer one does. Found by simulation: bench/capacity.py."""

LEAN = 1.0
"""How far a percentile is off to one side, as such a multiple: it is made by rare long queues, and a trial that has
seen none passes at a load at which a longer one does not."""

SETTLED_SHARE = 0.8
"""Of a trial is counted."""

_FACTORS: Floats = np.geomspace(0.05, 10, 18)
_PRIOR: Floats = -0.5 * (np.log(_FACTORS) / np.where(_FACTORS < 1, math.log(4), math.log(2))) ** 2
_POINTS = 161
_ZOOMS = 3
_NO_TAIL = Tail()
_NEGLIGIBLE = 1e-5


class Posterior(msgspec.Struct, frozen=True):
    """Loads in rising order, evenly spaced in the logarithm, and the probability that each is the one sought."""

    loads: list[float]
    weights: list[float]

    def quantile(self, share: float) -> float:
        """Returns the load below which `share` of the probability lies."""
        below = np.concatenate([[0.0], np.cumsum(self.weights)])
        half = 0.5 * math.log(self.loads[1] / self.loads[0])
        edges = np.concatenate([np.log(self.loads) - half, [math.log(self.loads[-1]) + half]])
        return float(np.exp(np.interp(share, below, edges)))

    def above(self, load: float) -> float:
        """Returns the probability that the load sought is higher than this one."""
        return float(np.sum(np.array(self.weights)[np.array(self.loads) > load]))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Returns the central interval of that probability."""
        return self.quantile((1 - confidence) / 2), self.quantile((1 + confidence) / 2)


def posterior(trials: Sequence[Trial], lowest: float, highest: float, tail: Tail = _NO_TAIL) -> Posterior:
    """Returns what the trials say of a load that lies between, with what overloaded ones say of the rate sustained.

    Trials without a side are left out: limited by the generator, or undecided without a strain.
    """
    telling = [trial for trial in trials if trial.side]
    before = partial(prior, sustained(telling), tail, math.log(highest / lowest))
    lean = LEAN if tail.decay_per_s else 0.0
    logs: Floats = np.linspace(math.log(lowest), math.log(highest), _POINTS)
    for _ in range(_ZOOMS):
        weights = _weights(telling, logs, before(logs), lean)
        likely = np.flatnonzero(weights > _NEGLIGIBLE * weights.max())
        step = logs[1] - logs[0]
        logs = np.linspace(max(logs[0], logs[likely[0]] - step), min(logs[-1], logs[likely[-1]] + step), _POINTS)
    return Posterior(np.exp(logs).tolist(), _weights(telling, logs, before(logs), lean).tolist())


def _weights(trials: Sequence[Trial], logs: Floats, before: Floats, lean: float) -> Floats:
    """Returns the probability of each load."""
    weights = _blurred(logs, _joint(trials, logs), trials, lean) * before
    return np.asarray(weights / weights.sum())


def _joint(trials: Sequence[Trial], logs: Floats) -> Floats:
    """Returns the likelihood of each load with each factor of the spread."""
    total = np.tile(_PRIOR, (len(logs), 1))
    for trial in trials:
        arrivals = _arrivals(trial)
        noise = _FACTORS * math.sqrt(2 / arrivals) * (1 + SETTLING / arrivals)
        breaks = ndtr((math.log(trial.load) - logs[:, None]) / np.hypot(noise, FINEST)[None, :])
        total += np.log(LAPSE / 2 + (1 - LAPSE) * (breaks if trial.side == "fail" else 1 - breaks))
    chances: Floats = np.exp(total - total.max())
    return np.asarray(chances / chances.sum())


def _blurred(logs: Floats, joint: Floats, trials: Sequence[Trial], lean: float) -> Floats:
    """Returns the likelihood of each load, with what all trials may be off in common."""
    if not trials:
        return np.asarray(joint.sum(axis=1))
    arrivals = max(_arrivals(trial) for trial in trials)
    common = math.sqrt(2 / arrivals) * (1 + SETTLING / arrivals)
    apart = logs[:, None] - logs[None, :]
    mixed = np.zeros(len(logs))
    for factor, weights in zip(_FACTORS, joint.T, strict=True):
        spread = math.hypot(SHIFT * factor * common, FINEST / 2)
        kernel = np.exp(-0.5 * ((apart + lean * factor * common) / spread) ** 2)
        mixed += (kernel / kernel.sum(axis=0)) @ weights
    return mixed


def _arrivals(trial: Trial) -> float:
    return SETTLED_SHARE * trial.rate * trial.duration_s
