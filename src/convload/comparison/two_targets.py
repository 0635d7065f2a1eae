"""Compares two targets that one run fired at in turns: its windows, pair by pair, and what follows from them."""

from collections import defaultdict

import msgspec

from convload.comparison.batches import Batch, Stretch, batch_of
from convload.comparison.outcomes import (
    IMPROVED,
    REGRESSED,
    SAME,
    STATISTICS,
    UNKNOWN,
    Difference,
    Minimum,
    Outcome,
    Rule,
)
from convload.comparison.samples import TIMES
from convload.contract.steps import CREATE
from convload.plan.facts import OPEN, PlanFacts
from convload.plan.schedule import FEWEST_WINDOWS, SHORTEST_WINDOW_S, TARGETS, WINDOW_ORDER, StageMark
from convload.results.histogram import Statistics, short, statistics
from convload.results.measured import Figures
from convload.results.run import Run
from convload.results.runlog import MEASURE, Cell, RunLog
from convload.results.summary import Requests
from convload.results.window import Window

CONFIDENCE = 0.99
"""Of all statistics together, as for two runs."""


class TargetWindow(msgspec.Struct, frozen=True):
    """What one window measured of the create requests that were due in it."""

    target: str
    starts_s: float
    duration_s: float
    response_ms: Statistics


class TargetComparison(msgspec.Struct, frozen=True):
    """How target B compares with target A.

    `targets` are the URLs of A and B, `figures` their steps over the whole measured time. `windows` and `pairs` count
    those that were compared; windows of a last group of four that was cut short are `left_out`. In `differences` the
    base is A and what is new is B. `text` says it in a sentence without its end, `reasons` what is against B, or why
    nothing can be told.
    """

    targets: dict[str, str]
    window_s: float
    windows: int
    pairs: int
    left_out: int
    confidence: float
    minimum: Minimum
    outcome: Outcome
    text: str
    reasons: list[str]
    differences: list[Difference]
    figures: dict[str, dict[str, Requests]]
    compared: list[TargetWindow]


def compare_targets(run: Run) -> TargetComparison | None:
    """Compares a run's two targets, None where it has one; raises RunLogError where plan or times cannot be read."""
    plan = run.plan
    marks = [mark for mark in run.marks if mark.target and not mark.warmup]
    if not plan.target_b or not marks:
        return None
    minimum = Minimum()
    whole = whole_groups(marks, run.window, cut_short=run.cut_short or bool(run.log.damage))
    cells = _by_window(run)
    differences = _differences(whole, cells, plan, minimum)
    outcome, text, reasons = conclude_targets(differences, len(whole), marks)
    return TargetComparison(
        targets=dict(zip(TARGETS, (run.manifest.target, plan.target_b), strict=True)),
        window_s=marks[0].duration_s,
        windows=len(whole),
        pairs=len(whole) // len(TARGETS),
        left_out=len(marks) - len(whole),
        confidence=CONFIDENCE,
        minimum=minimum,
        outcome=outcome,
        text=text,
        reasons=reasons,
        differences=differences,
        figures={target: _figures(run, target) for target in TARGETS},
        compared=[_window(mark, run) for mark in whole],
    )


def whole_groups(marks: list[StageMark], within: Window, *, cut_short: bool) -> list[StageMark]:
    """Returns the windows of the groups A B B A that lie within the measured time to their end.

    Only a whole group is fair to both where something drifts. A run that was not cut short has whole groups alone; its
    last result may come a little before the last window's end.
    """
    groups = [marks[at : at + len(WINDOW_ORDER)] for at in range(0, len(marks), len(WINDOW_ORDER))]
    return [
        mark
        for group in groups
        if len(group) == len(WINDOW_ORDER) and not (cut_short and _ends_s(group[-1]) > within.to_s)
        for mark in group
    ]


def stages_of(log: RunLog, target: str) -> frozenset[str]:
    """Returns the names of a target's measured windows, which the cells of its requests carry."""
    return frozenset(mark.name for mark in log.stages if mark.target == target and not mark.warmup)


def _ends_s(mark: StageMark) -> float:
    return mark.starts_s + mark.duration_s


def _by_window(run: Run) -> dict[str, dict[str, list[Cell]]]:
    """Returns the measured cells of each step and window; a request belongs to the window that it was due in."""
    found: dict[str, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in (cell for interval in run.results for cell in interval.cells):
        if cell.phase == MEASURE and cell.stage:
            found[cell.step][cell.stage].append(cell)
    return found


def _differences(
    marks: list[StageMark], cells: dict[str, dict[str, list[Cell]]], plan: PlanFacts, minimum: Minimum
) -> list[Difference]:
    """Compares each step; create comes first. All statistics of all steps share the risk of a false alarm.

    The rate of an open load is its schedule, and not what a target does.
    """
    # Costs 0.3 s, which a run with one target should not wait for.
    from convload.comparison.within import compare_paired  # noqa: PLC0415 -- as said

    names = [name for name in STATISTICS if name != "rate" or plan.model != OPEN]
    steps = sorted({CREATE, *cells}, key=lambda step: (step != CREATE, step))
    rule = Rule(CONFIDENCE, minimum)
    found = []
    for step in steps:
        side_a, side_b = (_batches(marks, cells.get(step, {}), target) for target in TARGETS)
        found += compare_paired(side_a, side_b, rule, step, names=names, steps=len(steps))
    return found


def _batches(marks: list[StageMark], cells: dict[str, list[Cell]], target: str) -> list[Batch]:
    """Returns the windows of a target in order: number i of A is the partner of number i of B."""
    return [
        batch_of(
            [(cell, False) for cell in cells.get(mark.name, [])], Stretch(mark.starts_s, _ends_s(mark)), "response"
        )
        for mark in marks
        if mark.target == target
    ]


def conclude_targets(
    differences: list[Difference], windows: int, marks: list[StageMark]
) -> tuple[Outcome, str, list[str]]:
    """Returns what follows from all differences together, its sentence, and the reasons against B or for doubt.

    That B is no slower is said only where a time of the create request could be told.
    """
    regressed = [one for one in differences if one.outcome == REGRESSED]
    improved = [one for one in differences if one.outcome == IMPROVED]
    known = [one for one in differences if one.outcome != UNKNOWN]
    times = [one for one in known if one.step == CREATE and one.statistic in TIMES]
    if regressed:
        reasons = [f"B regressed from A: {describe(one)}" for one in regressed]
        return REGRESSED, reasons[0], reasons
    if not times:
        measured_s = sum(mark.duration_s for mark in marks)
        reason = too_few(windows, marks[0].duration_s, measured_s) or _why_unknown(differences)
        return UNKNOWN, reason, [reason]
    left = len(differences) - len(known)
    rest = f"; of {left} of {len(differences)} statistics the run cannot tell" if left else ""
    if improved:
        best = next((one for one in reversed(improved) if one.step == CREATE), improved[0])
        return IMPROVED, f"B improved on A: {describe(best)}; nothing regressed{rest}", []
    return SAME, f"B is no slower than A beyond noise: {describe(times[-1])}{rest}", []


def describe(one: Difference) -> str:
    """Writes a difference and its interval in a line: in percent of A, a share of errors in percentage points."""
    step = one.step.removeprefix("conversation.")
    by_share = one.statistic == "errors"
    scale, unit = (1.0, "percentage points") if by_share or not one.base else (100 / one.base, "%")
    ends = [f"{value * scale:+.1f}" for value in (one.difference, one.low, one.high) if value is not None]
    interval = f" ({' to '.join(ends[1:])} {unit})" if len(ends) == 1 + len(("low", "high")) else ""
    return f"{step} {one.statistic} {ends[0] if ends else '?'} {unit}{interval}{_values(one)}"


def _values(one: Difference) -> str:
    if one.outcome == SAME or one.base is None or one.new is None:
        return ""
    unit = {"/s": "/s", "%": " %"}.get(one.unit, f" {one.unit}")
    return f", {short(one.new)}{unit} instead of {short(one.base)}{unit}"


def too_few(windows: int, window_s: float, duration_s: float) -> str:
    """Says how long a run must be for its windows to be enough, or how short they; empty if they are."""
    if windows >= FEWEST_WINDOWS:
        return ""
    shorter_s = int(100 * duration_s / FEWEST_WINDOWS) / 100
    shorter = f", or windows of {shorter_s:g} s" if shorter_s >= SHORTEST_WINDOW_S else ""
    return (
        f"A and B cannot be compared: {FEWEST_WINDOWS // len(TARGETS)} pairs of windows are needed, there are "
        f"{windows // len(TARGETS)}; it takes {short(FEWEST_WINDOWS * window_s)} s of measuring with windows of "
        f"{short(window_s)} s{shorter}"
    )


def _why_unknown(differences: list[Difference]) -> str:
    times = [one for one in differences if one.step == CREATE and one.statistic in TIMES]
    why = "; ".join(f"{one.statistic}: {one.why}" for one in times)
    return f"whether B is slower than A cannot be told: {why}"


def _figures(run: Run, target: str) -> dict[str, Requests]:
    own = stages_of(run.log, target)
    return {
        step: run.requests_of(
            Figures.merged(part for (name, _, stage), part in run.parts.items() if name == step and stage in own)
        )
        for step in run.steps
    }


def _window(mark: StageMark, run: Run) -> TargetWindow:
    figures = run.stages.get(mark.name)
    return TargetWindow(mark.target, mark.starts_s, mark.duration_s, statistics(figures.response) if figures else {})
