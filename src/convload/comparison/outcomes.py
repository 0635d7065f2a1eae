"""Says of one difference whether it is an improvement, a regression, none that matters, or cannot be told."""

import math
from typing import Final, Literal

import msgspec

from convload.comparison.resampling import TIMES

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


class Shift(msgspec.Struct, frozen=True):
    """A difference, new less base, with two intervals around it.

    `low` to `high` holds for all statistics of a comparison together: it raises alarms. `near_low` to `near_high` is
    of this statistic alone, and one-sided at each end: it says that nothing happened.
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
    repeated runs alone, for all statistics together as well.
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


def told(
    step: str, statistic: str, base: float, new: float, shift: Shift, minimum: Minimum, *, p: float | None = None
) -> Difference:
    """Returns a difference with its outcome; `why` says what it lacks for a clear one."""
    outcome, why = judge(statistic, base, shift, minimum)
    return Difference(
        step=step,
        statistic=statistic,
        unit=UNITS[statistic],
        base=_rounded(base),
        new=_rounded(new),
        difference=_rounded(shift.difference),
        relative=_rounded(shift.difference / base) if base else None,
        low=_rounded(shift.low),
        high=_rounded(shift.high),
        outcome=outcome,
        why=why,
        p=_rounded(p),
    )


def untold(step: str, statistic: str, base: float | None, new: float | None, why: str) -> Difference:
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


def judge(statistic: str, base: float, shift: Shift, minimum: Minimum) -> tuple[Outcome, str]:
    """Returns the outcome and, where it is not plain, why.

    A difference is one when chance does not explain it (the interval of all statistics leaves out 0) and it matters
    (it reaches the minimum). There is none when the interval of the statistic alone lies within the minimum on both
    sides: two one-sided tests, Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987). To find no
    difference is not to know that there is none: between the two, the runs cannot tell.
    """
    least = minimum.of(statistic, base)
    if (shift.low > 0 or shift.high < 0) and abs(shift.difference) >= least:
        rose = shift.difference > 0
        return (IMPROVED if rose == (statistic == "rate") else REGRESSED), ""
    if -least < shift.near_low and shift.near_high < least:
        return SAME, ""
    return (
        UNKNOWN,
        f"differences from {_near(shift.near_low)} to {_near(shift.near_high)} {UNITS[statistic]} are possible",
    )


def _near(value: float) -> str:
    return f"{value:+.3g}"


def _rounded(value: float | None) -> float | None:
    """Rounds to what a report shows at most; an endless bound is none."""
    return None if value is None or not math.isfinite(value) else round(value, 6)
