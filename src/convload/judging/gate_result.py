"""What a gate says of a run: in figures, and in a sentence that says what is missing where it found nothing."""

import math
from collections.abc import Sequence

import msgspec

from convload.judging.dependence import SHORTEST_S
from convload.judging.estimates import Estimate, Needed
from convload.judging.ratio import describe
from convload.plan.gate import Gate, Windows, write_subject
from convload.plan.gate_names import SHARE, TIME, UNITS
from convload.results.histogram import short

PASS = "pass"  # noqa: S105 -- an outcome
FAIL = "fail"
INCONCLUSIVE = "inconclusive"

SECONDS_UP_TO = 180
HOURS_FROM_S = 7200

_SAID = {PASS: "holds", FAIL: "is broken", INCONCLUSIVE: "is undecided"}


class GateResult(msgspec.Struct, frozen=True):
    """The outcome of one gate, in its own unit: the point `value`, its bounds `low` and `high`, and the `limit`.

    Each bound holds with `confidence` on its own; an `exact` figure is its own bound, and None stands where the samples
    do not reach for one. Where a gate is judged by windows the figures are of the worst of them. `limit` against a
    baseline is that of the baseline's point value. `samples` are the requests that were looked at and `needed` how many
    it takes at least, or would take about, None where that is not what is missing; for that the run must be `longer_s`
    longer. `worth` is how many independent requests they are worth, for a bound of this confidence, and `effect` the
    design effect: by what the variance is larger than theirs. `at_least`: `needed` and `longer_s` are the least.
    `undelayed` is the least that a time can be without what the generator itself may have added to it; where the gate
    `hangs_on_delays` it would have come out otherwise without that, and so it is undecided.
    """

    gate: str
    outcome: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    unit: str
    builtin: bool
    message: str
    samples: int | None = None
    needed: int | None = None
    confidence: float = 0.99
    exact: bool = False
    worth: int | None = None
    effect: float | None = None
    longer_s: float | None = None
    at_least: bool = False
    undelayed: float | None = None
    hangs_on_delays: bool = False


class Finding(msgspec.Struct, frozen=True):
    """What was found for a gate, and the limit, in the unit of its quantity.

    Against a baseline the limit has bounds too; `ratio` is that of machines of two kinds. `why` takes the place of
    figures where there are none. `windows` says how the windows came out. `least` is what a time can be without the
    generator's own delays, on which the outcome may hang.
    """

    outcome: str
    found: Estimate
    limit: Estimate
    needed: Needed | None = None
    why: str = ""
    baseline: Estimate | None = None
    ratio: Estimate | None = None
    windows: str = ""
    least: Estimate | None = None
    hangs_on_delays: bool = False


def result_of(gate: Gate, finding: Finding, confidence: float) -> GateResult:
    """Returns the result, in the unit of the gate."""
    scale, found, needed = UNITS[gate.limit.unit].scale, finding.found, finding.needed
    least = finding.least.value if finding.least else None
    value, low, high, limit, undelayed = (
        None if figure is None else round(figure / scale, 4)
        for figure in (found.value, found.low, found.high, finding.limit.value, least)
    )
    return GateResult(
        gate=gate.text,
        outcome=finding.outcome,
        value=value,
        low=low,
        high=high,
        limit=limit,
        unit=gate.limit.unit,
        builtin=False,
        message=sentence(gate, finding, confidence),
        samples=found.samples,
        needed=needed.samples if needed else None,
        confidence=confidence,
        exact=found.exact,
        worth=None if found.worth is None else math.floor(found.worth),
        effect=round(found.dependence.effect, 2) if found.dependence.batches else None,
        longer_s=None if needed is None or needed.longer_s is None else round(needed.longer_s, 1),
        at_least=needed is not None and needed.at_least,
        undelayed=undelayed,
        hangs_on_delays=finding.hangs_on_delays,
    )


def sentence(gate: Gate, finding: Finding, confidence: float) -> str:
    """Says what was found, without a full stop."""
    head = f"{gate.text} {_SAID[finding.outcome]}: "
    if finding.windows:
        return head + finding.windows
    return head + (finding.why or _figures(gate, finding, confidence))


def conclude_windows(gate: Gate, windows: Windows, findings: Sequence[Finding], misses: int) -> Finding:
    """Returns what all windows say together, with the figures of the worst."""
    passed, failed, undecided = (
        sum(finding.outcome == outcome for finding in findings) for outcome in (PASS, FAIL, INCONCLUSIVE)
    )
    outcome = PASS if passed >= len(findings) - misses else FAIL if failed > misses else INCONCLUSIVE
    worst = max(findings, key=lambda finding: _badness(gate, finding))
    parts = [f"{failed:,} are broken" if failed else "", f"{undecided:,} are undecided" if undecided else ""]
    parts = [f"{passed:,} of {len(findings):,} windows of {short(windows.length_s, 7)} s hold", *filter(None, parts)]
    said = f"{', '.join(parts)}; at least {len(findings) - misses:,} must hold"
    figures = worst.why or _value(gate, worst.found)
    fewest = min((finding.found.samples or 0 for finding in findings), default=0)
    hangs_on_delays = outcome == INCONCLUSIVE and worst.hangs_on_delays
    found = Finding(outcome, worst.found, worst.limit, least=worst.least, hangs_on_delays=hangs_on_delays)
    if worst.found.value is not None:
        said += f"; the worst has {figures}"
    if hangs_on_delays:
        said += _delayed(gate, worst)
    needs = [one.needed for one in findings if one.needed and one.outcome == INCONCLUSIVE]
    needed = max(needs, key=lambda one: one.samples, default=None)
    if needed is None or outcome != INCONCLUSIVE:
        return msgspec.structs.replace(found, windows=said)
    if worst.found.dependence.is_guessed:
        said += _too_short(needed)
    else:
        # A longer run has more windows, not longer ones.
        needed = msgspec.structs.replace(needed, longer_s=None)
        said += f"; the one with the fewest has {fewest:,} samples, and up to {needed.samples:,} are needed in each"
    return msgspec.structs.replace(found, windows=said, needed=needed)


def _badness(gate: Gate, finding: Finding) -> tuple[int, float]:
    value = finding.found.value
    rank = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}[finding.outcome]
    if value is None:
        return rank, 0.0
    return rank, value if gate.operator in {"<", "<=", "=="} else -value


def _figures(gate: Gate, finding: Finding, confidence: float) -> str:
    found = finding.found
    if found.value is None:
        return f"nothing was measured of {write_subject(gate.subject)}"
    said = _value(gate, found)
    if not found.exact:
        said += f" ({_bounds(gate, found)} at {short(100 * confidence, 6)} % confidence{_worth(found)})"
    if finding.baseline is not None:
        said += f"; {_against(gate, finding)}"
    return said + _missing(gate, finding, confidence)


def _worth(found: Estimate) -> str:
    if found.worth is None or not found.dependence.batches:
        return ""
    guessed = ", guessed for a run below 20 s" if found.dependence.is_guessed else ""
    return f", as {math.floor(found.worth):,} independent requests say it{guessed}"


def _value(gate: Gate, found: Estimate) -> str:
    if found.value is None:
        return "no figure"
    value = _written(gate, found.value)
    if gate.quantity is SHARE:
        return f"{found.hits:,} of {found.samples or 0:,}, {value}"
    if gate.quantity is TIME:
        point = ", judged by its point value" if gate.subject.percent is None else ""
        return f"{gate.subject.statistic} {value} of {found.samples or 0:,} requests{point}"
    return value


def _bounds(gate: Gate, found: Estimate) -> str:
    if found.low is None or found.high is None:
        at_least, at_most = (None if bound is None else _written(gate, bound) for bound in (found.low, found.high))
        return f"at least {at_least}" if at_least else f"at most {at_most}" if at_most else "no bounds"
    return f"{short(found.low / UNITS[gate.limit.unit].scale)} to {_written(gate, found.high)}"


def _against(gate: Gate, finding: Finding) -> str:
    known, limit = finding.baseline, finding.limit
    low, high = limit.low, limit.high
    said = "" if known is None or known.value is None else f"the baseline has {_value(gate, known)}, "
    if finding.ratio is not None:
        said += f"{describe(finding.ratio)}, "
    if limit.value is None or low is None or high is None or low == high:
        return f"{said}so the limit is {'—' if limit.value is None else _written(gate, limit.value)}"
    return f"{said}so the limit lies between {_written(gate, low)} and {_written(gate, high)}"


def _missing(gate: Gate, finding: Finding, confidence: float) -> str:
    found, needed = finding.found, finding.needed
    if finding.hangs_on_delays:
        return _delayed(gate, finding)
    if finding.outcome != INCONCLUSIVE or found.samples is None:
        return ""
    if needed is None:
        return _undecidable(finding)
    if found.dependence.is_guessed:
        return _too_short(needed)
    longer = _longer(needed)
    what = "a share" if gate.quantity is SHARE else f"a {gate.subject.statistic}"
    if needed.at_least:
        least = f"{what} at {short(100 * confidence, 6)} % confidence needs at least {needed.samples:,}{longer}"
        return f"; {found.samples:,} samples; {least}"
    return f"; {found.samples:,} samples; about {needed.samples:,} would decide it in 9 of 10 runs{longer}"


def _delayed(gate: Gate, finding: Finding) -> str:
    least = finding.least.value if finding.least else None
    said = "" if least is None else f", and without that it may be {_written(gate, least)}"
    return f"; the generator itself was late, which may be all that decides it{said}"


def _too_short(needed: Needed) -> str:
    return f"; too short to know how far requests depend on each other: {SHORTEST_S:g} s at least{_longer(needed)}"


def _longer(needed: Needed) -> str:
    return "" if needed.longer_s is None else f", {duration(needed.longer_s)} more"


def _undecidable(finding: Finding) -> str:
    """Says why more samples of this run may not decide, where that is known."""
    found, limit = finding.found, finding.limit
    if found.value == limit.value:
        return "; the value lies on the limit, which more samples may not decide"
    if None not in {limit.low, limit.high, found.value} and (limit.low or 0) <= (found.value or 0) <= (limit.high or 0):
        return "; the value lies within what is open about the limit: the baseline has too few samples"
    return ""


def duration(seconds: float) -> str:
    """Writes a time that is still to come, rounded up, as what is a little too short decides nothing."""
    if seconds < SECONDS_UP_TO:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60):,} min" if seconds < HOURS_FROM_S else f"{seconds / 3600:,.1f} h"


def _written(gate: Gate, value: float) -> str:
    unit = gate.limit.unit
    space = "" if unit.startswith("/") or not unit else " "
    return f"{short(value / UNITS[unit].scale)}{space}{unit}"
