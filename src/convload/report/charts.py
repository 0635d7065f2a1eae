"""The charts of a run's page: what each shows, and the figures behind them as plain columns."""

from collections import Counter
from typing import Any

from convload.comparison.conclusion import Conclusion
from convload.plan.facts import OPEN
from convload.plan.schedule import TARGETS
from convload.report.document import Chart, brief
from convload.results.series import CLEANUP, WARMUP, Second

_KINDS = 6
"""Error kinds with a colour of their own; the rest are drawn as one."""

_OTHER = "other kinds"


def data(conclusion: Conclusion) -> dict[str, Any]:
    """Returns the columns: times at the middle of their second, None where nothing was measured."""
    rows = _every_second(conclusion.series)
    return {
        "t": [t_s + 0.5 for t_s in rows],
        "open": conclusion.summary.model == OPEN,
        "latency": {name: [row and row.response_ms.get(name) for row in rows.values()] for name in _TIMES},
        "service_p99": [row and row.service_ms.get("p99") for row in rows.values()],
        "lateness": {name: [row and row.lateness_ms.get(name) for row in rows.values()] for name in _LATENESS},
        "offered_per_s": [row and row.offered_per_s for row in rows.values()],
        "requests_per_s": [row and row.requests_per_s for row in rows.values()],
        "ok_per_s": [row and row.ok_per_s for row in rows.values()],
        "in_flight": [row and row.in_flight for row in rows.values()],
        "users": [row and row.users for row in rows.values()],
        "backlog": [row and row.backlog for row in rows.values()],
        "cpu_percent": [row and round(100 * row.cpu_share, 1) for row in rows.values()],
        "hub_delay_ms": [row and row.hub_delay_ms for row in rows.values()],
        "errors": _errors(list(rows.values())),
        "warmup_to_s": max((row.t_s + 1 for row in conclusion.series if row.phase == WARMUP), default=None),
        "cleanup_from_s": min((row.t_s for row in conclusion.series if row.phase == CLEANUP), default=None),
        "stages": [
            {"name": brief(mark.name, _STAGE_LETTERS), "from_s": mark.starts_s}
            for mark in conclusion.stages
            # The windows of two targets would be dozens of lines.
            if not (mark.warmup or mark.target)
        ],
        "turns": _turns(conclusion),
        "distributions": [
            {
                "step": part.step,
                "clock": part.clock,
                "label": f"{part.step}, {part.clock} time" if _has_two_clocks(conclusion) else part.step,
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

_NO_SUCCESS = "No create request succeeded."
_NO_SECOND = "No second was recorded."


def of_run(conclusion: Conclusion) -> list[Chart]:
    """Returns the charts of every run."""
    is_open = conclusion.summary.model == OPEN
    rows = conclusion.series
    recorded = "" if rows else _NO_SECOND
    dashed = "; dashed: the p99 of the service time alone" if is_open else ""
    return [
        Chart(
            name="latency",
            title="Create latency",
            unit="ms",
            label="Line chart of create latency percentiles for each second",
            note=f"Percentiles and maximum of each second ({_clock(conclusion)} of successful requests{dashed}).",
            otherwise="" if any(row.response_ms for row in rows) else _NO_SUCCESS,
            log=True,
        ),
        Chart(
            name="distribution",
            title="Percentile distribution",
            unit="ms",
            label="Line chart of latency by percentile for each step",
            note="How slow the slowest were: each step to the right of 90 % leaves a tenth of the requests."
            + " Dashed: the service time alone." * is_open,
            otherwise=""
            if any(part.ms for part in conclusion.distributions)
            else "No request succeeded after the warm-up.",
            log=True,
        ),
        *(_of_open(conclusion, recorded) if is_open else _of_closed(recorded)),
        Chart(
            name="errors",
            title="Errors by kind",
            unit="requests/s",
            label="Bar chart of failed create requests by kind for each second",
            note="Failed create requests of each second, stacked.",
            otherwise="" if any(row.errors_per_s for row in rows) else "No create request failed.",
        ),
    ]


def of_turns(conclusion: Conclusion) -> Chart:
    """Returns the chart of two targets."""
    found = conclusion.turns.turns if conclusion.turns else []
    return Chart(
        name="turns",
        title="A and B",
        unit="ms",
        label="Line chart of create latency percentiles of targets A and B for each window",
        note=f"Create latency of each window, by when requests were due ({_clock(conclusion)} of successful requests).",
        otherwise="" if any("p50" in turn.response_ms for turn in found) else _NO_SUCCESS,
    )


def _of_open(conclusion: Conclusion, recorded: str) -> list[Chart]:
    return [
        Chart(
            name="throughput",
            title="Offered and answered",
            unit="requests/s",
            label="Line chart of arrivals offered and create requests answered for each second",
            note="Arrivals that came due and create requests answered in each second.",
            otherwise=recorded,
        ),
        Chart(
            name="queue",
            title="In flight and waiting",
            unit="requests",
            label="Line chart of requests in flight and arrivals that wait at the end of each second",
            note="At the end of each second: requests without an answer yet, and arrivals without a free user.",
            otherwise=recorded,
        ),
        Chart(
            name="lateness",
            title="Lateness",
            unit="ms",
            label="Line chart of lateness percentiles for each second",
            note="From when a request was due to when it was sent: the wait for a free user, or a slow generator.",
            otherwise="" if any(row.lateness_ms for row in conclusion.series) else _NO_SUCCESS,
            log=True,
        ),
        Chart(
            name="generator",
            title="Load generator",
            unit="% of a core, ms",
            label="Line chart of the generator's CPU time and event-loop delay for each second",
            note="CPU time of the busiest worker (left) and the longest delay of its event loop (right) in each "
            "second.",
            otherwise=recorded,
        ),
    ]


def _of_closed(recorded: str) -> list[Chart]:
    return [
        Chart(
            name="throughput",
            title="Throughput",
            unit="requests/s",
            label="Line chart of create requests, users and requests in flight for each second",
            note="Create requests answered in each second, with users and requests in flight on the right axis.",
            otherwise=recorded,
        )
    ]


def _clock(conclusion: Conclusion) -> str:
    return "response time" if conclusion.summary.model == OPEN else "service time"


_TIMES = ("p50", "p90", "p99", "max")
_TURN_TIMES = ("p99", "p50")
_LATENESS = ("p50", "p99", "max")
_STAGE_LETTERS = 40


def _turns(conclusion: Conclusion) -> dict[str, Any]:
    """Returns a column of each target's p50 and p99 over the windows, None in those of the other target."""
    found = conclusion.turns.turns if conclusion.turns else []
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


def _every_second(series: list[Second]) -> dict[int, Second | None]:
    """Returns the rows by their second, with None for those in which no worker reported: a gap must show."""
    known = {row.t_s: row for row in series}
    return {t_s: known.get(t_s) for t_s in range(min(known), max(known) + 1)} if known else {}


def _errors(rows: list[Second | None]) -> list[dict[str, Any]]:
    """Returns the kinds, most frequent first, with their rates."""
    totals: Counter[str] = Counter()
    for row in rows:
        totals.update({kind: 1 + int(1000 * rate) for kind, rate in (row.errors_per_s if row else {}).items()})
    ranked = [kind for kind, _ in totals.most_common()]
    kept, rest = ranked[:_KINDS], ranked[_KINDS:]
    columns = [{"kind": kind, "per_s": [_rate(row, [kind]) for row in rows]} for kind in kept]
    return columns + ([{"kind": _OTHER, "per_s": [_rate(row, rest) for row in rows]}] if rest else [])


def _rate(row: Second | None, kinds: list[str]) -> float:
    return round(sum(row.errors_per_s.get(kind, 0.0) for kind in kinds), 3) if row else 0.0


def _has_two_clocks(conclusion: Conclusion) -> bool:
    return len({part.clock for part in conclusion.distributions}) > 1
