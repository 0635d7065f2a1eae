"""A measured figure, the target it is held against, and how both are told."""

from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One figure. `value` is None where this machine cannot measure it; `note` then says why.

    A figure has at most one of the bounds; without one it is told for comparison only. `aim` goes beyond the target
    and decides nothing.
    """

    what: str
    value: float | None
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    aim: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        """The bound as text, "" for none."""
        bound = self.at_most if self.at_least is None else self.at_least
        if bound is None:
            return ""
        told = f"{'≥' if self.at_most is None else '≤'} {_number(bound)} {self.unit}".strip()
        return f"{told} (aim {_number(self.aim)})" if self.aim is not None else told

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target, or where nothing was measured."""
        if self.value is None or not self.target:
            return None
        return self.value <= self.at_most if self.at_most is not None else self.value >= (self.at_least or 0.0)

    def told(self) -> dict[str, Any]:
        """Returns what results.json holds of it."""
        value = None if self.value is None else round(self.value, 4)
        return {
            "figure": self.what,
            "value": value,
            "unit": self.unit,
            "target": self.target,
            "met": self.met,
            "note": self.note,
        }


def rows(results: dict[str, Any]) -> list[list[str]]:
    """Returns [section, figure, value, target, met] for each figure of results.json."""
    return [
        [section, one["figure"], _value(one), one["target"], {True: "yes", False: "NO", None: ""}[one["met"]]]
        for section, figures in results["sections"].items()
        for one in figures
    ]


def as_text(results: dict[str, Any]) -> str:
    """Returns a table for the terminal."""
    table = [["section", "figure", "measured", "target", "met"], *rows(results)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def _value(told: dict[str, Any]) -> str:
    if told["value"] is None:
        return str(told["note"])
    value = f"{_number(told['value'])} {told['unit']}".strip()
    return f"{value} ({told['note']})" if told["note"] else value


_WHOLE_FROM = 100


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= _WHOLE_FROM else f"{value:.3g}"
