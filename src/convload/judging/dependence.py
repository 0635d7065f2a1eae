"""How many independent requests the requests of a run are worth.

Requests of one run are not independent: whoever waits behind a slow request is slow too, a pause delays all that are
due in it, errors come in bursts. At a target that is 90 % busy 30,000 requests are worth 150. Bounds for a share of
requests (those above a limit, those that failed) hold all the same when the sample counts as what it is worth:

    D_j = Σ (x_t − s·n_t) over the seconds t of batch j      n_t requests, x_t of them hits, s = Σx / Σn
    effect = b/(b − k) · Σ D_j² / (N·s·(1 − s))              the design effect: by what the variance is larger
    n* = N / max(1, effects) · (z_c / t_{b−1,c})²            the t for having estimated it from b batches

and the bounds of Clopper and Pearson are taken for n*·s of n* (Korn and Graubard, "Confidence intervals for proportions
with small expected number of positive counts estimated from survey data", Survey Methodology 24, 1998; batch means:
Asmussen and Glynn, "Stochastic Simulation", 2007, ch. IV). Where stages differ by plan each is a stratum with a share s
of its own, k of them.

**The largest effect counts**, of those at the limit, at the run's own percentile, its p90, p75 and p50: a run that
was lucky has no request above the limit whose company could be seen, but the middle of its distribution shows that
requests wait for each other. With the effect at the limit alone a p99 passes wrongly in 20 % of runs, whatever
estimates the variance.

**Longer runs have more batches**, of 15 s, and an effect that is corrected for their end: each is cut into three
pieces, and where pieces show less of an effect than batches do, batches show less than longer ones would. What batches
show more is added 1.5-fold. (Where requests forget each other within τ seconds an effect of batches of B seconds is too
small by its share τ/B, a half of that: Vats and Flegal, "Lugsail lag windows", Biometrika 109, 2022. Three times as
much is what lucky runs need.)

What cannot be known from a run is what is rarer than the run: it says nothing of a pause that comes once an hour. And a
run shorter than `SHORTEST_S` has batches too short to be independent of each other: there all requests of `PLAUSIBLE_S`
count as one, which is what they were found to be worth at a target that is 95 % busy.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import msgspec
import numpy as np

from convload.contract.steps import CREATE
from convload.plan.gate import Subject
from convload.results.batches import Batches, Counts, Sliced
from convload.results.measured import Totals
from convload.results.run import Run

SHORTEST_S = 20.0
PLAUSIBLE_S = 2.0
LEVELS = (50.0, 75.0, 90.0)
KEPT_LEVELS = (50.0, 90.0, 95.0, 99.0)
CLOCKS = ("response", "service")


class Dependence(msgspec.Struct, frozen=True):
    """By what the variance of a share exceeds that of independent requests, and from how many batches that is known.

    `batches` of 0: nothing was estimated. `length_s` is the time that was looked at.
    """

    effect: float = 1.0
    batches: int = 0
    length_s: float = 0.0

    @property
    def is_guessed(self) -> bool:
        """Whether the time was too short to know it."""
        return bool(self.batches) and self.length_s < SHORTEST_S

    def worth(self, count: float, confidence: float) -> float:
        """Returns how many independent requests so many are worth, for a bound of that confidence."""
        if not self.batches:
            return count / self.effect
        ratio = float(special().ndtri(confidence) / special().stdtrit(self.batches - 1, confidence))
        return count / self.effect * ratio**2


INDEPENDENT = Dependence()


def dependence_of(run: Run, subject: Subject, limit: float | None) -> Dependence:
    """Returns how far the requests that a gate looks at depend on each other; `limit` in ms, of a time."""
    if run.plan.independent or subject.measure not in {"time", "errors"}:
        return INDEPENDENT
    if subject.measure == "errors":
        return _of_errors(run, subject)
    return _of_percentile(run, subject, limit) if subject.percent is not None else INDEPENDENT


def _of_errors(run: Run, subject: Subject) -> Dependence:
    batches = run.batches(subject.stage)
    counts, hits = batches.outcomes(subject.step, subject.variant, subject.stage, subject.kind)
    flow = run.totals.flows.get(subject.stage)
    if flow and flow.unsent and subject.step == CREATE and not subject.variant and not subject.kind:
        # What was never sent was due when nobody had time for it: together, at the end.
        counts[0, -1] += flow.unsent
        hits[0, -1] += flow.unsent
    return of_share(counts, hits, batches.length_s, batches.pieces)


def _of_percentile(run: Run, subject: Subject, limit: float | None) -> Dependence:
    batches = run.batches(subject.stage)
    sliced = batches.times(subject.step, subject.variant, subject.stage, subject.clock)
    own = sliced.all()
    if not own.count or subject.percent is None:
        return INDEPENDENT
    levels_us = own.percentiles([subject.percent, *LEVELS])
    return of_times(sliced, [*levels_us, *([] if limit is None else [1000 * limit])], batches.length_s)


def effects_of(run: Run) -> dict[str, dict[str, float]]:
    """Returns by step what a baseline must know of its run: design effects, of errors and at some percentiles."""
    return {} if run.plan.independent else {step: _effects(run.batches(), step) for step in run.steps}


def _effects(batches: Batches, step: str) -> dict[str, float]:
    found = {
        "batches": float(batches.count),
        "errors": design_effect(*batches.outcomes(step, "", "", ""), batches.pieces),
    }
    for clock in CLOCKS:
        sliced = batches.times(step, "", "", clock)
        own, counts = sliced.all(), sliced.counts()
        for percent in KEPT_LEVELS if own.count else ():
            found[f"{clock} p{percent:g}"] = design_effect(counts, sliced.above(own.percentile(percent)), sliced.pieces)
    return {name: round(value, 3) for name, value in found.items()}


def dependence_of_baseline(baseline: Totals | None, subject: Subject, of_new: Dependence) -> Dependence:
    """Returns that of a baseline's requests; where an earlier version did not keep it, that of the new run's.

    A variant is a part of its step drawn at random, whose requests depend on each other no more.
    """
    effects = baseline.effects.get(subject.step) if baseline else None
    if effects is None or not of_new.batches:
        return of_new
    prefix = subject.clock if subject.measure == "time" else subject.measure
    own = (value for name, value in effects.items() if name.startswith(prefix))
    return Dependence(max(1.0, *own), round(effects["batches"]), SHORTEST_S)


def of_times(sliced: Sliced, values_us: Sequence[float], length_s: float) -> Dependence:
    """Returns the dependence of requests whose times are told from some levels: the largest of those there."""
    counts = sliced.counts()
    effects = [design_effect(counts, sliced.above(value), sliced.pieces) for value in values_us]
    return _dependence(counts, effects, length_s, sliced.pieces)


def of_share(counts: Counts, hits: Counts, length_s: float, pieces: int = 1) -> Dependence:
    """Returns the dependence of requests that fail, or do not."""
    return _dependence(counts, [design_effect(counts, hits, pieces)], length_s, pieces)


def design_effect(counts: Counts, hits: Counts, pieces: int = 1) -> float:
    """Returns by what the variance of a share exceeds that of independent requests; 1 for a share of none or all.

    `counts` are requests, a row a stratum and a column a piece of a batch; `hits` those of them that the share is of.
    """
    if not 0 < hits.sum() < counts.sum():
        return 1.0
    of_pieces = _effect(counts, hits)
    if pieces == 1:
        return of_pieces
    of_batches = _effect(*(one.reshape(len(one), -1, pieces).sum(axis=2) for one in (counts, hits)))
    return of_batches + _LONGER * max(0.0, of_batches - of_pieces)


_LONGER = 1.5


def _effect(counts: Counts, hits: Counts) -> float:
    batches, share = counts.shape[1], hits.sum() / counts.sum()
    corrected = batches / max(1, batches - int((counts.sum(axis=1) > 0).sum()))
    return float(corrected * (deviations(counts, hits) ** 2).sum() / (counts.sum() * share * (1 - share)))


def deviations(counts: Counts, hits: Counts) -> Counts:
    """Returns how many hits each batch has beyond those that the shares of its strata give it."""
    of_stratum = counts.sum(axis=1)
    shares = np.divide(hits.sum(axis=1), of_stratum, out=np.zeros_like(of_stratum), where=of_stratum > 0)
    return np.asarray((hits - shares[:, None] * counts).sum(axis=0))


def _dependence(counts: Counts, effects: Sequence[float], length_s: float, pieces: int) -> Dependence:
    found = Dependence(max(1.0, *effects), counts.shape[1] // pieces, length_s)
    if not found.is_guessed or not length_s:
        return found
    return msgspec.structs.replace(found, effect=max(found.effect, float(counts.sum()) / length_s * PLAUSIBLE_S))


@cache
def special() -> Any:
    """Returns SciPy's functions. Loading them takes long, and a command that judges nothing should not wait for it."""
    return import_module("scipy.special")
