"""The charts of a comparison: how the times of each step were distributed on both sides."""

from collections.abc import Mapping, Sequence
from typing import Any

from convload.comparison.sides import Steps
from convload.report.chart import Chart, Line, histogram, percentiles
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
    sides = [(side, f"{side} {step} times", color) for side, color in SIDES.items()]
    tails = [Line(f"{name}_tail_ms", side, color, "bold", x=f"{name}_tail_x") for side, name, color in sides]
    bars = [Line(f"{name}_bars", side, color, "filled_steps", x=f"{name}_bars_x") for side, name, color in sides]
    slowest = f"Of the {clock} time of successful requests: each step to the right of 90 % leaves a tenth of them."
    return [
        percentiles(f"{step}-distribution", slowest, "", tails),
        histogram(f"{step}-histogram", " by how long they took", "", bars),
    ]
