"""Writes intervals.csv: one row a second of create requests, all workers together, all phases."""

import csv
import io

from convload.comparison.conclusion import Conclusion
from convload.results.series import Second

_TIMES = ("p50", "p90", "p99", "max")


def render(conclusion: Conclusion) -> str:
    """Returns the table; each error kind has a column, after the fixed ones. Empty: nothing measured."""
    kinds = sorted({kind for row in conclusion.series for kind in row.errors_per_s})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["t_s", "phase", "offered_per_s", "requests_per_s", "ok_per_s", "users", "in_flight", "backlog"]
        + ["cpu_share", "hub_delay_ms", "files_free"]
        + [f"{clock}_{name}_ms" for clock in ("response", "service", "lateness") for name in _TIMES]
        + [f"{kind}_per_s" for kind in kinds]
    )
    table.writerows(_row(second, kinds) for second in conclusion.series)
    return text.getvalue()


def _row(row: Second, kinds: list[str]) -> list[object]:
    return [
        *(row.t_s, row.phase, row.offered_per_s, row.requests_per_s, row.ok_per_s),
        *(row.users, row.in_flight, row.backlog, row.cpu_share, row.hub_delay_ms, row.files_free),
        *(times.get(name, "") for times in (row.response_ms, row.service_ms, row.lateness_ms) for name in _TIMES),
        *(row.errors_per_s.get(kind, 0.0) for kind in kinds),
    ]
