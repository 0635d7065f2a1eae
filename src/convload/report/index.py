"""An index of all runs below a folder: what each was, what came of it, and where the level of a plan changed."""

import csv
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from convload.comparison.changepoints import changes
from convload.comparison.history import find_runs
from convload.comparison.outcomes import Minimum
from convload.contract.steps import CREATE
from convload.report import document as doc
from convload.report import figures, html

MOST_POINTS = 40
_COMMIT = 12
_FIGURES = {"p50": "ms", "p99": "ms", "rate": "/s", "errors": "%"}


class IndexedRun(msgspec.Struct, frozen=True):
    """A run as its reports tell of it; `folder` is relative to that of the index, `course` its p99 over time."""

    folder: str
    plan: str
    target: str
    started: str
    outcome: str
    origin: dict[str, str]
    tags: list[str]
    values: dict[str, float]
    course: list[float | None]
    has_page: bool


class _Outcome(msgspec.Struct):
    outcome: str


class _Requests(msgspec.Struct):
    count: int
    ok: int
    response_ms: dict[str, float]


class _Manifest(msgspec.Struct):
    plan: dict[str, Any] = {}
    origin: dict[str, str] = {}


class _Summary(msgspec.Struct):
    """What an index needs of summary.json."""

    plan: str
    target: str
    started: str
    verdict: _Outcome
    steps: dict[str, _Requests]
    manifest: _Manifest
    achieved_rate: float | None = None


_decoder = msgspec.json.Decoder(_Summary)


_Made = tuple[doc.Column, Callable[[IndexedRun], doc.Words]]


def read_runs(root: Path) -> list[IndexedRun]:
    """Returns the runs below a folder that have reports, the newest first."""
    found = [run for folder in find_runs(root) if (run := _read(folder, root)) is not None]
    return sorted(found, key=lambda run: (run.started, run.folder), reverse=True)


def _read(folder: Path, root: Path) -> IndexedRun | None:
    try:
        summary = _decoder.decode((folder / "summary.json").read_bytes())
    except (OSError, ValueError):
        return None
    return IndexedRun(
        folder=os.path.relpath(folder, root),
        plan=summary.plan,
        target=summary.target,
        started=summary.started,
        outcome=summary.verdict.outcome,
        origin=summary.manifest.origin,
        tags=[str(tag) for tag in summary.manifest.plan.get("tags", [])],
        values=dict(_values(summary)),
        course=_course(folder),
        has_page=(folder / "report.html").is_file(),
    )


def _values(summary: _Summary) -> Iterator[tuple[str, float]]:
    create = summary.steps.get(CREATE)
    if create is not None:
        yield from ((name, create.response_ms[name]) for name in ("p50", "p99") if name in create.response_ms)
        yield from [("errors", 100 * (create.count - create.ok) / create.count)] if create.count else []
    if summary.achieved_rate is not None:
        yield "rate", summary.achieved_rate


def _course(folder: Path) -> list[float | None]:
    """Returns the highest p99 of each stretch, so that few points show what stood out."""
    try:
        with (folder / "intervals.csv").open(encoding="utf-8", newline="") as table:
            column = [float(row.get("response_p99_ms") or 0) or None for row in csv.DictReader(table)]
    except (OSError, ValueError):
        return []
    size = -(-len(column) // MOST_POINTS) or 1
    parts = [column[at : at + size] for at in range(0, len(column), size)]
    return [max((value for value in part if value is not None), default=None) for part in parts]


def page(runs: Sequence[IndexedRun], root: Path, *, place: Path | None = None, compare: str = "") -> str:
    """Returns the page; it stands in the folder `place`, that of the runs if none is named.

    `compare` is where two runs that were ticked are compared, "" where no server does that.
    """
    return html.render(document(runs, root, os.path.relpath(root, place or root), compare))


def document(runs: Sequence[IndexedRun], root: Path, way: str, compare: str) -> doc.Document:
    """Returns the index; `way` leads from its page to the folder of the runs."""
    marked = _changes(runs)
    sentences = [sentence for run in runs for sentence in marked.get(run.folder, [])]
    return doc.Document(
        kind="runs",
        title="Runs: convload",
        heading="Runs",
        subtitle=[[f"{len(runs)} run{'s' * (len(runs) != 1)} below ", doc.Code(doc.brief(str(root)))]],
        statement="",
        sections=[
            doc.Section("Changes", [doc.Bullets(sentences)], on=(doc.HTML,)),
            doc.Section("Runs", [doc.Compare(compare, str(root)), _table(runs, marked, way)], on=(doc.HTML,)),
            doc.Section("", [doc.Remark("There is no run with reports here.")], on=(doc.HTML,) if not runs else ()),
        ],
        footer="From the summary.json of each run. ▲ marks the first run of a new level of its plan at its target.",
    )


def _table(runs: Sequence[IndexedRun], marked: dict[str, list[doc.Words]], way: str) -> doc.Table:
    plan: _Made = doc.Column("plan", "words"), lambda one: doc.Code(one.plan)
    change = doc.Mark("▲ changed", "doubt")
    level: _Made = doc.Column("level", "name"), lambda one: change if marked.get(one.folder) else ""
    return doc.table(
        runs,
        (doc.Column("run", "words"), lambda one: _link(one, way)),
        (doc.Column("", "bar"), lambda one: doc.Tick(one.folder)),
        *([] if len({one.plan for one in runs}) == 1 else [plan]),
        (doc.Column("started", "name"), lambda one: doc.brief(one.started[:16].replace("T", " "))),
        (doc.Column("outcome", "name"), lambda one: doc.Mark(one.outcome, one.outcome)),
        *([level] if marked else []),
        (doc.Column("commit", "words"), _commit),
        (doc.Column("tags", "words"), lambda one: [part for tag in one.tags for part in (doc.Mark(tag, "tag"), " ")]),
        (doc.Column("p50 ms"), lambda one: figures.about(one.values.get("p50"))),
        (doc.Column("p99 ms"), lambda one: figures.about(one.values.get("p99"))),
        (doc.Column("rate /s"), lambda one: figures.about(one.values.get("rate"))),
        (doc.Column("failed %"), lambda one: figures.about(one.values.get("errors"))),
        (doc.Column("p99 over time", "bar"), lambda one: doc.Course(one.course)),
    )


def _commit(run: IndexedRun) -> doc.Words:
    return [doc.Code(run.origin.get("commit", "")[:_COMMIT]), " ", doc.Code(run.origin.get("branch", ""))]


def _link(run: IndexedRun, way: str) -> doc.Words:
    if not run.has_page:
        return doc.Code(run.folder)
    return doc.Link(run.folder, f"./{quote(str(Path(way) / run.folder))}/report.html")


def _changes(runs: Sequence[IndexedRun]) -> dict[str, list[doc.Words]]:
    """Returns what changed with which run, of each plan at each target."""
    alike: dict[tuple[str, str], list[IndexedRun]] = defaultdict(list)
    for run in reversed(runs):
        alike[run.plan, run.target].append(run)
    found: dict[str, list[doc.Words]] = defaultdict(list)
    least = Minimum()
    for (plan, _), of_plan in alike.items():
        for name, unit in _FIGURES.items():
            known = [run for run in of_plan if name in run.values]
            absolute = {"ms": least.absolute_ms, "%": least.errors_points}.get(unit, 0.0)
            values = [run.values[name] for run in known]
            for change in changes(values, least_relative=least.relative, least_absolute=absolute):
                if change.confirmed:
                    said = f" {name} {figures.about(change.before)} → {figures.about(change.after)} {unit} since "
                    found[known[change.at].folder].append([doc.Code(plan), said, doc.Code(known[change.at].folder)])
    return found
