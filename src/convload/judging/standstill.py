"""Whether the target stood still: a second or so in which it answered nobody, though requests waited.

That it did is a fact of the run and no inference from it. To the bounds of a gate a standstill is one event, and one
event does not show how often there are such: 3 s in a run of 20 s leave open at 99 % whether one request in a hundred
is hit in the long run. But whoever asks whether a release may go out wants to know that this run stood still. So a gate
whose own value is broken fails where there was a standstill, even if its bounds leave it undecided.

A second without an answer means something only where many were to be expected: at `FEWEST_PER_S` answers a second
chance leaves one in e²⁰ empty. Each worker tells of the longest silence that it saw, to some hundredths of a second
too short; the target stood still where all were kept waiting. Run logs of earlier versions tell of no silences; there a
whole second of the workers' must have been empty.
"""

import msgspec
import numpy as np

from convload.judging.estimates import fixed
from convload.judging.gate_result import FAIL, INCONCLUSIVE, GateResult
from convload.judging.gates import compare, limit_of
from convload.plan.gate import Gate
from convload.plan.gate_names import UNITS
from convload.results.histogram import short
from convload.results.run import Run
from convload.results.window import WHOLE_S, Window

FEWEST_PER_S = 20.0
LEAST_S = 0.8
"""A second, but for what is still answered at its beginning and what the workers' beats leave out of it
(`load/processes/silence.py`)."""


def standstills(run: Run) -> list[Window]:
    """Returns the times without an answer, each about a second or longer."""
    health, middles_s = run.health, run.health.middles_s
    chosen = (health.lengths_s > WHOLE_S) & (run.window.from_s <= middles_s) & (middles_s < run.window.to_s)
    seconds, place = np.unique(np.rint(health["from_s"][chosen]), return_inverse=True)
    waiting_now = health["in_flight"] + health["backlog"]
    answered, waiting = (np.bincount(place, one[chosen]) for one in (health.rises("recorded"), waiting_now))
    if not len(seconds) or answered.sum() < FEWEST_PER_S * len(seconds):
        return []
    empty = [Window(int(at_s), int(at_s) + 1) for at_s in seconds[(answered == 0) & (waiting > 0)].tolist()]
    return _joined([*empty, *_silences(run)])


def _silences(run: Run) -> list[Window]:
    """Returns the times of the measured time in which no worker had an answer."""
    common = [run.window]
    silent = run.health.where(run.health["silent_to_s"] > run.health["silent_from_s"])
    if not len(silent) or len(silent.sizes) < len(run.health.sizes):
        return []
    windows = list(map(Window, silent["silent_from_s"].tolist(), silent["silent_to_s"].tolist()))
    for start, size in zip(silent.starts.tolist(), silent.sizes.tolist(), strict=True):
        own = _joined(windows[start : start + size])
        both = ((one, other) for one in common for other in own)
        common = [Window(max(a.from_s, b.from_s), min(a.to_s, b.to_s)) for a, b in both]
        common = [window for window in common if window.length_s >= LEAST_S]
    return common


def _joined(windows: list[Window]) -> list[Window]:
    """Returns them in their order, those that meet as one."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda one: one.from_s):
        if found and window.from_s <= found[-1].to_s:
            found[-1] = Window(found[-1].from_s, max(found[-1].to_s, window.to_s))
        else:
            found.append(window)
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
        f"the target stood still: from {longest.from_s:.1f} s on nobody was answered for {longest.length_s:.1f} s"
    )
    return msgspec.structs.replace(
        result, outcome=FAIL, message=message, needed=None, longer_s=None, hangs_on_delays=False
    )
