"""Lays out the tables that several reports have: requests with their times, differences between two sides."""

from collections.abc import Iterable, Mapping, Sequence

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


def requests(kind: str, rows: Mapping[str, Requests], model: str) -> list[doc.Block]:
    """Returns the table of steps or variants with its notes; nothing where there are none."""
    times = _OPEN if model == OPEN else _CLOSED
    table = doc.Table(
        [_first(kind), *_counts(), *_columns(times, model), doc.Column("p99 of failed", on=(doc.HTML,))],
        [
            [
                doc.Code(name),
                *_counted(row),
                *figures.cells(row, times),
                figures.milliseconds(row.failed_response_ms.get("p99")),
            ]
            for name, row in rows.items()
        ],
    )
    notes = {
        doc.MARKDOWN: "Times are of successful requests.",
        doc.HTML: "Milliseconds; all but the last column are of successful requests.",
    }
    return _with_notes(table, notes, rows.values(), times) if rows else []


def stages(rows: Mapping[str, StageRequests], model: str) -> list[doc.Block]:
    """Returns the table of the stages with its notes; nothing where there are none."""
    table = doc.Table(
        [
            _first("stage"),
            *(
                doc.Column(f"{name} /s", heads=dict.fromkeys(doc.TERMINAL, f"{name}\n/s"))
                for name in ("planned", "offered", "sent")
            ),
            *_counts(count_on=doc.PAGES),
            *_columns(_STAGES, model),
        ],
        [
            [
                doc.Code(name),
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
        doc.MARKDOWN: "Create requests by the stage they were due in.",
        doc.HTML: "Create requests by the stage in which they were due; milliseconds, of successful ones. Sent: while "
        "the stage lasted.",
    }
    return _with_notes(table, notes, rows.values(), _STAGES) if rows else []


def differences(
    found: Sequence[Difference], sides: tuple[str, str], interval: str, *, by_step: bool = False
) -> doc.Table:
    """Returns the table of differences between two sides; `by_step` where it is of several steps."""
    columns = [
        doc.Column("outcome", kind="words", on=(doc.MARKDOWN,)),
        doc.Column("step", kind="words", on=doc.PAGES if by_step else ()),
        doc.Column(
            head="",
            kind="words",
            on=(doc.MARKDOWN, doc.HTML) if by_step else doc.EVERYWHERE,
            heads={doc.HTML: "statistic"},
        ),
        doc.Column("", kind="name", on=(doc.BRIEF,) if by_step else ()),
        doc.Column("", kind="words", on=(doc.DETAILS,) if by_step else ()),
        *(doc.Column(head) for head in sides),
        doc.Column("difference", on=doc.IN_FULL),
        *(doc.Column(head) for head in ("relative", interval)),
        doc.Column("outcome", kind="words", on=(*doc.TERMINAL, doc.HTML)),
        doc.Column("why", kind="words", on=(doc.MARKDOWN,)),
    ]
    return doc.Table(columns, [_difference(one) for one in found])


def statistic(one: Difference) -> str:
    """Names what was compared."""
    return "error share" if one.statistic == "errors" else one.statistic


def _difference(one: Difference) -> list[doc.Words]:
    name = f"{statistic(one)} {one.unit}"
    return [
        one.outcome,
        doc.Code(one.step),
        name,
        *[f"{one.step.removeprefix('conversation.')} {name}"] * 2,
        _value(one.base),
        _value(one.new),
        _signed(one.difference),
        figures.NONE if one.relative is None else f"{100 * one.relative:+.1f} %",
        figures.NONE if one.low is None or one.high is None else f"{_signed(one.low)} to {_signed(one.high)}",
        doc.Mark(one.outcome, TONES[one.outcome]),
        one.why,
    ]


def _value(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:,.3f}" if abs(value) < 10 else f"{value:,.2f}"  # noqa: PLR2004 -- a digit less where there is one more before the point


def _signed(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:+,.3f}" if abs(value) < 10 else f"{value:+,.2f}"  # noqa: PLR2004 -- as above


def _first(kind: str) -> doc.Column:
    return doc.Column(kind, kind="words", heads={doc.DETAILS: "", doc.BRIEF: f"{kind}, times in ms"})


def _counts(count_on: Sequence[doc.Medium] = doc.EVERYWHERE) -> list[doc.Column]:
    return [
        doc.Column("count", on=tuple(count_on)),
        doc.Column("failed", on=(*doc.TERMINAL, doc.HTML)),
        doc.Column("failed", on=(doc.MARKDOWN,)),
    ]


def _counted(row: Requests | StageRequests) -> list[doc.Words]:
    failed = row.count - row.ok
    return [
        figures.count(row.count),
        doc.Mark(figures.count(failed), "bad" if failed else ""),
        figures.percent(failed, row.count),
    ]


def _columns(times: _Times, model: str) -> list[doc.Column]:
    """Returns the columns of times; where there is one clock, it has no name."""
    return [
        doc.Column(name, clock=clock if model == OPEN else "", on=on, heads={doc.MARKDOWN: f"{name} ms"})
        for (clock, name), on in times.items()
    ]


def _with_notes(
    table: doc.Table, notes: Mapping[doc.Medium, str], rows: Iterable[Requests | StageRequests], times: _Times
) -> list[doc.Block]:
    """Adds what is to be known of a table: before it in Markdown, below it elsewhere."""
    rows = list(rows)
    said = {
        medium: f"{notes.get(medium, '')} {figures.blanks(rows, [name for name, on in times.items() if medium in on])}"
        for medium in doc.IN_FULL
    }
    blocks: list[doc.Block] = [doc.Note(text.strip(), on=(medium,), tone="muted") for medium, text in said.items()]
    before = [block for block in blocks if block.on == (doc.MARKDOWN,)]
    return [*before, table, *(block for block in blocks if block not in before)]
