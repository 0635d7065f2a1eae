"""Whether the target stood still: whole seconds in which it answered nobody, though requests waited.

That it did is a fact of the run and no inference from it. To the bounds of a gate a standstill is one event, and one
event does not show how often there are such: 3 s in a run of 20 s leave open at 99 % whether one request in a hundred
is hit in the long run. But whoever asks whether a release may go out wants to know that this run stood still. So a gate
whose own value is broken fails where there was a standstill, even if its bounds leave it undecided.

A second without an answer means something only where many were to be expected: at `FEWEST_PER_S` answers a second
chance leaves one in e²⁰ empty. A standstill of two seconds has a whole one of the workers' seconds in it; one of a
second may not.
"""

from collections import defaultdict

import msgspec

from convload.judging.estimates import fixed
from convload.judging.gate_result import FAIL, INCONCLUSIVE, GateResult
from convload.judging.gates import compare, limit_of
from convload.plan.gate import Gate
from convload.plan.gate_names import UNITS
from convload.results.histogram import short
from convload.results.run import Run
from convload.results.window import Window, is_whole

FEWEST_PER_S = 20.0


def standstills(run: Run) -> list[Window]:
    """Returns the times without an answer, each a second or longer."""
    answered: dict[int, int] = defaultdict(int)
    waiting: dict[int, int] = defaultdict(int)
    for parts in run.workers.values():
        before = 0
        for part in parts:
            if is_whole(part) and run.window.has(part):
                answered[round(part.from_s)] += part.recorded - before
                waiting[round(part.from_s)] += part.in_flight + part.backlog
            before = part.recorded
    if not answered or sum(answered.values()) < FEWEST_PER_S * len(answered):
        return []
    return _joined([second for second in sorted(answered) if not answered[second] and waiting[second]])


def _joined(seconds: list[int]) -> list[Window]:
    found: list[Window] = []
    for second in seconds:
        if found and found[-1].to_s == second:
            found[-1] = Window(found[-1].from_s, second + 1)
        else:
            found.append(Window(second, second + 1))
    return found


def fail_by_standstill(gate: Gate, result: GateResult, stood: list[Window]) -> GateResult:
    """Returns the result: a fail where the gate is undecided, its own value is broken, and the target stood still."""
    if not stood or result.outcome != INCONCLUSIVE or gate.needs_baseline or gate.windows or result.value is None:
        return result
    values = [result.value, *([result.undelayed or 0.0] if result.hangs_on_delays else [])]
    scaled = (fixed(value * UNITS[gate.limit.unit].scale) for value in values)
    if any(compare(gate.operator, value, limit_of(gate)) != FAIL for value in scaled):
        return result
    longest = max(stood, key=lambda one: one.length_s)
    message = (
        f"{gate.text} is broken: {short(result.value)} {gate.limit.unit} of {result.samples or 0:,} requests; "
        f"the target stood still: from {longest.from_s:.0f} s on nobody was answered for {longest.length_s:.0f} s"
    )
    return msgspec.structs.replace(
        result, outcome=FAIL, message=message, needed=None, longer_s=None, hangs_on_delays=False
    )
