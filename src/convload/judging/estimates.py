"""Estimates what a gate looks at: its point value, and bounds that hold whatever the distribution is.

Those of percentiles are order statistics, those of shares are by Clopper and Pearson. Each bound is one-sided: the true
value lies beyond it in at most 1 - confidence of all runs. A decision rests on one bound only (to pass on the one
towards the limit, to fail on the other), so this is the chance of a wrong decision; both bounds together hold with
2 · confidence - 1.

They are taken for as many independent samples as the requests are worth (`dependence.py`).
"""

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import msgspec

from convload.contract.steps import CREATE
from convload.judging.dependence import INDEPENDENT, SHORTEST_S, Dependence, special
from convload.plan.gate import Subject
from convload.plan.gate_names import COUNT, Quantity
from convload.results.histogram import Histogram
from convload.results.measured import Totals

US_PER_MS = 1000

POWER = 0.9
"""How often so many samples as are advised decide a gate."""

Bounds = tuple[float, float]


class Confidences(NamedTuple):
    """That of the lower bound and that of the upper one, each on its own."""

    low: float
    high: float


class Estimate(msgspec.Struct, frozen=True):
    """A figure in ms, %, /s or as a count; None where nothing was measured or the samples do not reach for a bound.

    `samples`: None where there are none to speak of; `worth` is how many independent ones they are worth for the upper
    bound. `exact`: it says what happened, with no error of sampling.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int | None = None
    hits: int = 0
    exact: bool = False
    worth: float | None = None
    dependence: Dependence = INDEPENDENT


def fixed(value: float | None, samples: int | None = None) -> Estimate:
    """Returns what is known without an error of sampling: a limit as it was written, a count of what happened."""
    return Estimate(value, value, value, samples, exact=True)


class Needed(msgspec.Struct, frozen=True):
    """How many samples it takes, at least or about, and for how many seconds longer the run must go on to have them."""

    samples: int
    at_least: bool = False
    longer_s: float | None = None


def estimate(
    subject: Subject,
    quantity: Quantity,
    totals: Totals,
    confidences: Confidences,
    dependence: Dependence = INDEPENDENT,
) -> Estimate:
    """Returns what `totals` say of a subject, whose requests depend on each other so far."""
    if subject.measure == "time":
        return _time(subject, totals, confidences, dependence)
    if subject.measure == "errors":
        return _errors(subject, quantity, totals, confidences, dependence)
    return _flow(subject, totals)


def _time(subject: Subject, totals: Totals, confidences: Confidences, dependence: Dependence) -> Estimate:
    figures = totals.figures(subject.step, subject.variant, subject.stage)
    # A failed request could be late too; a time to an answer is of those that were answered well.
    times = figures.all_lateness if subject.clock == "lateness" else getattr(figures, subject.clock)
    if not times.count:
        return Estimate(samples=0)
    percent = subject.percent
    if percent is None:
        return fixed(times.max_us / US_PER_MS, times.count)
    low, high = percentile_bounds_us(times, percent, confidences, dependence)
    worth = dependence.worth(times.count, confidences.high)
    return Estimate(
        _ms(times.percentile(percent)), _ms(low), _ms(high), times.count, worth=worth, dependence=dependence
    )


def percentile_bounds_us(
    times: Histogram, percent: float, confidences: Confidences, dependence: Dependence = INDEPENDENT
) -> tuple[int | None, int | None]:
    """Returns the bounds of a percentile: the far edges of the buckets that the bounding samples lie in."""
    below, above = (dependence.worth(times.count, confidence) for confidence in confidences)
    low_rank, _ = percentile_ranks(times.count, percent, confidences.low, below)
    _, high_rank = percentile_ranks(times.count, percent, confidences.high, above)
    low = None if low_rank is None else times.edges(low_rank)[0]
    return low, None if high_rank is None else times.edges(high_rank)[1]


def _errors(
    subject: Subject, quantity: Quantity, totals: Totals, confidences: Confidences, dependence: Dependence
) -> Estimate:
    """Counts failed requests, or one kind of them; arrivals that were never sent are errors of create as a whole."""
    figures = totals.figures(subject.step, subject.variant, subject.stage)
    flow = totals.flows.get(subject.stage)
    unsent = (flow.unsent or 0) if flow and subject.step == CREATE and not subject.variant else 0
    count = figures.count + unsent
    hits = figures.errors.get(subject.kind, 0) if subject.kind else figures.failed + unsent
    if not count:
        return Estimate(samples=0)
    if quantity is COUNT:
        return fixed(hits, count)
    below, above = (dependence.worth(count, confidence) for confidence in confidences)
    low = share_bounds(hits / count * below, below, confidences.low)[0]
    high = share_bounds(hits / count * above, above, confidences.high)[1]
    return Estimate(100 * hits / count, 100 * low, 100 * high, count, hits, worth=above, dependence=dependence)


def _flow(subject: Subject, totals: Totals) -> Estimate:
    flow = totals.flows.get(subject.stage)
    if flow is None or not (flow.sent or flow.offered):
        return Estimate()
    rates = {"rate": flow.achieved_rate, "offered": flow.offered_rate, "unsent": flow.unsent}
    return fixed(rates[subject.measure])


def _ms(us: int | None) -> float | None:
    return None if us is None else us / US_PER_MS


def samples_needed(
    subject: Subject, operator: str, found: Estimate, limit: Estimate, confidences: Confidences
) -> "Needed | None":
    """Returns how many samples the gate needs at least where there are fewer, else about how many would decide it.

    About: in 9 of 10 runs (POWER), if the true value is as it was measured. Bounds draw near a percentile like 1/√n, so
    the standard error is the present distance of the bound from the value by the quantile of its confidence, and the
    value must lie as far from the limit as both quantiles together reach; a baseline's own error takes part of that
    way. None where a figure is exact, the value lies on the limit, or no number of samples decides it. A run that is
    too short to know what its requests are worth must be longer first.
    """
    length_s, samples = found.dependence.length_s, found.samples
    if found.dependence.is_guessed and samples and length_s:
        return Needed(math.ceil(samples * SHORTEST_S / length_s), at_least=True, longer_s=SHORTEST_S - length_s)
    needed = _samples_needed(subject, operator, found, limit, confidences)
    if needed is None or not (length_s and samples):
        return needed
    return msgspec.structs.replace(needed, longer_s=length_s * (needed.samples / samples - 1))


def _samples_needed(
    subject: Subject, operator: str, found: Estimate, limit: Estimate, confidences: Confidences
) -> Needed | None:
    if limit.value is None or (least := least_needed(subject, operator, limit.value, confidences)) is None:
        return None
    worth = found.worth or found.samples or 0
    each = (found.samples or 0) / worth if worth else 1.0  # requests to an independent one
    if worth < least or found.value is None:
        return Needed(math.ceil(least * each), at_least=True)
    rises = limit.value > found.value
    nearest, bound = (limit.low, found.high) if rises else (limit.high, found.low)
    confidence = confidences.high if rises else confidences.low
    nearest = limit.value if nearest is None else nearest
    if bound is None or found.samples is None or (nearest > found.value) != rises or nearest == found.value:
        return None
    if subject.measure == "errors":
        about = math.ceil(each * shares_apart(nearest / 100, found.value / 100, confidence))
    else:
        sure, power = (NormalDist().inv_cdf(p) for p in (confidence, POWER))
        reach = (bound - found.value) * (sure + power) / sure
        about = math.ceil(found.samples * (reach / (nearest - found.value)) ** 2)
    return Needed(about) if about > found.samples else None


def least_needed(subject: Subject, operator: str, limit: float, confidences: Confidences) -> int | None:
    """Returns the fewest samples with which the gate can pass at all; None where it takes no number of them."""
    below = operator in {"<", "<=", "=="}
    confidence = confidences.high if below else confidences.low
    if subject.measure == "time" and subject.percent is not None:
        share = subject.percent / 100
        return least_samples(share if below else 1 - share, confidence)
    if subject.measure == "errors" and 0 < limit < 100:  # noqa: PLR2004 -- percent
        return least_samples(1 - limit / 100 if below else limit / 100, confidence)
    return None


def shares_apart(one: float, other: float, confidence: float) -> int:
    """Returns about how many samples tell shares q and r apart: ((z_c √(q (1 - q)) + z_p √(r (1 - r))) / (q - r))²."""
    sure, power = (NormalDist().inv_cdf(p) for p in (confidence, POWER))
    spread = sure * math.sqrt(one * (1 - one)) + power * math.sqrt(other * (1 - other))
    return math.ceil((spread / (one - other)) ** 2)


def percentile_ranks(
    count: int, percent: float, confidence: float, worth: float | None = None
) -> tuple[int | None, int | None]:
    """Returns the ranks, from 1 on, of the samples that bound a percentile below and above; None for no such sample.

    The percentile ξ is at most the sample of rank r when the share of values above that sample is surely at most 1 - p:
    when its upper bound, of (count - r) hits, is. It is at least that sample when the share of values from it on is
    surely at least 1 - p. With the bounds of Clopper and Pearson these are the order statistics of David and Nagaraja,
    "Order Statistics", 3rd ed., §7.1 (Conover, "Practical Nonparametric Statistics", 3rd ed., §3.2), exact for
    continuous distributions and on the safe side for others. `worth` is how many independent samples they are worth.
    """
    above = 1 - percent / 100
    worth = count if worth is None else worth
    each = worth / count

    def is_above(rank: int) -> bool:
        hits = each * (count - rank)
        return bool(special().betainc(hits + 1, worth - hits, above) >= confidence)

    def is_no_longer_below(rank: int) -> bool:
        hits = each * (count - rank + 1)
        return bool(special().betainc(hits, worth - hits + 1, above) > 1 - confidence)

    high, beyond = _first(count, is_above), _first(count, is_no_longer_below)
    low = count if beyond is None else beyond - 1
    return low or None, high


def share_bounds(hits: float, count: float, confidence: float) -> Bounds:
    """Returns the exact bounds of a share, each one-sided, both as numbers from 0 to 1.

    The lower is the share at which so many hits or more have the chance 1 - confidence, the upper that at which so few
    have it; Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934). Samples that are not
    independent count as what they are worth, which need not be a whole number.
    """
    low = float(special().betaincinv(hits, count - hits + 1, 1 - confidence)) if hits else 0.0
    high = float(special().betaincinv(hits + 1, count - hits, confidence)) if hits < count else 1.0
    return low, high


def least_samples(share: float, confidence: float) -> int:
    """Returns the fewest samples whose greatest is above the quantile of `share`, with that confidence.

    All lie below it with the chance shareⁿ: 459 for the p99 at 99 %. The same number without a hit shows that hits are
    fewer than 1 - share.
    """
    count = max(1, math.floor(math.log(1 - confidence) / math.log(share)))
    while 1 - share**count < confidence:
        count += 1
    return count


def _first(count: int, holds: Any) -> int | None:
    """Returns the first rank for which something holds that holds for all after it, None if it never does."""
    low, high = 1, count + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low <= count else None
