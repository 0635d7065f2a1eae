"""What the trials so far say of the load at which the objective breaks: a distribution, not a point.

What is believed. θ is the load at which half of all trials break: the capacity. A posterior is a probability for each
of some loads, evenly spaced in the logarithm, because errors of a load are relative. It is computed anew from all
trials whenever the search asks, so that the order of trials does not matter and nothing is counted twice.

                 overloaded trials ──▶ rate sustained ──▶ prior of θ ┐
    trials ──┤                                                       ├─▶ × ──▶ posterior ──▶ interval, next load
                 which passed, which failed ──▶ likelihood of θ ─────┘

The likelihood. A trial at load x with n arrivals breaks the objective with probability Φ((log x - log θ) / s), where Φ
is the normal distribution and s = f·√(2/n): arrivals and services that come at random move a queue by √(2n) in a trial.
Its terms, each a field of `Model`:

- *spread*: the factor f is about 1 for a queue with random services and near 0 for a machine that does the same each
  time. It is unknown and summed out on a grid, so contradictory trials at one load widen the answer and break nothing.
- *effect*: services that vary more than at random, and pauses, move a queue further than arrivals do: where the busy
  target's answers have an index of dispersion D above 1, an arrival is worth 2 / (1 + D) of one (the mean of those of
  arrivals and of services, as in heavy traffic).
- *leaning*: a trial that its confidence bounds leave undecided counts by the side of its point value; most such trials
  are undecided because they are short, not because the load is near the limit, and nothing more is read from them.
- *lapse*: one trial in a hundred has another cause (a pause of the machine, a target that was about to scale up), so
  that none alone excludes anything.
- *shift*: all trials together are off by something that repeating does not average out and only length does: a queue
  that begins empty makes a load look better. The likelihood is blurred by that much.
- *lean*: a percentile is made by rare long queues; a trial that saw none passes where a longer one does not, so that
  blur lies to one side where the objective has a percentile.

The prior. A target that is asked for more than it can do is busy all the time, and what it then gets done a second is
its capacity in the sense of C·μ. That is far more precise than whether a trial passed: n answers of a busy target have
a relative spread of √(D/n), where D is the index of dispersion of the answers a second (Cox and Lewis, "The statistical
analysis of series of events", 1966, ch. 4): 1 for exponential service times, 0 for constant ones. D is pooled over the
trials. θ lies a gap below that rate.

- *overload*: whether any of this is used.
- *queues*: for a queue in heavy traffic the gap is known up to a factor of two (`expected_gap`); other targets have any
  gap, so the prior is a mixture of both. Without the others the search is sure of a bound that no trial has passed.
- *misleading*: overloaded trials may say nothing of θ, because the target is no queue, or does less the more it is
  overloaded; passes at higher loads then overrule them.
- *collapsed*: each overloaded trial may be one that got less done, so that a single such trial pulls neither θ down nor
  the rate that is reported as sustained.
- *shedding*: where a queue has an end, the share that is shed there also has to be small, which sets a gap of its own.

What was tried and bought nothing: counting the arrivals that there were in place of the rate, a wider spread for
trials of few arrivals, a floor under the spread.

What it cannot know. That a target is no queue (a quota, a cache that thrashes, a lock): there the gap says nothing and
passes and failures alone carry the answer. That capacity changes while the search goes on. That the objective holds
again far above a load at which it broke: `result.contradicts` notices. The numbers in `Model` are chosen, not
estimated, from simulated targets: what each term buys there is measured by leaving it out, and docs/capacity.md has
the table (`make bench BENCH_ONLY=capacity_simulated`).

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

from convload.results.capacity_result import Overloaded, Trial

Floats = npt.NDArray[np.float64]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of the model, as the page above explains them; a term that is left out is False or 0.

    `shift` and `lean` are multiples of the spread of the longest trial.
    """

    spread: bool = True
    leaning: bool = True
    lapse: float = 0.01
    shift: float = 1.0
    lean: float = 1.0
    overload: bool = True
    queues: float = 0.8
    misleading: float = 0.1
    collapsed: float = 0.2
    shedding: bool = True
    effect: bool = True


class Tail(msgspec.Struct, frozen=True):
    """What an objective asks of the responses: how fast the share of those that take longer must fall with time.

    `decay_per_s` is ln(1 / share) / limit of the strictest percentile, 0 without one; `arrivals_dispersion` is 1 for
    Poisson arrivals and 0 for even ones.
    """

    decay_per_s: float = 0.0
    arrivals_dispersion: float = 1.0


_FACTORS: Floats = np.geomspace(0.05, 10, 18)
_FACTORS_PRIOR: Floats = -0.5 * (np.log(_FACTORS) / np.where(_FACTORS < 1, math.log(4), math.log(2))) ** 2
_POINTS = 161
_ZOOMS = 3
_NEGLIGIBLE = 1e-5
_TINY = np.finfo(float).tiny

_COUNTED_SHARE = 0.8
"""Of a trial: the rest settles."""

_PRIOR_SECONDS = 4.0
"""So many seconds with the dispersion of exponential service times stand before all that was seen."""

_FLOOR = 0.003
"""No rate is known better, relative: a trial's edges cut through answers, and seconds are not exact."""

_DEEP = 0.3
"""How much less a collapsing target does, as a mean logarithm."""

_WITHIN = math.log(2)
"""How well the gap of a queue is known: a factor of 2."""

_LEAST_GAP, _MOST_GAP = 0.002, 2.0
_MOST_EXPECTED = 0.2
"""Heavy traffic is near the limit; a gap that comes out larger than this is none of its."""

_SUSTAINED_POINTS = 401
_REACH = 4.0


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

    def interval(self, confidence: float) -> tuple[float, float]:
        """Returns the central interval of that probability."""
        return self.quantile((1 - confidence) / 2), self.quantile((1 + confidence) / 2)


_NO_TAIL, _WHOLE = Tail(), Model()


def posterior(
    trials: Sequence[Trial], lowest: float, highest: float, tail: Tail = _NO_TAIL, model: Model = _WHOLE
) -> Posterior:
    """Returns what the trials say of a load that lies between.

    Trials without a side are left out: limited by the generator, or undecided without a strain.
    """
    decided = [trial for trial in trials if trial.side and (model.leaning or trial.verdict != "undecided")]
    before = partial(prior, sustained(decided, model), tail, math.log(highest / lowest), model=model)
    logs: Floats = np.linspace(math.log(lowest), math.log(highest), _POINTS)
    for _ in range(_ZOOMS):
        weights = _weights(decided, logs, before(logs), tail, model)
        likely = np.flatnonzero(weights > _NEGLIGIBLE * weights.max())
        step = logs[1] - logs[0]
        logs = np.linspace(max(logs[0], logs[likely[0]] - step), min(logs[-1], logs[likely[-1]] + step), _POINTS)
    return Posterior(np.exp(logs).tolist(), _weights(decided, logs, before(logs), tail, model).tolist())


def _weights(trials: Sequence[Trial], logs: Floats, before: Floats, tail: Tail, model: Model) -> Floats:
    """Returns the probability of each load."""
    lean = model.lean if tail.decay_per_s else 0.0
    weights = _blurred(logs, _joint(trials, logs, model), trials, lean, model) * before
    return np.asarray(weights / weights.sum())


def _factors(model: Model) -> tuple[Floats, Floats]:
    return (_FACTORS, _FACTORS_PRIOR) if model.spread else (np.ones(1), np.zeros(1))


def _joint(trials: Sequence[Trial], logs: Floats, model: Model) -> Floats:
    """Returns the likelihood of each load with each factor of the spread."""
    factors, factors_prior = _factors(model)
    total = np.tile(factors_prior, (len(logs), 1))
    effect = _effect(trials, model)
    for trial in trials:
        noise = factors * _spread(_arrivals(trial) / effect)
        breaks = ndtr((math.log(trial.rate) - logs[:, None]) / noise[None, :])
        likely = breaks if trial.side == "fail" else 1 - breaks
        total += np.log(model.lapse / 2 + (1 - model.lapse) * likely + _TINY)
    chances: Floats = np.exp(total - total.max())
    return np.asarray(chances / chances.sum())


def _blurred(logs: Floats, joint: Floats, trials: Sequence[Trial], lean: float, model: Model) -> Floats:
    """Returns the likelihood of each load, with what all trials may be off in common."""
    if not trials:
        return np.asarray(joint.sum(axis=1))
    common = _spread(max(_arrivals(trial) for trial in trials) / _effect(trials, model))
    # Loads are evenly spaced, so a kernel depends on the distance alone.
    step = logs[1] - logs[0]
    apart = step * np.arange(1 - len(logs), len(logs))
    mixed = np.zeros(len(logs))
    for factor, weights in zip(_factors(model)[0], joint.T, strict=True):
        spread = model.shift * factor * common or step / 2
        kernel = np.exp(-0.5 * ((apart + lean * factor * common) / spread) ** 2)
        within = np.convolve(kernel, np.ones(len(logs)), "valid")[::-1]
        mixed += np.convolve(kernel, weights / np.maximum(within, _TINY), "valid")
    return mixed


def _spread(arrivals: float) -> float:
    return math.sqrt(2 / arrivals)


def _effect(trials: Sequence[Trial], model: Model) -> float:
    """Returns how many arrivals of a trial count as one."""
    seen = [trial.overloaded for trial in trials if trial.overloaded and trial.verdict == "fail"]
    return max(1.0, (1 + pooled_dispersion(seen)) / 2) if seen and model.effect else 1.0


def _arrivals(trial: Trial) -> float:
    return _COUNTED_SHARE * trial.rate * trial.duration_s


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


def sustained(trials: Sequence[Trial], model: Model = _WHOLE) -> Sustained | None:
    """Returns what the failed trials among these say of the rate that is sustained; None where they say nothing."""
    seen = [trial.overloaded for trial in trials if trial.overloaded and trial.verdict == "fail"]
    if not seen or not model.overload:
        return None
    rates, dispersion = np.log([one.per_s for one in seen]), pooled_dispersion(seen)
    spreads = np.hypot([math.sqrt(dispersion / (one.per_s * one.seconds)) for one in seen], _FLOOR)
    reach = _REACH * spreads.max()
    logs: Floats = np.linspace(rates.min() - reach, rates.max() + reach, _SUSTAINED_POINTS)
    pairs = zip(rates, spreads, strict=True)
    total = sum(np.log(_likelihood(logs - rate, spread, model.collapsed)) for rate, spread in pairs)
    weights = np.exp(total - np.max(total))
    decay_per_s = max(one.decay_per_s for one in seen) if model.shedding else 0.0
    return Sustained(logs.tolist(), (weights / weights.sum()).tolist(), dispersion, decay_per_s)


def pooled_dispersion(seen: Sequence[Overloaded]) -> float:
    """Returns the index of dispersion of the answers of all, with a little belief in that of random services."""
    seconds = sum(one.seconds for one in seen)
    return (sum(one.seconds * one.dispersion for one in seen) + _PRIOR_SECONDS) / (seconds + _PRIOR_SECONDS)


def _likelihood(above: Floats, spread: float, collapsed: float) -> Floats:
    """Returns how likely a trial is for rates so far above what it got done, as logarithms."""
    fair = np.exp(-0.5 * (above / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
    less = np.where(above > 0, np.exp(-np.maximum(above, 0) / _DEEP) / _DEEP, 0.0)
    return np.asarray((1 - collapsed) * fair + collapsed * less + _TINY)


def prior(known: Sustained | None, tail: Tail, log_range: float, logs: Floats, model: Model = _WHOLE) -> Floats:
    """Returns how probable each of some loads is before it is asked which trials passed.

    `logs` are evenly spaced logarithms; `log_range` is the range of loads within which each is as probable as any other
    where nothing is known.
    """
    step = logs[1] - logs[0]
    nothing_known = np.full(len(logs), step / log_range)
    if known is None:
        return nothing_known
    edges = np.concatenate([logs - step / 2, [logs[-1] + step / 2]])
    gaps = np.maximum(np.array(known.logs)[None, :] - edges[:, None], 1e-9)
    of_queues = ndtr(-np.log(gaps / (expected_gap(known, tail) + _LEAST_GAP)) / _WITHIN)
    larger = model.queues * of_queues + (1 - model.queues) * _of_any_size(gaps)
    informed = np.diff(larger @ np.array(known.weights))
    return np.asarray(model.misleading * nothing_known + (1 - model.misleading) * informed) + _TINY


def _of_any_size(gaps: Floats) -> Floats:
    """Returns the share of gaps that are larger than these, where not even the order of magnitude is known."""
    within = np.clip(gaps, _LEAST_GAP, _MOST_GAP)
    return np.asarray(1 - np.log(within / _LEAST_GAP) / math.log(_MOST_GAP / _LEAST_GAP))


def expected_gap(known: Sustained, tail: Tail) -> float:
    """Returns how far below what is sustained a queue keeps the objective, relative.

    In heavy traffic the tail of the waiting time is exponential and falls with 2 (C - load) / (c_a² + c_s²) a second
    (Kingman, "The single server queue in heavy traffic", 1961); the objective says how fast it has to fall.
    """
    variability = (tail.arrivals_dispersion + known.dispersion) / 2
    return min(_MOST_EXPECTED, max(tail.decay_per_s, known.decay_per_s) * variability / known.per_s)
