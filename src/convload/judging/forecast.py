"""Tells before a run starts which of its gates it cannot decide, and how long it would have to be.

What is assumed: arrivals come as the plan says and succeed, variants as the mix weighs them. How many samples decide a
gate whose true value is MARGIN away from the limit rests on an exponential distribution of times: heavier tails need
more. "Decide" is in 9 of 10 runs. How far requests will depend on each other is taken from the last run of the plan,
where there was one; else they are taken for independent, as those of a quick target nearly are, and the warning says
how many more it takes at a target that is busy.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec

from convload.contract.steps import CREATE, FIRST
from convload.judging.dependence import SHORTEST_S, Dependence
from convload.judging.estimates import Confidences, least_needed, shares_apart
from convload.judging.gates import allowed_misses, window_confidences
from convload.judging.plan_gates import confidence_of, extension_rate, gates_of
from convload.plan.facts import OPEN, PlanFacts
from convload.plan.gate import Gate
from convload.plan.gate_names import COUNT, UNITS
from convload.plan.schedule import StageMark
from convload.results.batches import FEWEST
from convload.results.histogram import short
from convload.results.window import ROUNDING_S

MARGIN = 0.1
BUSY_EFFECT = 20
"""The design effect of a target with eight servers that are 80 % busy, whatever its rate: M/M/8, simulated by
`make bench BENCH_ONLY=coverage`. More servers have less, one server has 80."""

_AS_MANY_AS_CREATES = {
    FIRST: {"close", "fresh", "pool", "none"},
    "conversation.close": {"close", "fresh", "pool"},
    "token.consumer": {"fresh"},
}
"""Steps that are called once a create, by the consumers of the plan; of others nothing is known beforehand."""


class Forecast(msgspec.Struct, frozen=True):
    """Samples that a gate will have: in all or, where it is judged by windows, in the poorest of `windows`."""

    samples: float
    per_s: float
    windows: int | None = None


def plan_warnings(
    plan: PlanFacts,
    stages: Sequence[StageMark],
    weights: Mapping[str, float],
    effects: Mapping[str, float] | None = None,
) -> list[str]:
    """Returns a warning for each gate that the plan cannot decide, or would leave open as often as not.

    `weights` are those of the variants in the plan's mix, `effects` the design effects of an earlier run, by gate.
    """
    warnings = (_warning(gate, plan, stages, weights, effects or {}) for gate in gates_of(plan))
    return [warning for warning in warnings if warning]


def _warning(
    gate: Gate,
    plan: PlanFacts,
    stages: Sequence[StageMark],
    weights: Mapping[str, float],
    effects: Mapping[str, float],
) -> str | None:
    forecast = forecast_of(gate, plan, stages, weights)
    if forecast is None or gate.quantity is COUNT:
        return None
    confidence = confidence_of_gate(gate, plan, forecast)
    limit = gate.limit.constant * UNITS[gate.limit.unit].scale
    least = least_needed(gate.subject, gate.operator, limit, Confidences(confidence, confidence))
    if gate.windows is not None and forecast.windows == 0:
        window = short(gate.windows.length_s, 7)
        return f"{gate.text}: no window of {window} s fits into the plan; the run ends inconclusive"
    if not plan.independent and (length_s := _length_s(gate, plan, stages)) < SHORTEST_S:
        return (
            f"{gate.text}: {short(length_s, 7)} s are too short to know how far requests depend on each other, "
            f"{SHORTEST_S:g} s are the least; unless it is plain the run ends inconclusive"
        )
    where = f" in each window of {short(gate.windows.length_s, 7)} s" if gate.windows else ""
    each, why = (1.0, "") if plan.independent else _requests_to_an_independent_one(effects.get(gate.text), confidence)
    if least is not None and forecast.samples < least * each:
        least = math.ceil(least * each)
        return (
            f"{gate.text}: to pass it needs at least {least:,} samples{where}{_expected(least, forecast, gate)}; "
            f"unless it is clearly broken the run ends inconclusive{why}"
        )
    about = decided_by(gate, limit, confidence)
    if about is not None and forecast.samples < about * each:
        about = math.ceil(about * each)
        return (
            f"{gate.text}: it may stay undecided; about {about:,} samples{where} decide it when the true value is "
            f"{100 * MARGIN:g} % off the limit{_expected(about, forecast, gate)}{why}"
        )
    return None


def _length_s(gate: Gate, plan: PlanFacts, stages: Sequence[StageMark]) -> float:
    """Returns the time that a gate will look at; endless where nobody knows."""
    if gate.subject.stage:
        return sum(mark.duration_s for mark in stages if mark.name == gate.subject.stage)
    return math.inf if plan.duration_s is None else plan.duration_s + plan.extend_s


def _requests_to_an_independent_one(effect: float | None, confidence: float) -> tuple[float, str]:
    """Returns how many requests stand for one that is independent, and what to say of it."""
    each = 1 / Dependence(effect or 1.0, FEWEST).worth(1.0, confidence)
    if effect is None:
        return each, f"; where the target is 80 % busy, {BUSY_EFFECT} times as many, as requests wait for each other"
    return each, f"; in the last run of this plan {short(effect)} requests were worth one independent one"


def _expected(needed: int, forecast: Forecast, gate: Gate) -> str:
    said = f", the plan expects about {forecast.samples:,.0f}"
    if not forecast.per_s:
        return said
    what = "each window" if gate.windows else "measuring"
    return f"{said}; {math.ceil(needed / forecast.per_s):,} s of {what} at {short(forecast.per_s)}/s would do"


def confidence_of_gate(gate: Gate, plan: PlanFacts, forecast: Forecast) -> float:
    """Returns the confidence of the bound that a gate passes by."""
    confidence = confidence_of(plan)
    if gate.needs_baseline:
        return (1 + confidence) / 2
    if gate.windows is None or not forecast.windows:
        return confidence
    return window_confidences(forecast.windows, allowed_misses(gate.windows, forecast.windows), confidence)[0]


def forecast_of(
    gate: Gate, plan: PlanFacts, stages: Sequence[StageMark], weights: Mapping[str, float]
) -> Forecast | None:
    """Returns how many samples a gate will have, an extension of the run included; None where nobody can know."""
    subject = gate.subject
    once_a_create = subject.step == CREATE or plan.consumers in _AS_MANY_AS_CREATES.get(subject.step, set())
    if subject.measure not in {"time", "errors"} or not once_a_create:
        return None
    share = weights.get(subject.variant, 0.0) / (sum(weights.values()) or 1) if subject.variant else 1.0
    if plan.model == OPEN:
        return _of_open(gate, plan, stages, share)
    known = plan.conversations is not None and gate.windows is None
    return Forecast((plan.conversations or 0) * share, 0.0) if known else None


def _of_open(gate: Gate, plan: PlanFacts, stages: Sequence[StageMark], share: float) -> Forecast | None:
    own = [mark for mark in stages if not mark.warmup and gate.subject.stage in {"", mark.name}]
    if not own:
        return None  # a replay
    if gate.windows is not None:
        return _by_windows(gate.windows.length_s, own, share)
    counts = sum((mark.from_rate + mark.to_rate) / 2 * mark.duration_s for mark in own)
    # What a run goes on with is no part of any stage of the plan.
    more = 0.0 if gate.subject.stage else plan.extend_s * extension_rate(stages)
    return Forecast((counts + more) * share, counts / sum(mark.duration_s for mark in own) * share)


def _by_windows(length_s: float, marks: Sequence[StageMark], share: float) -> Forecast:
    lowest = min(min(mark.from_rate, mark.to_rate) for mark in marks) * share
    windows = math.floor(sum(mark.duration_s for mark in marks) / length_s + ROUNDING_S)
    return Forecast(lowest * length_s, lowest, windows)


def decided_by(gate: Gate, limit: float, confidence: float) -> int | None:
    """Returns about how many samples decide a gate when the true value is MARGIN away from the limit.

    A percentile p is below its limit L when fewer than 1 - p of all times lie above L. Where times are exponential and
    the true percentile is (1 - MARGIN) · L, that share is (1 - p) to the power 1/(1 - MARGIN), and the count is that of
    a test of one share against another.
    """
    percent = gate.subject.percent
    if percent is not None and gate.subject.measure == "time":
        allowed = 1 - percent / 100
        return shares_apart(allowed, allowed ** (1 / (1 - MARGIN)), confidence)
    if gate.subject.measure == "errors" and not gate.needs_baseline and 0 < limit < 100:  # noqa: PLR2004 -- percent
        return shares_apart(limit / 100, limit / 100 * (1 - MARGIN), confidence)
    return None
