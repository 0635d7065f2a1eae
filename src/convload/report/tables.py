"""Lays out the tables that several reports have: requests with their times, differences between two sides."""

from collections.abc import Iterable, Mapping, Sequence

from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference
from convload.plan.facts import OPEN
from convload.report import figures
from convload.report.document import (
    EVERYWHERE,
    HTML,
    MARKDOWN,
    PAGES,
    TERMINAL,
    Block,
    Code,
    Column,
    Mark,
    Medium,
    Note,
    Table,
    Tone,
    Words,
)
from convload.results.summary import Requests, StageRequests

TONES: dict[str, Tone] = {IMPROVED: "good", REGRESSED: "fail", SAME: "", UNKNOWN: "doubt"}

_Times = dict[figures.TimeColumn, tuple[Medium, ...]]
"""The times of a table, and the media on which each stands."""

_RESPONSES: _Times = {("response", name): (HTML,) for name in figures.COLUMNS}
_CLOSED: _Times = _RESPONSES | {("response", name): EVERYWHERE for name in ("p50", "p95", "p99", "max")}
_STAGES: _Times = {
    ("response", "p50"): EVERYWHERE,
    ("response", "p95"): PAGES,
    ("response", "p99"): EVERYWHERE,
    ("response", "max"): PAGES,
    ("service", "p50"): PAGES,
    ("service", "p99"): EVERYWHERE,
    ("lateness", "p99"): PAGES,
}
_OPEN: _Times = _RESPONSES | _STAGES | {("response", "max"): EVERYWHERE}


def requests(kind: str, rows: Mapping[str, Requests], model: str) -> list[Block]:
    """Returns the table of steps or variants with its notes; nothing where there are none."""
    times = _OPEN if model == OPEN else _CLOSED
    table = Table(
        [_first(kind), *_counts(), *_columns(times, model), Column(head="p99 of failed", on=(HTML,))],
        [
            [
                Code(name),
                *_counted(row),
                *figures.cells(row, times),
                figures.milliseconds(row.failed_response_ms.get("p99")),
            ]
            for name, row in rows.items()
        ],
    )
    notes = {
        MARKDOWN: "Times are of successful requests.",
        HTML: "Milliseconds; all but the last column are of successful requests.",
    }
    return _with_notes(table, notes, rows.values(), times) if rows else []


def stages(rows: Mapping[str, StageRequests], model: str) -> list[Block]:
    """Returns the table of the stages with its notes; nothing where there are none."""
    table = Table(
        [
            _first("stage"),
            *(
                Column(head=f"{name} /s", heads=dict.fromkeys(TERMINAL, f"{name}\n/s"))
                for name in ("planned", "offered", "sent")
            ),
            *_counts(count_on=PAGES),
            *_columns(_STAGES, model),
        ],
        [
            [
                Code(name),
                figures.rates(row),
                figures.rate(row.offered_rate),
                figures.rate(row.achieved_rate),
                *_counted(row),
                *figures.cells(row, _STAGES),
            ]
            for name, row in rows.items()
        ],
    )
    notes = {
        MARKDOWN: "Create requests by the stage they were due in.",
        HTML: "Create requests by the stage in which they were due; milliseconds, of successful ones. Sent: while the "
        "stage lasted.",
    }
    return _with_notes(table, notes, rows.values(), _STAGES) if rows else []


def differences(found: Sequence[Difference], sides: tuple[str, str], interval: str, *, by_step: bool = False) -> Table:
    """Returns the table of differences between two sides; `by_step` where it is of several steps."""
    columns = [
        Column(head="outcome", kind="words", on=(MARKDOWN,)),
        Column(head="step", kind="words", on=PAGES if by_step else ()),
        Column(head="", kind="words", on=(MARKDOWN, HTML) if by_step else EVERYWHERE, heads={HTML: "statistic"}),
        Column(head="", kind="words", on=TERMINAL if by_step else ()),
        *(Column(head=head) for head in (*sides, "difference", "relative", interval)),
        Column(head="outcome", kind="words", on=(*TERMINAL, HTML)),
        Column(head="why", kind="words", on=(MARKDOWN,)),
    ]
    return Table(columns, [_difference(one) for one in found])


def statistic(one: Difference) -> str:
    """Names what was compared."""
    return "error share" if one.statistic == "errors" else one.statistic


def _difference(one: Difference) -> list[Words]:
    name = f"{statistic(one)} {one.unit}"
    return [
        one.outcome,
        Code(one.step),
        name,
        f"{one.step.removeprefix('conversation.')} {name}",
        _value(one.base),
        _value(one.new),
        _signed(one.difference),
        figures.NONE if one.relative is None else f"{100 * one.relative:+.1f} %",
        figures.NONE if one.low is None or one.high is None else f"{_signed(one.low)} to {_signed(one.high)}",
        Mark(one.outcome, TONES[one.outcome]),
        one.why,
    ]


def _value(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:,.3f}" if abs(value) < 10 else f"{value:,.2f}"  # noqa: PLR2004 -- a digit less where there is one more before the point


def _signed(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:+,.3f}" if abs(value) < 10 else f"{value:+,.2f}"  # noqa: PLR2004 -- as above


def _first(kind: str) -> Column:
    return Column(head=kind, kind="words", heads=dict.fromkeys(TERMINAL, ""))


def _counts(count_on: Sequence[Medium] = EVERYWHERE) -> list[Column]:
    return [
        Column(head="count", on=tuple(count_on)),
        Column(head="failed", on=(*TERMINAL, HTML)),
        Column(head="failed", on=(MARKDOWN,)),
    ]


def _counted(row: Requests | StageRequests) -> list[Words]:
    failed = row.count - row.ok
    return [
        figures.count(row.count),
        Mark(figures.count(failed), "bad" if failed else ""),
        figures.percent(failed, row.count),
    ]


def _columns(times: _Times, model: str) -> list[Column]:
    """Returns the columns of times; where there is one clock, it has no name."""
    return [
        Column(head=name, clock=clock if model == OPEN else "", on=on, heads={MARKDOWN: f"{name} ms"})
        for (clock, name), on in times.items()
    ]


def _with_notes(
    table: Table, notes: Mapping[Medium, str], rows: Iterable[Requests | StageRequests], times: _Times
) -> list[Block]:
    """Adds what is to be known of a table: before it in Markdown, below it elsewhere."""
    rows = list(rows)
    said = {
        medium: f"{notes.get(medium, '')} {figures.blanks(rows, [name for name, on in times.items() if medium in on])}"
        for medium in EVERYWHERE
    }
    blocks: list[Block] = [Note(text.strip(), on=(medium,), tone="muted") for medium, text in said.items()]
    before = [block for block in blocks if block.on == (MARKDOWN,)]
    return [*before, table, *(block for block in blocks if block not in before)]
