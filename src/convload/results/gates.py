"""Judges the figures of a run by its gates."""

import math
from statistics import NormalDist

import msgspec

from convload.results.measured import CREATE
from convload.results.summary import Summary

PASS = "pass"  # noqa: S105 -- an outcome
FAIL = "fail"
INCONCLUSIVE = "inconclusive"

CONFIDENCE = 0.99

BUILT_IN = "errors <= 1%"
_BUILT_IN_LIMIT_PERCENT = 1.0


class GateResult(msgspec.Struct, frozen=True):
    """What a gate says of a run: its point value decides; `low` and `high` are the 99 % interval around it.

    `value`, `low`, `high` and `limit` have the gate's unit; they are None where there was no sample.
    """

    gate: str
    outcome: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    unit: str
    builtin: bool
    message: str


def judge(summary: Summary) -> list[GateResult]:
    """Returns the result of each gate; a plan without gates is judged by the built-in one."""
    create = summary.steps.get(CREATE)
    failed, count = (create.count - create.ok, create.count) if create else (0, 0)
    return [_judge_errors(failed, count, summary.unsent)]


def wilson(hits: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns the two-sided score interval of a share, for independent samples.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). Brown, Cai
    and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16 (2001), recommend it
    over the textbook interval, which is far off for small shares.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    low = (middle - spread) / scale if hits else 0.0
    high = (middle + spread) / scale if hits < count else 1.0
    return low, high


def _judge_errors(failed: int, count: int, unsent: int) -> GateResult:
    """Judges by what was asked for: an arrival that was never sent is an error of the run like a failed request."""
    limit = _BUILT_IN_LIMIT_PERCENT
    lost, wanted = failed + unsent, count + unsent
    if not wanted:
        message = "no create request was measured, so there is nothing to judge"
        return _built_in(INCONCLUSIVE, (None, None, None), message)
    value = 100 * lost / wanted
    low, high = (100 * bound for bound in wilson(lost, wanted))
    said = f"{failed:,} of {count:,} create requests failed"
    if unsent:
        said = f"{lost:,} of {wanted:,} arrivals came to nothing: {failed:,} failed, {unsent:,} were never sent"
    message = (
        f"{said}: {value:.3g} % ({100 * CONFIDENCE:g} % Wilson interval {low:.3g} % to {high:.3g} %); "
        f"at most {limit:g} % is allowed; the point value decides"
    )
    return _built_in(PASS if value <= limit else FAIL, (value, low, high), message)


def _built_in(outcome: str, figures: tuple[float | None, float | None, float | None], message: str) -> GateResult:
    value, low, high = (None if figure is None else round(figure, 4) for figure in figures)
    return GateResult(
        gate=BUILT_IN,
        outcome=outcome,
        value=value,
        low=low,
        high=high,
        limit=_BUILT_IN_LIMIT_PERCENT,
        unit="%",
        builtin=True,
        message=message,
    )
