"""Writes what drifted in a long run, and how a target recovered from a spike, for the reports of people."""

from convload.comparison.conclusion import Conclusion
from convload.report import document as doc
from convload.report import figures
from convload.results.drift import DRIFTS, MEMORY, STEADY, TOO_SHORT, Drift
from convload.results.histogram import chance, short
from convload.results.recovery import NORMAL, NORMAL_SECONDS, Recovery

_DRIFT_NOTE = (
    "Trends under constant load (Mann-Kendall). First and last are of the outer thirds; per hour is the same change "
    "carried on, not a forecast."
)
_RECOVERY_NOTE = (
    f"Normal again: the median response of {NORMAL_SECONDS} seconds in a row is at most {NORMAL:g} times that of the "
    "stage before the spike. Watched until the rate is above half of the spike's again, or the load ends."
)


def sections(conclusion: Conclusion) -> list[doc.Section]:
    """Returns what became of each spike and what drifts; empty where the load had no spike, or nothing was tested."""
    recoveries = [_recovery_cells(one) for one in conclusion.recoveries]
    drifting = [_drift_cells(one) for one in conclusion.drift if one.verdict == DRIFTS]
    drift = _table(["what", "where"], ["first third", "last third", "change", "per hour", "p"], drifting, _DRIFT_NOTE)
    heads = ["rate /s", "normal p50", "normal again after", "watched"]
    return [
        doc.Section("Recovery", _table(["after stage"], heads, recoveries, _RECOVERY_NOTE)),
        doc.Section("Drift", [*drift, doc.Remark(drift_text(conclusion), tone="muted")]),
    ]


def _table(words: list[str], figures_of: list[str], rows: list[list[str]], note: str) -> list[doc.Block]:
    if not rows:
        return []
    columns = [*(doc.Column(head, kind="words") for head in words), *(doc.Column(head) for head in figures_of)]
    return [
        doc.Remark(note, on=(doc.MARKDOWN,)),
        doc.Table(columns, rows),
        doc.Remark(note, on=(doc.HTML,), tone="muted"),
    ]


def drift_text(conclusion: Conclusion) -> str:
    """Says in what no drift was found, and what was too short to tell; empty where nothing was tested."""
    steady, unknown = (_named(conclusion.drift, verdict) for verdict in (STEADY, TOO_SHORT))
    said = [f"No drift found in {steady}."] if steady else []
    return " ".join(said + ([f"Too short to tell: {unknown}."] if unknown and conclusion.drift else []))


def _named(found: list[Drift], verdict: str) -> str:
    """Names quantities by stretch; the memory of several workers is named once."""
    stretches: dict[str, dict[str, int]] = {}
    for one in (one for one in found if one.verdict == verdict):
        names = stretches.setdefault(one.stretch, {})
        names[one.quantity] = names.get(one.quantity, 0) + 1
    return "; ".join(f"{', '.join(map(_name, names, names.values()))} ({name})" for name, names in stretches.items())


def _name(quantity: str, count: int) -> str:
    return f"{quantity} of {count} worker{'s' if count > 1 else ''}" if quantity == MEMORY else quantity


def _drift_cells(one: Drift) -> list[str]:
    p = figures.NONE if one.p is None else chance(one.p).removeprefix("= ").replace("< ", "<")
    values = [_figure(one.first, one.unit), _figure(one.last, one.unit)]
    return [one.name, one.stretch, *values, _signed(one.change, one.unit), _signed(one.change_per_hour, one.unit), p]


def _recovery_cells(one: Recovery) -> list[str]:
    after = f"not within {one.watched_s:g} s" if one.recovered_s is None else f"{one.recovered_s:g} s"
    rates = f"{short(one.from_rate, 7)} → {short(one.to_rate, 7)}"
    return [one.stage, rates, figures.with_unit(one.normal_ms, "ms"), after, f"{one.watched_s:g} s"]


def _figure(value: float | None, unit: str) -> str:
    return figures.NONE if value is None else f"{short(value)} {unit}"


def _signed(value: float | None, unit: str) -> str:
    if value is None:
        return figures.NONE
    return f"{'+' if value > 0 else ''}{short(value)} {'points' if unit == '%' else unit}"
