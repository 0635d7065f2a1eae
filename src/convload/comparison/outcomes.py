"""Says of one difference whether it is an improvement, a regression, none that matters, or cannot be told."""

import math
from typing import Final, Literal

import msgspec

from convload.comparison.samples import TIMES
from convload.results.histogram import short

Outcome = Literal["improved", "regressed", "no difference beyond noise", "cannot tell"]

IMPROVED: Final = "improved"
REGRESSED: Final = "regressed"
SAME: Final = "no difference beyond noise"
UNKNOWN: Final = "cannot tell"

STATISTICS = (*TIMES, "errors", "rate")
"""What is compared of each step: response times of successful requests, share of failed ones, requests per second."""

UNITS = {**dict.fromkeys(TIMES, "ms"), "errors": "%", "rate": "/s"}


class Minimum(msgspec.Struct, frozen=True):
    """The smallest difference that matters: one must reach it relatively *and* absolutely.

    `relative` is of the base. A tenth of a millisecond more is no regression of a service that takes one, and a
    twentieth of a long time is none either: each alone would alarm over nothing. `errors_points` is in percentage
    points, as a share of errors near 0 has no relative size to speak of.
    """

    relative: float = 0.05
    absolute_ms: float = 0.2
    errors_points: float = 0.1
    rate_per_s: float = 0.0

    def of(self, statistic: str, base: float) -> float:
        """Returns it in the statistic's own unit, for a base of this value."""
        absolute = {"errors": self.errors_points, "rate": self.rate_per_s}.get(statistic, self.absolute_ms)
        return max(self.relative * abs(base), absolute)


class Rule(msgspec.Struct, frozen=True):
    """How differences are judged; `confidence` is that no statistic of a comparison raises a false alarm."""

    confidence: float
    minimum: Minimum = Minimum()

    def each(self, statistics: int) -> float:
        """Returns the confidence of the interval of each of so many statistics, all sharing the risk (Bonferroni)."""
        return 1 - (1 - self.confidence) / max(statistics, 1)

    @property
    def one_sided(self) -> float:
        """The confidence of a two-sided interval each end of which has the risk alone."""
        return 1 - 2 * (1 - self.confidence)


class Shift(msgspec.Struct, frozen=True):
    """A difference, new less base, with two intervals around it; endless where the samples do not reach for one.

    `low` to `high` holds for all statistics of a comparison together: it raises alarms, and is what is shown.
    `near_low` to `near_high` is of this statistic alone, and one-sided at each end: it says that nothing happened.
    """

    difference: float
    low: float
    high: float
    near_low: float
    near_high: float


class Difference(msgspec.Struct, frozen=True):
    """What became of one statistic of one step. Times in ms, the share of errors in percent, the rate per second.

    `relative` is the difference by the base, None for a base of 0. `low` and `high` are the interval of the
    difference that holds for all statistics together; None where there is none, `why` then says it. `p` is of
    repeated runs and of errors alone, for all statistics together as well. `more_samples` is about how many more each
    side needs to tell; None where it can tell, or nobody knows.
    """

    step: str
    statistic: str
    unit: str
    base: float | None
    new: float | None
    difference: float | None
    relative: float | None
    low: float | None
    high: float | None
    outcome: Outcome
    why: str
    p: float | None = None
    more_samples: int | None = None


def judged(
    step: str,
    statistic: str,
    base: float,
    new: float,
    shift: Shift,
    minimum: Minimum,
    *,
    p: float | None = None,
    more_samples: int | None = None,
    of: str = "samples",
) -> Difference:
    """Returns a difference with its outcome; `why` says what it lacks for a clear one, more samples or runs."""
    outcome = judge(statistic, base, shift, minimum)
    interval = (shift.low, shift.high) if math.isfinite(shift.high - shift.low) else (None, None)
    why = ""
    if outcome == UNKNOWN:
        unit = "percentage points" if statistic == "errors" else UNITS[statistic]
        size = f"to find or to rule out a difference of {short(minimum.of(statistic, base))} {unit}"
        why = f"too few {of} {size}" if interval[0] is not None else f"not enough {of} for an interval"
        why += f"; about {more_samples:,} more a side would do" if more_samples else ""
    return msgspec.structs.replace(
        not_judged(step, statistic, base, new, why),
        difference=_rounded(shift.difference),
        relative=_rounded(shift.difference / base) if base else None,
        low=_rounded(interval[0]),
        high=_rounded(interval[1]),
        outcome=outcome,
        p=p if p is None else float(f"{p:.6g}"),
        more_samples=more_samples if outcome == UNKNOWN else None,
    )


def not_judged(step: str, statistic: str, base: float | None, new: float | None, why: str) -> Difference:
    """Returns a difference of which nothing can be said."""
    difference = None if base is None or new is None else new - base
    relative = difference / base if difference is not None and base else None
    return Difference(
        step=step,
        statistic=statistic,
        unit=UNITS[statistic],
        base=_rounded(base),
        new=_rounded(new),
        difference=_rounded(difference),
        relative=_rounded(relative),
        low=None,
        high=None,
        outcome=UNKNOWN,
        why=why,
    )


def judge(statistic: str, base: float, shift: Shift, minimum: Minimum) -> Outcome:
    """Returns the outcome.

    A difference is one when chance does not explain it (the interval of all statistics leaves out 0) and it matters
    (it reaches the minimum). There is none when the interval of the statistic alone lies within the minimum on both
    sides: two one-sided tests, Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987). To find no
    difference is not to know that there is none: between the two, the runs cannot tell.
    """
    least = minimum.of(statistic, base)
    if (shift.low > 0 or shift.high < 0) and abs(shift.difference) >= least:
        rose = shift.difference > 0
        return IMPROVED if rose == (statistic == "rate") else REGRESSED
    return SAME if -least < shift.near_low and shift.near_high < least else UNKNOWN


def _rounded(value: float | None) -> float | None:
    """Rounds to what a report shows at most; what is endless is none."""
    return None if value is None or not math.isfinite(value) else round(value, 6)
