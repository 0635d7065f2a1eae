"""What the generator itself may have added to the times that it measured, and how small they may have been without it.

    true response  ≤  response                             a request can wait on this side, and only lengthens its time
    true response  ≥  service or, where the target         sent late by a slow generator: not the target's doing;
                      kept arrivals waiting, response      kept waiting by the target: what its callers see
                      less what reading was late

When an answer came nobody knows, only when it was read. But the worker notes at each hundredth of a second how late its
event loop comes to it, and it comes as late to an answer. A measured time S is then a sum T + R of which S and the
distribution of R are known, but not which delay went with which time. Whatever went with whatever,

    P(T ≤ x) ≤ P(S ≤ x + d) + P(R > d) for every d,    so    T_p ≥ S_(p−a) − R_(1−a) for every a

(Makarov, "Estimates for the distribution function of a sum of two random variables when the marginal distributions are
fixed", Theory of Probability and its Applications 26, 1982). The greatest over some a is taken: rare long delays cost
a little of p, steady short ones their length. A run's delays are weighed with the requests of their second.

A plan that waives `late` takes late sending for measured time, one that waives `hub_delay` late reading.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import msgspec
import numpy as np

from convload.judging.dependence import INDEPENDENT, Dependence
from convload.judging.estimates import US_PER_MS, Confidences, Estimate, fixed, percentile_bounds_us
from convload.judging.generator import kept_waiting
from convload.plan.gate import Subject
from convload.results.batches import Counts as Floats
from convload.results.cells import counted
from convload.results.histogram import Histogram, Integers
from convload.results.measured import Totals, add_up
from convload.results.run import Run
from convload.results.runlog import MEASURE, Cell, Interval

SHARES = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4)
"""Of requests, those that the longest delays are laid to."""

CLOCKS = ("response", "service")


class Measured:
    """The totals of some intervals of a run, and what they would be without what the generator itself may have added.

    `intervals` are those of the measured time, or of a part of it.
    """

    def __init__(self, run: Run, totals: Totals, intervals: Sequence[Interval]) -> None:
        self.totals, self._run, self._intervals = totals, run, intervals

    @cached_property
    def _on_time(self) -> Totals:
        """The totals with service times in place of response times where the generator was late to send."""
        plan = self._run.plan
        if not self._run.is_open or not self._run.health["awaiting"].any():
            return self.totals  # a closed load has one clock, and earlier versions did not say who waited for whom
        if "late" in plan.validity.waive:
            return self.totals
        kept = kept_waiting(
            self._intervals, plan.validity, (plan.most_users or 0) / (self._run.log.workers or plan.workers)
        )
        if kept:
            parts = (part if (part.worker, part.n) in kept else _sent_on_time(part) for part in self._intervals)
            return Totals(add_up(parts, self._run.stage), {})
        figures = {key: msgspec.structs.replace(one, response=one.service) for key, one in self.totals.parts.items()}
        return Totals(figures, {})

    def least(
        self, subject: Subject, found: Estimate, confidences: Confidences, dependence: Dependence = INDEPENDENT
    ) -> Estimate | None:
        """Returns how small a time and its bounds may be without the generator; None where that is nothing to ask."""
        if subject.measure != "time" or subject.clock not in CLOCKS or found.value is None:
            return None
        times: Histogram = getattr(self._on_time.figures(subject.step, subject.variant, subject.stage), subject.clock)
        waived = "hub_delay" in self._run.plan.validity.waive
        delays = Delays.of(() if waived else self._intervals, subject)
        if subject.percent is None:
            return fixed(_ms(times.max_us - delays.beyond_us(0.0)), times.count)
        percents = [(subject.percent - 100 * share, delays.beyond_us(share)) for share in SHARES]
        tried = [(percent, late_us) for percent, late_us in percents if percent > 0]
        bounds = [percentile_bounds_us(times, percent, confidences, dependence) for percent, _ in tried]
        lows, highs = (
            [_less(bound, late_us) for bound, (_, late_us) in zip(side, tried, strict=True)]
            for side in zip(*bounds, strict=True)
        )
        values = [_less(times.percentile(percent), late_us) for percent, late_us in tried]
        return msgspec.structs.replace(
            found,
            value=max(values),
            low=None if found.low is None else max(lows),
            high=None if found.high is None else max(highs),
        )


class Delays(msgspec.Struct, frozen=True):
    """How late requests may have been read: delays falling, and the share of requests with as long a one or longer."""

    falling_us: Integers
    shares: Floats

    @classmethod
    def of(cls, intervals: Iterable[Interval], subject: Subject) -> "Delays":
        """Weighs the delays of each interval with its requests of a step and stage."""
        values: list[Integers] = [np.zeros(1, np.int64)]
        weights: list[Floats] = [np.zeros(1)]
        for part in intervals:
            known = (item for item in counted(part.cells) if item[0][0] == subject.step and item[0][2] == MEASURE)
            count = sum(count for key, count in known if subject.stage in {"", key[4]})
            if count and part.hub_delays:
                delays = Histogram.decode(part.hub_delays)
                values.append(delays.values_us)
                weights.append(np.asarray(delays.counts * (count / delays.count), np.float64))
        all_us, weight = np.concatenate(values), np.concatenate(weights)
        order = np.argsort(-all_us)
        return cls(all_us[order], np.cumsum(weight[order]) / max(weight.sum(), 1.0))

    def beyond_us(self, share: float) -> int:
        """Returns the delay that no more than a share of requests exceeds."""
        place = int(np.searchsorted(self.shares, share, side="right"))
        return int(self.falling_us[min(place, len(self.falling_us) - 1)])


def _sent_on_time(part: Interval) -> Interval:
    """Returns an interval without response times: where there are none, service times are read in their place."""
    cells: list[Cell] = [msgspec.structs.replace(cell, response="") for cell in part.cells]
    return msgspec.structs.replace(part, cells=cells)


def _less(us: int | None, late_us: int) -> float:
    return _ms((us or 0) - late_us)


def _ms(us: float) -> float:
    return max(us, 0.0) / US_PER_MS
