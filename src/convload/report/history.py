"""The contents of a history: how figures went over many runs, and where they changed."""

from collections.abc import Iterator
from typing import Any

from convload.comparison.changepoints import Change as Found
from convload.comparison.history import FollowedRun, History, Series
from convload.report import document as doc
from convload.report import figures
from convload.report.chart import Change, Chart, Line, Way
from convload.results.histogram import chance

_TONES: dict[Way | str, doc.Tone] = {"worse": "fail", "better": "good", "changed": "doubt", "": "muted"}
_MARK = "▲"
_WHOLE_NAME = 40
"""A name that is no longer stays on one line, and figures that no longer fit follow in a table of their own."""


def document(history: History) -> doc.Document:
    """Returns the report."""
    head = _head(history)
    return doc.Document(
        kind="history",
        title=f"History: convload {history.plan}",
        heading=history.plan,
        subtitle=[head],
        statement="",
        sections=[
            doc.Section("", [doc.Remark(doc.Mark(head, "strong")), _runs(history)], on=(doc.DETAILS,)),
            _changes(history),
            doc.Section("Charts", [doc.Charts(_charts(history))], on=(doc.HTML,), form="plain"),
            doc.Section("Runs", [_runs(history)], on=(doc.HTML,)),
            doc.Section("Left out", [doc.Bullets(_left_out(history))], on=(doc.HTML,)),
        ],
        footer="Rendered from run logs by convload. Changes are placed by PELT on ranks and tested by Mann and "
        "Whitney's U.",
        data=_data(history),
    )


def _head(history: History) -> str:
    runs = f"{len(history.points)} run{'s' if len(history.points) != 1 else ''}"
    left = f", {len(history.left_out)} left out" if history.left_out else ""
    return f"History of the plan {history.plan} at {history.target}: {runs}{left}"


def _runs(history: History) -> doc.Table:
    names = [_name(history, point) for point in history.points]
    columns = [
        doc.Column("run", kind="name" if max(map(len, names)) <= _WHOLE_NAME else "words"),
        doc.Column("started", kind="name"),
        doc.Column("outcome", kind="name", on=(doc.HTML,)),
        *(doc.Column(_title(one)) for one in history.series),
    ]
    rows: list[list[doc.Words]] = [
        [doc.Code(name), _moment(point), point.outcome, *(_cell(one, at) for one in history.series)]
        for at, (name, point) in enumerate(zip(names, history.points, strict=True))
    ]
    return doc.Table(columns, rows)


def _changes(history: History) -> doc.Section:
    least = history.minimum
    changes = list(_sentences(history))
    notes = sorted({series.note for series in history.series if series.note})
    rule = (
        f"A change counts from {100 * least.relative:g} % of the level before and {least.absolute_ms:g} ms "
        f"({least.errors_points:g} percentage points) on, and when chance makes it once in a hundred at most. The "
        "dashed line is the median between changes."
    )
    return doc.Section(
        "Changes",
        terminal="",
        blocks=[
            doc.Bullets([doc.Mark(f"{_MARK} {text}", _TONES[way]) for text, way in changes], on=(doc.DETAILS,)),
            doc.Bullets([(doc.Mark(way, _TONES[way]), f" {text}") for text, way in changes], on=(doc.HTML,)),
            doc.Bullets([f"Changes: {note}" for note in notes], tone="muted"),
            doc.Remark("" if changes or notes else "No change of level was found."),
            doc.Bullets(_left_out(history), on=(doc.DETAILS,)),
            doc.Bullets(_warnings(history)),
            doc.Remark(rule, on=(doc.HTML,), tone="muted"),
        ],
    )


def _left_out(history: History) -> list[doc.Words]:
    lines = [f"Left out: {one.folder}: {reason}" for one in history.left_out for reason in one.reasons]
    return [doc.Mark(line, "warning") for line in lines]


def _warnings(history: History) -> list[doc.Words]:
    """Returns what the reports of the runs warn of: what is said of several is said once, with the newest of them."""
    told: dict[str, list[FollowedRun]] = {}
    for point in history.points:
        for text in point.warnings:
            told.setdefault(text, []).append(point)
    return [
        doc.Mark(
            f"Warning of {len(of)} of {len(history.points)} runs, last {_name(history, of[-1])}: {text}", "warning"
        )
        for text, of in told.items()
    ]


def _name(history: History, point: FollowedRun) -> str:
    return doc.brief(point.folder.removeprefix(history.folder).lstrip("/") or point.folder)


def _moment(point: FollowedRun) -> str:
    return doc.brief(point.started[:16].replace("T", " "))


def _title(series: Series) -> str:
    return doc.brief(series.name, 60) if series.name.startswith("gate ") else f"{series.name} {series.unit}"


def _way(series: Series, change: Found) -> Way:
    if not series.better:
        return "changed"
    return "better" if (change.after > change.before) == (series.better == "higher") else "worse"


def _sentences(history: History) -> Iterator[tuple[str, str]]:
    for series in history.series:
        for change in series.changes:
            point = history.points[change.at]
            size = "" if change.relative is None else f" ({100 * change.relative:+.1f} %)"
            of = f"{_title(series)}: {figures.about(change.before)} → {figures.about(change.after)}{size}"
            since = f"since {_name(history, point)} ({_moment(point)}, convload {point.version})"
            if change.confirmed:
                yield f"{of} {since}, p {chance(change.p)}", _way(series, change)
            else:
                yield f"Possibly {of} {since}; too early to tell: {change.why}", ""


def _cell(series: Series, at: int) -> doc.Words:
    text = figures.about(series.values[at])
    change = next((change for change in series.changes if change.confirmed and change.at == at), None)
    return text if change is None else doc.Mark(f"{_MARK} {text}", _TONES[_way(series, change)])


def _charts(history: History) -> list[Chart]:
    marked = [sum(change.confirmed for change in one.changes) for one in history.series]
    return [
        Chart(
            f"statistic-{at}",
            _title(one),
            note=f"{number} change{'s' * (number != 1)} marked." * bool(number),
            x="run",
            along="run",
            lines=[
                Line(f"values {at}", "value", "c1", "joined", one.unit),
                Line(f"levels {at}", "level", "muted", "level", one.unit),
            ],
            changes=[Change(change.at, _way(one, change)) for change in one.changes if change.confirmed],
        )
        for at, (one, number) in enumerate(zip(history.series, marked, strict=True))
    ]


def _data(history: History) -> dict[str, Any]:
    """Returns what the charts draw: columns over the number of the run."""
    return {
        "runs": [{"folder": _name(history, point), "started": _moment(point)} for point in history.points],
        "shapes": {"run": list(range(1, len(history.points) + 1))}
        | {f"values {at}": one.values for at, one in enumerate(history.series)}
        | {f"levels {at}": one.levels for at, one in enumerate(history.series)},
    }
