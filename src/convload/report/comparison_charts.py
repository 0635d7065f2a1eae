"""The charts of a comparison: how the times of each step were distributed on both sides."""

from collections.abc import Mapping, Sequence
from typing import Any

from convload.comparison.sides import Steps
from convload.report.chart import Chart, Line
from convload.report.course_data import shapes
from convload.results.histogram import Histogram

SIDES = {"base": "a", "new": "b"}
"""The colour of each."""


def columns(sides: Mapping[str, Sequence[Steps]], clock: str) -> dict[str, Any]:
    """Returns the shapes of all steps, of what each run measured of a step; repeated runs are added up."""
    found: dict[str, Any] = {}
    for side, runs in sides.items():
        for step in dict.fromkeys(step for run in runs for step in run):
            parts = [run[step] for run in runs if step in run]
            times = Histogram.merged(getattr(part, clock) for part in parts)
            found |= shapes({"times": times}, f"{side} {step} ")
    return {"shapes": found}


def charts(step: str, clock: str) -> list[Chart]:
    """Returns the charts of a step."""
    return [
        Chart(
            f"{step}-distribution",
            "Percentile distribution",
            "ms",
            f"Of the {clock} time of successful requests: each step to the right of 90 % leaves a tenth of them.",
            x=f"base {step} times_tail_x",
            along="percent",
            lines=[
                Line(f"{side} {step} times_tail_ms", side, color, "bold", x=f"{side} {step} times_tail_x")
                for side, color in SIDES.items()
            ],
            can_log=True,
        ),
        Chart(
            f"{step}-histogram",
            "Histogram",
            "requests",
            "Successful requests by how long they took; the times are on a log scale.",
            x=f"base {step} times_bars_x",
            along="log",
            lines=[
                Line(f"{side} {step} times_bars", side, color, "filled_steps", x=f"{side} {step} times_bars_x")
                for side, color in SIDES.items()
            ],
        ),
    ]
