"""Draws figures as Mermaid charts, which GitHub and GitLab render inside Markdown."""

import math
from collections.abc import Callable, Sequence

from convload.report.document import Diagram
from convload.results.series import WARMUP, Second, every_second

MOST_POINTS = 60
"""Of a line: more are lost in the width of a comment, and GitHub refuses sources over 50,000 characters."""


def charts(series: Sequence[Second]) -> list[Diagram]:
    """Returns the charts of times and of rates; none where nothing was measured.

    Where a point stands for several seconds it is the highest of their percentiles, which are never averaged, and
    the mean of their rates.
    """
    if not series:
        return []
    bins = _bins(series)
    width_s = max(len(part) for part in bins)
    seconds = f'"seconds since the start" {series[0].t_s} --> {series[-1].t_s + 1}'
    times = draw(
        f"Response times in ms of successful creates: the upper line is p99, the lower p50"
        f"{_stands_for(width_s, 'highest')}; 0 where none succeeded{_warmup(series)}.",
        ("Response time, p50 and p99", "ms", seconds),
        {name: [_highest(part, name) for part in bins] for name in ("p50", "p99")},
    )
    rates = draw(
        f"Create requests per second: the upper line is all that ended, the lower those that failed"
        f"{_stands_for(width_s, 'mean')}.",
        ("Requests and errors per second", "per s", seconds),
        {
            "ended": [_mean(part, lambda second: second.requests_per_s) for part in bins],
            "failed": [_mean(part, lambda second: sum(second.errors_per_s.values())) for part in bins],
        },
    )
    return [times, rates]


def draw(caption: str, labels: tuple[str, str, str], lines: dict[str, list[float]]) -> Diagram:
    """Returns a chart of lines by their name; `labels` are its title, the unit, and the x-axis as Mermaid reads it.

    Mermaid spreads the points of a line evenly, so an axis of numbers is for points that are evenly apart alone.
    """
    title, unit, x_axis = labels
    top = max(max(values) for values in lines.values()) or 1.0
    source = [
        "xychart-beta",
        f'    title "{title}"',
        f"    x-axis {x_axis}",
        f'    y-axis "{unit}" 0 --> {_number(top)}',
        *(f'    line "{name}" [{", ".join(map(_number, values))}]' for name, values in lines.items()),
    ]
    return Diagram(caption, "\n".join(source))


_Bin = list[Second | None]
"""Seconds that follow one another; None for one in which no worker reported."""


def _bins(series: Sequence[Second]) -> list[_Bin]:
    every = list(every_second(series).values())
    width = math.ceil(len(every) / MOST_POINTS)
    return [every[at : at + width] for at in range(0, len(every), width)]


def _highest(part: _Bin, name: str) -> float:
    return max((second.response_ms.get(name, 0.0) for second in part if second), default=0.0)


def _mean(part: _Bin, figure: Callable[[Second], float]) -> float:
    return sum(figure(second) for second in part if second) / len(part)


def _stands_for(width_s: int, statistic: str) -> str:
    return "" if width_s == 1 else f"; each point is the {statistic} of {width_s} s"


def _warmup(series: Sequence[Second]) -> str:
    ends_s = max((second.t_s + 1 for second in series if second.phase == WARMUP), default=0)
    return f"; the first {ends_s} s are warm-up" if ends_s else ""


def _number(value: float) -> str:
    """Writes a number as Mermaid reads it: no exponent, no grouping; at least 0.01 where it is more than nothing."""
    return f"{max(value, 0.01):.2f}".rstrip("0").rstrip(".") if value else "0"
