"""Writes the figures of a difference between two sides, for tables."""

from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference
from convload.report import figures

STYLES = {IMPROVED: "green", REGRESSED: "bold red", SAME: "", UNKNOWN: "yellow"}
_NAMES = {"errors": "error share"}


def name(one: Difference) -> str:
    """Names the statistic."""
    return _NAMES.get(one.statistic, one.statistic)


def cells(one: Difference) -> list[str]:
    """Writes the figures of a difference: name, base, new, difference, in percent of the base, interval."""
    relative = figures.NONE if one.relative is None else f"{100 * one.relative:+.1f} %"
    return [
        f"{name(one)} {one.unit}",
        _value(one.base),
        _value(one.new),
        _signed(one.difference),
        relative,
        figures.NONE if one.low is None or one.high is None else f"{_signed(one.low)} to {_signed(one.high)}",
    ]


def _value(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:,.3f}" if abs(value) < 10 else f"{value:,.2f}"  # noqa: PLR2004 -- a digit less where there is one more before the point


def _signed(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:+,.3f}" if abs(value) < 10 else f"{value:+,.2f}"  # noqa: PLR2004 -- as above
