"""Judges a run by gates.

A gate passes when the bound towards its limit meets it, fails when the other bound breaks it, and is inconclusive
between; without a sample it never passes. Counts, and the rates made of them, are judged as they are: they say what
happened in this run, and nothing is inferred from them. How far requests depend on each other is that of the whole run
also where a gate is asked of a part of it.

A gate over windows is asked of each whole one. A request belongs to the window in which its result came; results that
came after the measured time are of requests that were due in it, and belong to the last window if the windows reach to
its end.
"""

import math
from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt

import msgspec

from convload.judging.delays import Measured
from convload.judging.dependence import INDEPENDENT, Dependence, dependence_of, dependence_of_baseline
from convload.judging.estimates import Confidences, Estimate, estimate, fixed, samples_needed
from convload.judging.gate_result import FAIL, INCONCLUSIVE, PASS, Finding, GateResult, conclude_windows, result_of
from convload.judging.ratio import AsHere, BaselineTotals, NoRatioError, as_here
from convload.plan.gate import Gate, Windows
from convload.plan.gate_names import UNITS
from convload.results.histogram import short
from convload.results.measured import Totals
from convload.results.run import Run
from convload.results.window import ROUNDING_S, Window

CONFIDENCE = 0.99

_MEETS: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}


def judge(
    run: Run, gates: Sequence[Gate], *, baseline: Totals | None = None, confidence: float = CONFIDENCE
) -> list[GateResult]:
    """Returns the result of each gate; the run may still go on.

    `baseline` are the figures that gates compare with, `confidence` that of each decision; of one look, where a run is
    judged again and again.
    """
    measured = Measured(run, run.totals, run.results)
    return [_judge_one(gate, run, measured, baseline, confidence) for gate in gates]


def judge_measured(
    gate: Gate, measured: Measured, confidence: float, dependence: Dependence = INDEPENDENT
) -> GateResult:
    """Returns what one gate says of a part of a run, whatever windows it asks for."""
    confidences = Confidences(confidence, confidence)
    return result_of(gate, _find(gate, measured, limit_of(gate), confidences, dependence), confidence)


def _judge_one(gate: Gate, run: Run, measured: Measured, baseline: Totals | None, confidence: float) -> GateResult:
    if gate.needs_baseline:
        return _against_baseline(gate, run, measured, baseline, confidence)
    if gate.windows is not None:
        return _by_windows(gate, gate.windows, run, confidence)
    return judge_measured(gate, measured, confidence, dependence_of(run, gate.subject, limit_of(gate).value))


def limit_of(gate: Gate) -> Estimate:
    """Returns the limit of a gate that needs no baseline, in the unit of its quantity."""
    return fixed(gate.limit.constant * UNITS[gate.limit.unit].scale)


def _against_baseline(
    gate: Gate, run: Run, measured: Measured, baseline: Totals | None, confidence: float
) -> GateResult:
    """Judges with bounds on both sides, each at (1 + c)/2.

    A wrong decision needs one of the two bounds to be wrong, so its chance is at most 2 · (1 - c)/2 = 1 - c, whether or
    not the runs are independent of each other. A pass is a new figure whose bound meets even the limit that the most
    demanding baseline would set; a fail breaks even that of the least demanding one. That of another kind of machine
    is taken as it would be here (`ratio.py`).
    """
    machines = baseline.machines if isinstance(baseline, BaselineTotals) else None
    each = (1 + confidence) / 2
    sure, of_new = Confidences(each, each), dependence_of(run, gate.subject, None)
    of_base = dependence_of_baseline(baseline, gate.subject, of_new)
    known = None if baseline is None else estimate(gate.subject, gate.quantity, baseline, sure, of_base)
    if known is None or known.value is None:
        why = "there is no baseline to compare with" if known is None else "the baseline has no sample of it"
        return result_of(gate, Finding(INCONCLUSIVE, Estimate(), Estimate(), why=why), each)
    here = AsHere(known, None)
    if machines is not None:
        try:
            here = as_here(known, machines, gate.subject, sure, of_new)
        except NoRatioError as error:
            why = f"the baseline is of another kind of machine, and {error}"
            return result_of(gate, Finding(INCONCLUSIVE, Estimate(), Estimate(), why=why), each)
    constant = gate.limit.constant * UNITS[gate.limit.unit].scale
    bounds = (here.figure.value, here.figure.low, here.figure.high)
    value, low, high = (None if x is None else gate.limit.factor * x + constant for x in bounds)
    finding = _find(gate, measured, Estimate(value, low, high), sure, of_new)
    return result_of(gate, msgspec.structs.replace(finding, baseline=known, ratio=here.ratio), each)


def _find(gate: Gate, measured: Measured, limit: Estimate, confidences: Confidences, dependence: Dependence) -> Finding:
    found = estimate(gate.subject, gate.quantity, measured.totals, confidences, dependence)
    outcome = compare(gate.operator, found, limit)
    least = measured.least(gate.subject, found, confidences, dependence)
    if least is not None and outcome not in {INCONCLUSIVE, compare(gate.operator, least, limit)}:
        return Finding(INCONCLUSIVE, found, limit, least=least, hangs_on_delays=True)
    needed = None
    if outcome == INCONCLUSIVE and not found.exact:
        needed = samples_needed(gate.subject, gate.operator, found, limit, confidences)
    return Finding(outcome, found, limit, needed, least=least)


def compare(operator: str, found: Estimate, limit: Estimate) -> str:
    """Returns the outcome: pass and fail are each drawn from the bounds that make them hardest to reach."""
    meets = _MEETS[operator]
    if operator == "==":
        if found.value is None or limit.value is None:
            return INCONCLUSIVE
        return PASS if found.value == limit.value else FAIL
    below = operator in {"<", "<="}
    good, hard = (found.high, limit.low) if below else (found.low, limit.high)
    bad, easy = (found.low, limit.high) if below else (found.high, limit.low)
    if good is not None and hard is not None and meets(good, hard):
        return PASS
    return FAIL if bad is not None and easy is not None and not meets(bad, easy) else INCONCLUSIVE


def _by_windows(gate: Gate, windows: Windows, run: Run, confidence: float) -> GateResult:
    parts, limit = split(run, windows.length_s, gate.subject.stage), limit_of(gate)
    if not parts:
        why = f"no whole window of {short(windows.length_s, 7)} s was measured"
        return result_of(gate, Finding(INCONCLUSIVE, Estimate(), limit, why=why), confidence)
    misses = allowed_misses(windows, len(parts))
    to_pass, to_fail = window_confidences(len(parts), misses, confidence)
    below = gate.operator in {"<", "<=", "=="}
    confidences = Confidences(to_fail, to_pass) if below else Confidences(to_pass, to_fail)
    # A window is a part of its stage already, and its one flow is that of all.
    stage = gate.subject.stage if gate.subject.measure == "time" else ""
    inner = msgspec.structs.replace(gate, subject=msgspec.structs.replace(gate.subject, stage=stage))
    dependence = dependence_of(run, gate.subject, limit.value)
    findings = [_find(inner, one, limit, confidences, dependence) for one in parts]
    return result_of(gate, conclude_windows(gate, windows, findings, misses), confidence)


def split(run: Run, length_s: float, stage: str) -> list[Measured]:
    """Returns the whole windows of the measured time, or of a stage's, one after the other; a rest is left out."""
    return [
        _measured(run, Window(time.from_s + n * length_s, time.from_s + (n + 1) * length_s), time)
        for time in run.times(stage)
        for n in range(math.floor((time.length_s + ROUNDING_S) / length_s))
    ]


def _measured(run: Run, within: Window, whole: Window) -> Measured:
    is_last = within.to_s >= whole.to_s - ROUNDING_S and whole.to_s >= run.window.to_s - ROUNDING_S
    reach = Window(within.from_s, math.inf) if is_last else within
    parts = list(filter(reach.has, run.results))
    return Measured(run, Totals.within(parts, within, is_open=run.is_open, known=run.health), parts)


def allowed_misses(windows: Windows, count: int) -> int:
    """Returns how many of `count` windows may break the limit."""
    return count - math.ceil(windows.percent / 100 * count - 1e-9)


def window_confidences(count: int, misses: int, confidence: float) -> tuple[float, float]:
    """Returns the confidence of each window's bound for passing and for failing, so that the whole has `confidence`.

    Let B of k windows be truly bad, a of them allowed, e the chance of a wrong call in one window. A gate passes
    wrongly when B > a and at least B - a bad windows look good; their expected number is at most B·e, so by Markov's
    inequality the chance is at most B·e / (B - a), at worst (a + 1)·e. With a = 0 it is e itself: that is the
    intersection-union test (Berger 1982). It fails wrongly when B <= a and at least a + 1 - B good windows look bad: at
    worst (k - a)·e, for a = 0 the rule of Bonferroni. Neither asks that the windows be independent of each other.
    """
    error = 1 - confidence
    return 1 - error / (misses + 1), 1 - error / max(1, count - misses)
