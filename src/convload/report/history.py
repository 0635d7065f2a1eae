"""Shows how figures went over many runs: on the terminal, as JSON, and as a page with charts."""

import json
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from convload.comparison.changepoints import Change
from convload.comparison.history import History, Point, Series
from convload.report import figures
from convload.report.html import asset, embedded, policy, template
from convload.report.text import figures_table
from convload.report.untrusted import brief, visible

WORSE, BETTER, CHANGED = "worse", "better", "changed"

_STYLES = {WORSE: "bold red", BETTER: "green", CHANGED: "yellow"}
_MARK = "▲"


def render_json(history: History) -> str:
    """Returns the whole document, format convload/history/1, indented, in ASCII."""
    return json.dumps(msgspec.to_builtins(history), indent=2) + "\n"


def print_history(history: History, console: Console) -> None:
    """Prints a table of the runs, changes marked, then the changes in words, then what was left out."""
    console.print(Text(visible(head(history)), style="bold"))
    shown = figures_table("", ["run", "started", *(escape(title(one)) for one in history.series)], left=("run",))
    for at, point in enumerate(history.points):
        cells = [_cell(one, at) for one in history.series]
        shown.add_row(Text(name(history, point)), Text(moment(point)), *cells)
    console.print(shown)
    console.print()
    for line, style in _lines(history):
        console.print(Text(visible(line), style=style))
    for one in history.left_out:
        for reason in one.reasons:
            console.print(Text(visible(f"Left out: {one.folder}: {reason}"), style="yellow"))


def render_html(history: History) -> str:
    """Returns a page that needs nothing else, with a chart a statistic; foreign text in it is escaped."""
    style = asset("uplot/uPlot.min.css") + asset("report.css")
    scripts = [asset("uplot/uPlot.iife.min.js"), asset("history.js")]
    return template("history.html").render(
        history=history,
        head=head(history),
        changes=told(history),
        title=title,
        name=name,
        moment=moment,
        cell=lambda one, at: (figures.about(one.values[at]), _change_at(one, at)),
        direction=direction,
        style=style,
        scripts=scripts,
        policy=policy(style, scripts),
        data=embedded(_data(history)),
    )


def head(history: History) -> str:
    """Says what the history is of."""
    runs = f"{len(history.points)} run{'s' if len(history.points) != 1 else ''}"
    left = f", {len(history.left_out)} left out" if history.left_out else ""
    return f"History of the plan {history.plan} at {history.target}: {runs}{left}"


def name(history: History, point: Point) -> str:
    """Names a run by its folder below the history's."""
    return brief(point.folder.removeprefix(history.folder).lstrip("/") or point.folder)


def moment(point: Point) -> str:
    """Says when a run was started, to the minute."""
    return brief(point.started[:16].replace("T", " "))


def title(series: Series) -> str:
    """Names a statistic with its unit."""
    if series.name.startswith("gate "):
        return brief(series.name, 60)
    return f"{'error share' if series.name == 'errors' else series.name} {series.unit}"


def direction(series: Series, change: Change) -> str:
    """Says whether a change is for the worse."""
    if not series.better:
        return CHANGED
    return BETTER if (change.after > change.before) == (series.better == "higher") else WORSE


def told(history: History) -> list[tuple[str, str]]:
    """Returns each change as a sentence, with its direction; one that is not confirmed has none."""
    found = []
    for series in history.series:
        for change in series.changes:
            point = history.points[change.at]
            size = "" if change.relative is None else f" ({100 * change.relative:+.1f} %)"
            of = f"{title(series)}: {figures.about(change.before)} → {figures.about(change.after)}{size}"
            since = f"since {name(history, point)} ({moment(point)}, convload {point.version})"
            if change.confirmed:
                found.append((f"{of} {since}, p = {change.p:.2g}", direction(series, change)))
            else:
                found.append((f"Possibly {of} {since}; too early to tell: {change.why}", ""))
    return found


def _lines(history: History) -> list[tuple[str, str]]:
    lines = [(f"{_MARK} {text}", _STYLES.get(way, "dim")) for text, way in told(history)]
    notes = {series.note for series in history.series if series.note}
    lines += [(f"Changes: {note}", "dim") for note in sorted(notes)]
    return lines or [("No change of level was found.", "")]


def _cell(series: Series, at: int) -> Text:
    change = _change_at(series, at)
    text = figures.about(series.values[at])
    if change is None:
        return Text(text)
    return Text(f"{_MARK} {text}", style=_STYLES[direction(series, change)])


def _change_at(series: Series, at: int) -> Change | None:
    return next((change for change in series.changes if change.confirmed and change.at == at), None)


def _data(history: History) -> dict[str, Any]:
    """Returns what the charts draw: columns over the number of the run."""
    return {
        "runs": [{"folder": name(history, point), "started": moment(point)} for point in history.points],
        "series": [
            {
                "title": title(series),
                "unit": series.unit,
                "values": series.values,
                "levels": series.levels,
                "changes": [
                    {"at": change.at, "way": direction(series, change)} for change in series.changes if change.confirmed
                ],
            }
            for series in history.series
        ],
    }
