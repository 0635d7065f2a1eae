"""Lays out the tables that several reports have: requests with their times, differences between two sides."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference
from convload.plan.facts import OPEN
from convload.report import document as doc
from convload.report import figures
from convload.results.summary import Requests, StageRequests

TONES: dict[str, doc.Tone] = {IMPROVED: "good", REGRESSED: "fail", SAME: "", UNKNOWN: "doubt"}

_Times = dict[figures.TimeColumn, tuple[doc.Medium, ...]]
"""The times of a table, and the media on which each stands."""

_RESPONSES: _Times = {("response", name): (doc.HTML,) for name in figures.COLUMNS}
_CLOSED: _Times = _RESPONSES | {("response", name): doc.EVERYWHERE for name in ("p50", "p95", "p99", "max")}
_STAGES: _Times = {
    ("response", "p50"): doc.EVERYWHERE,
    ("response", "p95"): doc.PAGES,
    ("response", "p99"): doc.EVERYWHERE,
    ("response", "max"): doc.PAGES,
    ("service", "p50"): doc.PAGES,
    ("service", "p99"): doc.IN_FULL,
    ("lateness", "p99"): doc.PAGES,
}
_OPEN: _Times = _RESPONSES | _STAGES | {("response", "max"): doc.EVERYWHERE}


_Named = tuple[str, Any]
"""A step, variant or stage, and its requests."""

_Made = tuple[doc.Column, Callable[[_Named], doc.Words]]
"""A column, and what makes its cells."""


def requests(kind: str, rows: Mapping[str, Requests], model: str) -> list[doc.Block]:
    """Returns the table of steps or variants with its notes; nothing where there are none."""
    times = _OPEN if model == OPEN else _CLOSED
    table = doc.table(
        rows.items(),
        _first(kind),
        *_counts(),
        *_times(times, model),
        (doc.Column("p99 of failed", on=(doc.HTML,)), _time("failed_response", "p99")),
    )
    notes = {
        doc.MARKDOWN: "Times are of successful requests.",
        doc.HTML: "Milliseconds; all but the last column are of successful requests.",
    }
    return _with_notes(table, notes, rows.values(), times) if rows else []


def stages(rows: Mapping[str, StageRequests], model: str) -> list[doc.Block]:
    """Returns the table of the stages with its notes; nothing where there are none."""
    table = doc.table(
        rows.items(),
        _first("stage"),
        (_per_second("planned"), lambda one: figures.rates(one[1])),
        (_per_second("offered"), lambda one: figures.rate(one[1].offered_rate)),
        (_per_second("sent"), lambda one: figures.rate(one[1].achieved_rate)),
        *_counts(count_on=doc.PAGES),
        *_times(_STAGES, model),
    )
    notes = {
        doc.MARKDOWN: "Create requests by the stage they were due in.",
        doc.HTML: "Create requests by the stage in which they were due; milliseconds, of successful ones. Sent: while "
        "the stage lasted.",
    }
    return _with_notes(table, notes, rows.values(), _STAGES) if rows else []


def differences(
    found: Sequence[Difference], sides: tuple[str, str], interval: str, *, by_step: bool = False
) -> doc.Table:
    """Returns the table of differences between two sides; `by_step` where it is of several steps."""
    on = doc.PAGES if by_step else doc.EVERYWHERE
    reach = max((abs(bound) for one in found for bound in _relative(one) if bound is not None), default=0.0) or 1.0
    return doc.table(
        found,
        (doc.Column("outcome", "words", on=(doc.MARKDOWN,)), lambda one: one.outcome),
        (doc.Column("step", "words", on=doc.PAGES if by_step else ()), lambda one: doc.Code(one.step)),
        (doc.Column("", "words", heads={doc.HTML: "statistic"}, on=on), _statistic_with_unit),
        (doc.Column("", "name", on=(doc.BRIEF,) if by_step else ()), _step_and_statistic),
        (doc.Column("", "words", on=(doc.DETAILS,) if by_step else ()), _step_and_statistic),
        (doc.Column(sides[0]), lambda one: _figure(one.base)),
        (doc.Column(sides[1]), lambda one: _figure(one.new)),
        (doc.Column("difference", on=doc.IN_FULL), lambda one: _figure(one.difference, "+")),
        (doc.Column("relative"), lambda one: figures.NONE if one.relative is None else f"{100 * one.relative:+.1f} %"),
        (doc.Column(interval), _interval),
        (doc.Column(f"0 ± {100 * reach:.3g} %", "bar", on=(doc.HTML,)), lambda one: _forest(one, reach)),
        # In the words of the outcome the table would be wider than a terminal.
        (
            doc.Column("outcome", "words", on=doc.TERMINAL),
            lambda one: doc.Mark("same" if one.outcome == SAME else one.outcome, TONES[one.outcome]),
        ),
        (doc.Column("outcome", "words", on=(doc.HTML,)), lambda one: doc.Mark(one.outcome, TONES[one.outcome])),
        (doc.Column("why", "words", on=(doc.MARKDOWN,) if any(one.why for one in found) else ()), lambda one: one.why),
    )


def _relative(one: Difference) -> tuple[float | None, float | None, float | None]:
    """Returns difference and interval as shares of the base."""
    if not one.base:
        return None, None, None
    base = one.base
    value, low, high = (None if bound is None else bound / base for bound in (one.difference, one.low, one.high))
    return value, low, high


def _forest(one: Difference, reach: float) -> doc.Words:
    """Draws a difference with its interval; no difference is in the middle."""
    value, low, high = (None if bound is None else 0.5 + bound / reach / 2 for bound in _relative(one))
    return "" if value is None else doc.Bar(value, low, high, 0.5, TONES[one.outcome])


def _statistic_with_unit(one: Difference) -> str:
    return f"{one.statistic} {one.unit}"


def _step_and_statistic(one: Difference) -> str:
    return f"{one.step.removeprefix('conversation.')} {_statistic_with_unit(one)}"


def _interval(one: Difference) -> str:
    known = one.low is not None and one.high is not None
    return f"{_figure(one.low, '+')} to {_figure(one.high, '+')}" if known else figures.NONE


def _figure(value: float | None, sign: str = "") -> str:
    if value is None:
        return figures.NONE
    return f"{value:{sign},.{3 if abs(value) < 10 else 2}f}"  # noqa: PLR2004 -- a digit less where there is one more before the point


def _first(kind: str) -> _Made:
    heads = {doc.DETAILS: "", doc.BRIEF: f"{kind}, times in ms"}
    return doc.Column(kind, "words", heads=heads), lambda one: doc.Code(one[0])


def _per_second(name: str) -> doc.Column:
    return doc.Column(f"{name} /s", heads=dict.fromkeys(doc.TERMINAL, f"{name}\n/s"))


def _counts(count_on: tuple[doc.Medium, ...] = doc.EVERYWHERE) -> list[_Made]:
    """Returns how many there were, and how many failed: in Markdown their share."""
    return [
        (doc.Column("count", on=count_on), lambda one: figures.count(one[1].count)),
        (doc.Column("failed", on=(*doc.TERMINAL, doc.HTML)), lambda one: _failed(one[1].count - one[1].ok)),
        (doc.Column("failed", on=(doc.MARKDOWN,)), lambda one: figures.percent(one[1].count - one[1].ok, one[1].count)),
    ]


def _failed(count: int) -> doc.Mark:
    return doc.Mark(figures.count(count), "bad" if count else "")


def _times(times: _Times, model: str) -> list[_Made]:
    """Returns the columns of times; where there is one clock, it has no name."""

    def column(clock: str, name: str, on: tuple[doc.Medium, ...]) -> doc.Column:
        return doc.Column(name, clock=clock if model == OPEN else "", on=on, heads={doc.MARKDOWN: f"{name} ms"})

    return [(column(clock, name, on), _time(clock, name)) for (clock, name), on in times.items()]


def _time(clock: str, name: str) -> Callable[[_Named], str]:
    return lambda one: figures.milliseconds(getattr(one[1], f"{clock}_ms").get(name))


def _with_notes(
    table: doc.Table, notes: Mapping[doc.Medium, str], rows: Collection[Requests | StageRequests], times: _Times
) -> list[doc.Block]:
    """Adds what is to be known of a table: before it in Markdown, below it elsewhere."""

    def note(medium: doc.Medium) -> doc.Remark:
        blanks = figures.blanks(rows, [name for name, on in times.items() if medium in on])
        return doc.Remark(f"{notes.get(medium, '')} {blanks}".strip(), on=(medium,), tone="muted")

    return [note(doc.MARKDOWN), table, note(doc.DETAILS), note(doc.HTML)]
