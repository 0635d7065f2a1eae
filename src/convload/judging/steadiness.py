"""Tests whether a run was steady where its load was constant."""

import msgspec

from convload.judging.finding import Finding
from convload.results.percentiles import short
from convload.results.run import Run
from convload.results.trend import Trend, stretches, trend, whole_seconds


class Steadiness(msgspec.Struct, frozen=True):
    """What the test found, and what it could not look at."""

    findings: list[Finding]
    left_out: list[str]


def examine_steadiness(run: Run) -> Steadiness:
    """Tests each stretch of constant load; several share the significance among them (Bonferroni)."""
    limits = run.plan.validity
    medians = {
        name: [row.service_ms["p50"] for row in whole_seconds(run.series, stretch) if row.service_ms]
        for name, stretch in stretches(run).items()
    }
    tested = {name: values for name, values in medians.items() if len(values) >= limits.trend_seconds}
    if not tested:
        longest = max((len(values) for values in medians.values()), default=0)
        needed = f"it needs {limits.trend_seconds} s of constant load, the longest stretch has {longest} s"
        return Steadiness([], [f"whether the run was steady: {needed}"])
    significance = limits.trend_significance / len(tested)
    trends = {name: trend(values) for name, values in tested.items()}
    return Steadiness(
        [
            Finding("not_steady", _text(name, found))
            for name, found in trends.items()
            if found.p < significance and abs(found.change) > limits.trend_change
        ],
        [],
    )


def _text(name: str, found: Trend) -> str:
    way = "rose" if found.change > 0 else "fell"
    return (
        f"not steady: in {name} the median service time {way} from {short(found.first)} ms in the first third to "
        f"{short(found.last)} ms in the last (Mann-Kendall p = {found.p:.2g}); "
        "the warm-up was too short or the target drifts"
    )
