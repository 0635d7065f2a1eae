"""What an objective asks of a target that is like a queue, and what one trial shows: growth, overload."""

import itertools
import math
import statistics
from collections.abc import Sequence

import msgspec

from convload.contract.outcomes import of_status
from convload.contract.steps import CLOSE, CONSUMER_TOKEN, CREATE, SEND
from convload.errors import TargetError
from convload.judging.gate_result import FAIL, GateResult
from convload.plan.gate import ALL_PERCENT, Gate
from convload.plan.gate_names import RESPONSE, SHARE, TIME, UNITS
from convload.results.capacity_result import Overloaded, Trial
from convload.results.histogram import milliseconds
from convload.results.measured import Figures, Totals
from convload.results.run import Run

_MS_A_SECOND = 1000.0
_AT_MOST, _AT_LEAST = ("<", "<="), (">", ">=")

_REFUSED = {of_status(401), of_status(403)}

TOLERATED = 0.002
"""Of the arrivals of a trial may be left over before it counts as growth."""

_LEANS, _SURE = 0.5, 2.0
"""Standard deviations of a queue at its limit, which wanders like a random walk: steps add up by their variance."""

CLEARLY = 1.05
"""A trial shows what a target sustains where it was offered this many times as much."""

_FEWEST_SECONDS = 2

_STALLED, _RARELY = 0.12, 3.5
"""A second with so much less done than is usual, and so many standard deviations of counting, has a pause in it."""


def decay_per_s(gates: Sequence[Gate]) -> float:
    """Returns how fast the tail of the response must fall for the strictest percentile to hold; 0 without one."""
    return max((_decay_per_s(gate) for gate in gates if _is_percentile(gate)), default=0.0)


def allowed_share(gates: Sequence[Gate]) -> float:
    """Returns the smallest share of failed creates that a gate allows; 0 where none says."""
    limits = (
        gate.limit.constant * UNITS[gate.limit.unit].scale / ALL_PERCENT for gate in gates if _is_share_of_errors(gate)
    )
    return min(limits, default=0.0)


def why_none_succeeds(load: str, create: Figures, token: Figures, consumers: str) -> TargetError:
    """Says what became of the creates of a load of which none succeeded, or of the tokens that they needed."""
    step, shown = ("", create) if create.count or not token.count else (f"{CONSUMER_TOKEN} ", token)
    causes = ", ".join(f"{kind}: {count:,} of {shown.count:,}" for kind, count in shown.errors.items()) or "no answer"
    tokens = '; tokens are off: consumers = "none"' if consumers == "none" and _REFUSED & shown.errors.keys() else ""
    return TargetError(f"target: {load}, no create succeeds: {step}{causes}{tokens}")


def measured(trial: Trial, found: Run, results: Sequence[GateResult]) -> Trial:
    """Adds what creates came to: what broke, their times, and the share that failed."""
    figures = found.totals.figures(CREATE)
    return msgspec.structs.replace(
        trial,
        broke=[result.gate for result in results if result.outcome == FAIL],
        response_p50_ms=percentile_ms(figures, 50),
        response_p99_ms=percentile_ms(figures, 99),
        response_mean_ms=milliseconds(figures.response.mean_us) if figures.response.count else None,
        error_share=figures.failed / figures.count if figures.count else None,
        mostly_failed_by=max(figures.errors, key=lambda kind: figures.errors[kind], default=""),
    )


def percentile_ms(figures: Figures, percent: float) -> float | None:
    """Returns a percentile of the response of what succeeded."""
    return milliseconds(figures.response.percentile(percent)) if figures.response.count else None


def in_flight_of_others(totals: Totals, length_s: float) -> float:
    """Returns how many sends and closes were in flight on average; their rate times their response (Little's law)."""
    figures = [totals.figures(step) for step in (SEND, CLOSE)]
    times = [times for one in figures for times in (one.response, one.failed_response) if times.count]
    return sum(one.count * one.mean_us for one in times) / 1e6 / length_s if length_s else 0.0


def strains(results: Sequence[GateResult], gates: Sequence[Gate]) -> list[float]:
    """Returns how near its limit each gate is: 1 stands at it, more is beyond; none where that has no meaning."""
    return [
        result.limit / result.value if gate.operator in _AT_LEAST else result.value / result.limit
        for result, gate in zip(results, gates, strict=True)
        if result.value and result.limit
    ]


def _decay_per_s(gate: Gate) -> float:
    beyond = 1 - (gate.subject.percent or 0.0) / ALL_PERCENT
    limit_s = gate.limit.constant * UNITS[gate.limit.unit].scale / _MS_A_SECOND
    return -math.log(beyond) / limit_s if 0 < beyond < 1 and limit_s > 0 else 0.0


def _is_percentile(gate: Gate) -> bool:
    subject = gate.subject
    return (
        (subject.step, subject.clock, subject.variant) == (CREATE, RESPONSE, "")
        and subject.percent is not None
        and gate.operator in _AT_MOST
        and gate.quantity == TIME
    )


def _is_share_of_errors(gate: Gate) -> bool:
    subject = gate.subject
    return (
        (subject.measure, subject.step, subject.kind, subject.variant) == ("errors", CREATE, "", "")
        and gate.operator in _AT_MOST
        and gate.quantity == SHARE
    )


class BacklogGrowth(msgspec.Struct, frozen=True):
    """What was left over. `strain` above 1 leans towards growth (see `Trial.strain`); `growing` is sure of it."""

    left_over: float
    strain: float
    growing: bool


def growth(in_flight: Sequence[float], arrivals: float) -> BacklogGrowth:
    """Judges what is in flight (and what waits to be sent), counted some 20 to 60 times in the settled part."""
    steps = [after - before for before, after in itertools.pairwise(in_flight)]
    left_over = in_flight[-1] - in_flight[0] if in_flight else 0.0
    noise = math.sqrt(len(steps) * statistics.variance(steps)) if len(steps) > 1 else 0.0
    allowed = max(TOLERATED * arrivals, _LEANS * noise, 1.0)
    return BacklogGrowth(left_over, left_over / allowed, left_over > max(allowed, _SURE * noise))


def overloaded(
    by_second: Sequence[float], offered_per_s: float, allowed_share: float, failed_share: float, response_s: float
) -> Overloaded | None:
    """Returns what an overloaded target got done; None where it was not clearly overloaded.

    `by_second` are the good answers of each settled second, `allowed_share` is the share of failures that the objective
    allows, `failed_share` what there was, and `response_s` the median response of the good ones.
    """
    sheds = failed_share > allowed_share > 0 and response_s > 0
    lasting = _lasting(by_second, offered_per_s) if sheds else by_second
    if len(lasting) < _FEWEST_SECONDS:
        return None
    mean = statistics.fmean(lasting)
    per_s = mean / (1 - allowed_share) if sheds else mean
    if not mean or offered_per_s < CLEARLY * per_s:
        return None
    return Overloaded(
        per_s=per_s,
        dispersion=statistics.variance(lasting) / mean,
        seconds=len(lasting),
        decay_per_s=math.log(1 / allowed_share) / response_s if sheds else 0.0,
        stalls=_stalls(lasting),
    )


def _lasting(by_second: Sequence[float], offered_per_s: float) -> Sequence[float]:
    """Returns the seconds after the first in which something was shed: a burst may get all through before."""
    all_of_it = offered_per_s - 3 * math.sqrt(offered_per_s)
    burst_s = next((n for n, one in enumerate(by_second) if one < all_of_it), 0)
    return by_second[burst_s + 1 :] if burst_s else by_second


def _stalls(by_second: Sequence[float]) -> int:
    """Returns in how many seconds fewer were answered than chance allows at a steady target."""
    usual = statistics.median(by_second)
    return sum(one < usual - max(_STALLED * usual, _RARELY * math.sqrt(usual)) for one in by_second)
