"""Says how much longer the warm-up should have been: the first seconds of the measured time that are not like the rest.

Where they end is found by MSER (White, "An effective truncation heuristic for bias reduction in simulation output",
Simulation 69, 1997), which leaves out as many of the first batches as make the mean of the others surest; the batches
are seconds here, by the logarithm of their median service time. It leaves some out of steady runs, too: chance has it.
So they must also lie far from the rest, by as many of its standard errors as a busy queue that never changes reaches
once or twice in a hundred runs (`make bench BENCH_ONLY=steadiness`).
"""

import math
from collections.abc import Sequence

import numpy as np

from convload.results.drift import MEDIAN, Trend, matters, resemblance, stretches, whole_seconds
from convload.results.histogram import short
from convload.results.run import Run
from convload.results.window import EDGE_S

FAR = 6.0
"""Standard errors of a mean of so many seconds, whose neighbours resemble each other."""

LONGEST_SHARE = 1 / 3
"""Of a stretch. What takes longer to settle is no transient but a trend, which is looked for by itself."""


def settling_notes(run: Run) -> list[str]:
    """Returns a note where the measured time begins before the target has settled."""
    found = next(iter(stretches(run).values()), None)
    if found is None or found.from_s > run.window.from_s + EDGE_S:
        return []  # the load itself changes at first
    medians = [row.service_ms["p50"] for row in whole_seconds(run.series, found) if row.service_ms.get("p50")]
    limits = run.plan.validity
    seconds = settled_after(medians) if len(medians) >= limits.trend_seconds else 0
    if not seconds:
        return []
    first, rest = (float(np.median(part)) for part in (medians[:seconds], medians[seconds:]))
    if not matters(MEDIAN, Trend(0.0, rest, first), first - rest, limits):
        return []
    enough = short(run.plan.warmup_s + seconds)
    note = (
        f"the first {seconds} s of the measured time were not like the rest: their median service time was "
        f"{short(first)} ms, then {short(rest)} ms; they count, and a warm-up of {enough} s would have left them out"
    )
    return [note]


def settled_after(medians: Sequence[float]) -> int:
    """Returns after how many seconds a series is like the rest, 0 where it is from its beginning."""
    logs = np.log(medians)
    count = len(logs)
    left_out = np.arange(math.floor(LONGEST_SHARE * count) + 1)
    spreads = [float(np.var(logs[n:])) / (count - n) for n in left_out]
    seconds = int(np.argmin(spreads))
    rest = logs[seconds:]
    if not seconds:
        return 0
    error = float(np.std(rest, ddof=1)) * math.sqrt(resemblance(rest) / seconds)
    return seconds if abs(float(logs[:seconds].mean() - rest.mean())) > FAR * error else 0
