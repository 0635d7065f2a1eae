"""The charts of a run's page: what each shows, and the figures behind them as plain columns."""

from collections import Counter
from typing import Any

from convload.comparison.conclusion import Conclusion
from convload.plan.facts import OPEN
from convload.plan.schedule import TARGETS
from convload.report import document as doc
from convload.results.series import CLEANUP, WARMUP, Second, every_second

_KINDS = 6
"""Error kinds with a colour of their own; the rest are drawn as one."""

_OTHER = "other kinds"


def data(conclusion: Conclusion) -> dict[str, Any]:
    """Returns the columns: times at the middle of their second, None where nothing was measured."""
    rows = every_second(conclusion.series)
    has_two_clocks = len({part.clock for part in conclusion.distributions}) > 1
    return {
        "t": [t_s + 0.5 for t_s in rows],
        "open": conclusion.summary.model == OPEN,
        "latency": {name: [row and row.response_ms.get(name) for row in rows.values()] for name in _TIMES},
        "service_p99": [row and row.service_ms.get("p99") for row in rows.values()],
        "lateness": {name: [row and row.lateness_ms.get(name) for row in rows.values()] for name in _LATENESS},
        **{name: [row and getattr(row, name) for row in rows.values()] for name in _COLUMNS},
        "cpu_percent": [row and round(100 * row.cpu_share, 1) for row in rows.values()],
        "errors": _errors(list(rows.values())),
        "warmup_to_s": max((row.t_s + 1 for row in conclusion.series if row.phase == WARMUP), default=None),
        "cleanup_from_s": min((row.t_s for row in conclusion.series if row.phase == CLEANUP), default=None),
        "stages": [
            {"name": doc.brief(mark.name, _STAGE_LETTERS), "from_s": mark.starts_s}
            for mark in conclusion.stages
            # The windows of two targets would be dozens of lines.
            if not (mark.warmup or mark.target)
        ],
        "turns": _turns(conclusion),
        "distributions": [
            {
                "step": part.step,
                "clock": part.clock,
                "label": f"{part.step}, {part.clock} time" if has_two_clocks else part.step,
                "x": [round(1 / (1 - percent / 100), 6) for percent in part.percents],
                "ms": part.ms,
            }
            for part in conclusion.distributions
        ],
    }


NOTE = (
    "Shaded: not measured (warm-up, and what came after the end). Drag to zoom, double-click to go back; a click on a "
    "legend entry hides or shows its line. With few requests in a second its p99 is its maximum."
)


def of_run(conclusion: Conclusion) -> list[doc.Chart]:
    """Returns the charts of every run."""
    rows, is_open = conclusion.series, conclusion.summary.model == OPEN
    latency = f"Percentiles and maximum of each second ({_clock(conclusion)} of successful requests"
    latency += "; dashed: the p99 of the service time alone)." if is_open else ")."
    tail = "How slow the slowest were: each step to the right of 90 % leaves a tenth of the requests."
    tail += " Dashed: the service time alone." if is_open else ""
    lacks_time = _unless(any(row.response_ms for row in rows), "No create request succeeded.")
    lacks_tail = _unless(any(part.ms for part in conclusion.distributions), "No request succeeded after the warm-up.")
    lacks_error = _unless(any(row.errors_per_s for row in rows), "No create request failed.")
    return [
        doc.Chart("latency", "Create latency", "ms", latency, otherwise=lacks_time, log=True),
        doc.Chart("distribution", "Percentile distribution", "ms", tail, otherwise=lacks_tail, log=True),
        *(_of_open(rows) if is_open else _of_closed(rows)),
        doc.Chart(
            "errors", "Errors by kind", "requests/s", "Failed create requests of each second, stacked.", lacks_error
        ),
    ]


def of_turns(conclusion: Conclusion) -> doc.Charts:
    """Returns the chart of two targets."""
    note = f"Create latency of each window, by when requests were due ({_clock(conclusion)} of successful requests)."
    found = conclusion.target_comparison.compared if conclusion.target_comparison else []
    otherwise = _unless(any("p50" in turn.response_ms for turn in found), "No create request succeeded.")
    return doc.Charts([doc.Chart("turns", "A and B", "ms", note, otherwise)])


def _of_open(rows: list[Second]) -> list[doc.Chart]:
    offered = "Arrivals that came due and create requests answered in each second."
    queue = "At the end of each second: requests without an answer yet, and arrivals without a free user."
    late = "From when a request was due to when it was sent: the wait for a free user, or a slow generator."
    cpu = "CPU time of the busiest worker (left) and the longest delay of its event loop (right) in each second."
    lacks_row = _unless(bool(rows), "No second was recorded.")
    lacks_time = _unless(any(row.lateness_ms for row in rows), "No create request succeeded.")
    return [
        doc.Chart("throughput", "Offered and answered", "requests/s", offered, lacks_row),
        doc.Chart("queue", "In flight and waiting", "requests", queue, lacks_row),
        doc.Chart("lateness", "Lateness", "ms", late, lacks_time, log=True),
        doc.Chart("generator", "Load generator", "% of a core, ms", cpu, lacks_row),
    ]


def _of_closed(rows: list[Second]) -> list[doc.Chart]:
    note = "Create requests answered in each second, with users and requests in flight on the right axis."
    return [doc.Chart("throughput", "Throughput", "requests/s", note, _unless(bool(rows), "No second was recorded."))]


def _unless(measured: bool, text: str) -> str:
    return "" if measured else text


def _clock(conclusion: Conclusion) -> str:
    return "response time" if conclusion.summary.model == OPEN else "service time"


_TIMES = ("p50", "p90", "p99", "max")
_TURN_TIMES = ("p99", "p50")
_COLUMNS = ("offered_per_s", "requests_per_s", "ok_per_s", "in_flight", "users", "backlog", "hub_delay_ms")
_LATENESS = ("p50", "p99", "max")
_STAGE_LETTERS = 40


def _turns(conclusion: Conclusion) -> dict[str, Any]:
    """Returns a column of each target's p50 and p99 over the windows, None in those of the other target."""
    found = conclusion.target_comparison.compared if conclusion.target_comparison else []
    return {
        "t": [turn.starts_s + turn.duration_s / 2 for turn in found],
        "lines": [
            {
                "target": target,
                "name": name,
                "ms": [turn.response_ms.get(name) if turn.target == target else None for turn in found],
            }
            for name in _TURN_TIMES
            for target in TARGETS
            if any(turn.target == target and name in turn.response_ms for turn in found)
        ],
    }


def _errors(rows: list[Second | None]) -> list[dict[str, Any]]:
    totals: Counter[str] = Counter()
    for row in rows:
        totals.update({kind: 1 + int(1000 * rate) for kind, rate in (row.errors_per_s if row else {}).items()})
    ranked = [kind for kind, _ in totals.most_common()]
    kept, rest = ranked[:_KINDS], ranked[_KINDS:]
    columns = [{"kind": kind, "per_s": [_rate(row, [kind]) for row in rows]} for kind in kept]
    return columns + ([{"kind": _OTHER, "per_s": [_rate(row, rest) for row in rows]}] if rest else [])


def _rate(row: Second | None, kinds: list[str]) -> float:
    return round(sum(row.errors_per_s.get(kind, 0.0) for kind in kinds), 3) if row else 0.0
