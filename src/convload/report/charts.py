"""Lays out the figures behind the charts of report.html as plain columns."""

from collections import Counter
from typing import Any

from convload.comparison.conclusion import Conclusion
from convload.plan.facts import OPEN
from convload.plan.schedule import TARGETS
from convload.report.untrusted import brief
from convload.results.series import CLEANUP, WARMUP, Second

_KINDS = 6
"""Error kinds told apart by colour; the rest are drawn as one."""

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
