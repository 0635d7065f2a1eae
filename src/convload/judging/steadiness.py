"""Tests whether a run was steady where its load was constant."""

import msgspec

from convload.judging.finding import Finding
from convload.plan.limits import ValidityLimits
from convload.results.measured import Window
from convload.results.percentiles import short
from convload.results.runlog import RunLog
from convload.results.series import Second
from convload.results.summary import Summary
from convload.results.trend import Trend, stretches, trend, whole_seconds


class Steadiness(msgspec.Struct, frozen=True):
    """What the test found, and what it could not look at."""

    findings: list[Finding]
    left_out: list[str]


def examine_steadiness(
    log: RunLog, summary: Summary, series: list[Second], within: Window, limits: ValidityLimits
) -> Steadiness:
    """Tests each stretch of constant load; several share the significance among them (Bonferroni)."""
    medians = {
        name: [row.service_ms["p50"] for row in whole_seconds(series, stretch) if row.service_ms]
        for name, stretch in stretches(log, summary, within).items()
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
