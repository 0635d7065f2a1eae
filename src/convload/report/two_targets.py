"""The charts of two targets that one run fired at in turns: each has a colour of its own, in all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from convload.comparison.two_targets import TargetWindow
from convload.plan.schedule import TARGETS
from convload.report.chart import Chart, Limit, Line, Look, histogram, percentiles
from convload.results.course import TARGET

_COLORS = {"A": "a", "B": "b"}
_TIMES: dict[str, Look] = {"p99": "thin", "p50": "bold"}


def columns(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns of a run with those of each target under its name."""
    views = [view for view in found["views"] if view["kind"] == TARGET]
    over_time = {f"{view['name']} {name}": view["columns"][name] for view in views for name in _TIMES}
    shapes = {f"{view['name']} {name}": column for view in views for name, column in view["shapes"].items()}
    return {"columns": {**found["columns"], **over_time}, "shapes": shapes}


def charts(limits: Sequence[Limit], clock: str, otherwise: str) -> list[Chart]:
    """Returns the charts of the times of both targets."""
    return [*_over_time(limits, clock, otherwise), *_distributions(limits, otherwise)]


def _over_time(limits: Sequence[Limit], clock: str, otherwise: str) -> list[Chart]:
    note = "How many requests took how long, by the colours below. The windows of each target have its colour."
    maps, heat = [], [Line("response", clock)]
    for one in TARGETS:
        title, view = f"{clock.capitalize()} of {one}, all requests", f"{TARGET} {one}"
        maps.append(Chart(f"heat-{one}", title, "ms", note, otherwise, "heat", lines=heat, limits=limits, view=view))
    lines = [
        Line(f"{target} {name}", f"{target} {name}", _COLORS[target], look, spans=True)
        for name, look in _TIMES.items()
        for target in TARGETS
    ]
    note = f"Of the {clock} of successful requests, each target in its windows."
    over = Chart("latency", "Percentiles over time", "ms", note, otherwise, lines=lines, limits=limits, can_log=True)
    return [*maps, over]


def _distributions(limits: Sequence[Limit], otherwise: str) -> list[Chart]:
    tails = [
        Line(f"{target} response_tail_ms", target, _COLORS[target], "bold", x=f"{target} response_tail_x")
        for target in TARGETS
    ]
    bars = [
        Line(f"{target} response_bars", target, _COLORS[target], "filled_steps", x=f"{target} response_bars_x")
        for target in TARGETS
    ]
    slowest = "How slow the slowest were: each step to the right of 90 % leaves a tenth of them."
    return [
        percentiles("distribution", slowest, otherwise, tails, limits),
        histogram("histogram", " by how long they took", otherwise, bars),
    ]


def turns(found: Sequence[TargetWindow]) -> tuple[Chart, dict[str, list[Any]]]:
    """Returns the chart of the windows of two targets, and its columns: None in those of the other target."""
    names = [(target, name) for name in ("p99", "p50") for target in TARGETS]
    columns: dict[str, list[Any]] = {"turns_t": [turn.starts_s + turn.duration_s / 2 for turn in found]}
    columns |= {
        f"turns {target} {name}": [turn.response_ms.get(name) if turn.target == target else None for turn in found]
        for target, name in names
        if any(turn.target == target and name in turn.response_ms for turn in found)
    }
    lines = [
        Line(f"turns {target} {name}", f"{target} {name}", _COLORS[target], _TIMES[name], spans=True)
        for target, name in names
        if f"turns {target} {name}" in columns
    ]
    title = "A and B, window by window"
    note = "Create latency of each window, by when requests were due (successful requests)."
    lacks = "" if lines else "No create request succeeded."
    return Chart("turns", title, "ms", note, lacks, x="turns_t", lines=lines, can_log=True), columns
