"""Draws docs/gates.svg, two runs of one queue with naive and with true bounds: `python -m bench.gates_picture`.

The queue is M/M/8, 90 % busy, of which the true p99 is known. Of `RUNS` simulated runs those are shown
whose measured p99 is at the lower and at the upper quartile: neither is a rare one.
"""

import math
from pathlib import Path
from typing import NamedTuple

from bench.coverage import CONFIDENCE, cut_in_batches
from bench.queues import Case, Floats, erlang_ms, exponential, simulate

from convload.judging.dependence import INDEPENDENT, LEVELS, of_times
from convload.judging.estimates import Confidences, percentile_bounds_us

PICTURE = Path(__file__).parent.parent / "docs" / "gates.svg"
QUEUE = Case("M/M/8", 8, 0.9, exponential)
LENGTH_S, RUNS, PERCENT = 600, 20, 99.0
WIDTH, HEIGHT, MARGIN, LEFT, RIGHT, TOP = 820, 290, 20, 370, 790, 66
ROW_HEIGHT = 88
INK, MUTED, TRUE, NAIVE, TRUTH = "#1f2933", "#5b6770", "#1a6fb5", "#c2410c", "#15803d"

Bounds = tuple[float, float]


class Run(NamedTuple):
    """What one run says of the p99, in ms, and what its requests are worth."""

    requests: int
    worth: int
    p99: float
    naive: Bounds
    true: Bounds


class Scale(NamedTuple):
    """What lies at the left end and at the right one, in ms."""

    low: float
    high: float

    def x(self, ms: float) -> float:
        """Returns where a time stands."""
        return LEFT + (RIGHT - LEFT) * (ms - self.low) / (self.high - self.low)


def true_ms(percent: float) -> float:
    """Returns a percentile of the queue's response."""
    return erlang_ms(QUEUE.servers, QUEUE.busy, percent)


def measured() -> list[Run]:
    """Returns the runs, judged as a gate judges them, by their p99."""
    simulated = simulate(QUEUE, RUNS, LENGTH_S, seed=1)
    return sorted(
        (_judged(*one) for one in zip(simulated.due_s, simulated.response_ms, strict=True)), key=lambda r: r.p99
    )


def _judged(due_s: Floats, response_ms: Floats) -> Run:
    parts, whole = cut_in_batches(due_s, response_ms, LENGTH_S)
    dependence = of_times(parts, whole.percentiles([PERCENT, *LEVELS]), LENGTH_S)
    sure = Confidences(CONFIDENCE, CONFIDENCE)
    naive, true = (percentile_bounds_us(whole, PERCENT, sure, one) for one in (INDEPENDENT, dependence))
    return Run(
        whole.count,
        math.floor(dependence.worth(whole.count, CONFIDENCE)),
        whole.percentile(PERCENT) / 1000,
        _ms(naive),
        _ms(true),
    )


def _ms(bounds_us: tuple[int | None, int | None]) -> Bounds:
    low, high = bounds_us
    return (low or 0) / 1000, math.inf if high is None else high / 1000


def misses(bounds: Bounds, truth_ms: float) -> bool:
    """Says whether bounds leave the truth out."""
    return not bounds[0] <= truth_ms <= bounds[1]


def draw(runs: list[Run], truth_ms: float) -> str:
    """Returns the picture."""
    shown = [runs[len(runs) // 4], runs[-1 - len(runs) // 4]]
    scale = Scale(min(run.true[0] for run in shown), max(run.true[1] for run in shown))
    at, bottom = scale.x(truth_ms), TOP + len(shown) * ROW_HEIGHT
    queue = f"{QUEUE.name}, {100 * QUEUE.busy:g} % busy, {LENGTH_S // 60} min"
    naive, true = (sum(misses(one, truth_ms) for one in kind) for kind in zip(*_bounds(runs), strict=True))
    found = f"Of {len(runs)} such runs the naive bounds miss the truth in {naive}, those of a gate in {true}."
    how = "Bounds of 99 % each. Shown are the runs at the lower and at the upper quartile of the measured p99."
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" role="img" aria-label="{queue}. {found}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(MARGIN, 24, f"Two runs of one queue: {queue}", INK, 16),
        _line((at, 52), (at, bottom), TRUTH, 'stroke-width="2" stroke-dasharray="5 4"'),
        _text(at, 46, f"true p99: {truth_ms:.0f} ms", TRUTH, anchor="middle"),
        *(part for n, run in enumerate(shown) for part in _row(run, n, scale)),
        _text(MARGIN, bottom + 22, found, INK),
        _text(MARGIN, bottom + 42, how, MUTED, 12),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bounds(runs: list[Run]) -> list[tuple[Bounds, Bounds]]:
    return [(run.naive, run.true) for run in runs]


def _row(run: Run, n: int, scale: Scale) -> list[str]:
    top = TOP + n * ROW_HEIGHT
    naive, true = (f"{low:.0f} to {high:.0f} ms" for low, high in (run.naive, run.true))
    return [
        _text(MARGIN, top + 12, f"{('A lucky run', 'An unlucky run')[n]}: p99 {run.p99:.0f} ms", INK),
        *_bar(run.naive, run.p99, top + 30, scale, NAIVE),
        _text(MARGIN, top + 34, f"as {run.requests:,} independent requests: {naive}", NAIVE, 13),
        *_bar(run.true, run.p99, top + 56, scale, TRUE),
        _text(MARGIN, top + 60, f"as the {run.worth:,} that they are worth: {true}", TRUE, 13),
    ]


def _bar(bounds: Bounds, middle: float, y: float, scale: Scale, colour: str) -> list[str]:
    low, high = (scale.x(one) for one in bounds)
    ends = [_line((at, y - 6), (at, y + 6), colour, 'stroke-width="2"') for at in (low, high)]
    dot = f'<circle cx="{scale.x(middle):.1f}" cy="{y:g}" r="5" fill="{colour}"/>'
    return [_line((low, y), (high, y), colour, 'stroke-width="4"'), *ends, dot]


def _line(begin: tuple[float, float], end: tuple[float, float], colour: str, style: str) -> str:
    ends = f'x1="{begin[0]:.1f}" y1="{begin[1]:g}" x2="{end[0]:.1f}" y2="{end[1]:g}"'
    return f'<line {ends} stroke="{colour}" {style}/>'


def _text(x: float, y: float, said: str, colour: str, size: int = 14, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{said}</text>'


if __name__ == "__main__":
    PICTURE.write_text(draw(measured(), true_ms(PERCENT)), encoding="utf-8")
