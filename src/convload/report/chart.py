"""What a chart is: a declaration that says what is drawn, of which columns, against which limits."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Kind = Literal["lines", "stack", "heat"]
Axis = Literal["time", "percent", "log", "number", "run"]
Look = Literal["line", "bold", "thin", "dots", "spots", "area", "steps", "filled_steps", "joined", "level"]
Way = Literal["worse", "better", "changed"]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column, its name in the legend, and how it is drawn; `x` where it has points of its own.

    `right`: its values are on the axis to the right. `spans`: it goes on over what was not measured. With `to` the area
    to that other column is filled and named `between`.
    """

    column: str
    label: str
    color: str = "c1"
    look: Look = "line"
    unit: str = ""
    x: str = ""
    right: bool = False
    spans: bool = False
    to: str = ""
    between: str = ""


class Limit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line at a value on the axis `across`: what a gate allows. `place` is the view that it is about, "" any."""

    value: float
    label: str
    place: str = ""
    across: Literal["y", "x"] = "y"


class Change(msgspec.Struct, frozen=True):
    """A change of level: run number `at` (from 0) is the first of the new one."""

    at: int
    way: Way


class Band(msgspec.Struct, frozen=True):
    """An interval across a chart; one without a high end reaches to the edge."""

    low: float
    high: float | None
    across: Literal["x", "y"] = "x"


class Chart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A chart of a page; the scripts draw it from its declaration alone, `otherwise` stands where nothing is to draw.

    `x` is the column along, `along` what it is: time is linked among charts. `log` lets the reader choose; None starts
    as the spread of the values asks. `by_view`: its columns are those of the step, variant or target that is chosen;
    `view` is the one that it is always of.
    """

    name: str
    title: str
    unit: str = ""
    note: str = ""
    otherwise: str = ""
    kind: Kind = "lines"
    x: str = "t"
    along: Axis = "time"
    lines: Sequence[Line] = ()
    limits: Sequence[Limit] = ()
    by_view: bool = False
    view: str = ""
    can_log: bool = False
    right: str = ""
    least_top: float | None = None
    is_signed: bool = False
    changes: Sequence[Change] = ()
    band: Band | None = None


def percentiles(
    name: str, note: str, otherwise: str, lines: Sequence[Line], limits: Sequence[Limit] = (), *, by_view: bool = False
) -> Chart:
    """Returns the chart of the slowest: times by the share of requests that were faster."""
    return Chart(
        name,
        "Percentile distribution",
        "ms",
        note,
        otherwise,
        x=lines[0].x,
        along="percent",
        lines=lines,
        limits=limits,
        by_view=by_view,
        can_log=True,
    )


def histogram(
    name: str, note: str, otherwise: str, lines: Sequence[Line], limits: Sequence[Limit] = (), *, by_view: bool = False
) -> Chart:
    """Returns the chart of how many requests took how long."""
    shown = f"Successful requests{note}; the times are on a log scale."
    x = lines[0].x
    return Chart(
        name, "Histogram", "requests", shown, otherwise, x=x, along="log", lines=lines, limits=limits, by_view=by_view
    )
