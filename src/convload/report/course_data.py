"""The figures behind the charts of a run, as columns: aligned with time, or of a shape of their own."""

import math
import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from convload.contract.steps import CREATE, STEPS
from convload.judging.standstill import standstills
from convload.report import document as doc
from convload.results.course import LOWEST_US, PER_DECADE, STEP, TARGET, VARIANT, Course, Place, Seen, row_of
from convload.results.histogram import Histogram, milliseconds
from convload.results.measured import Totals
from convload.results.run import Run
from convload.results.runlog import Aborted, Extended, Note, WorkerLost
from convload.results.series import Second

MOST_VARIANTS = 8
"""Views of the most frequent ones: a page of all would be larger than what it tells."""

KINDS = 6
"""Error kinds with a colour of their own; the rest are drawn as one."""

MOST_WORKERS = 24
"""So many have a line of their own in the charts of workers."""

OTHER = "other kinds"

_NAME = 40
_SHAPE_PER_DECADE = 40

Column = list[float | None]


def columns(run: Run, course: Course) -> dict[str, Any]:
    """Returns all columns; those of `columns` and of `heat` are aligned with `t`, None where nothing was measured."""
    rows = course.seconds.rows(run.window)
    length = 1 + rows[-1].t_s // course.bin_s if rows else 0
    places = course.places
    views = [_view(place, places[place], course.bin_s, length, is_open=run.is_open) for place in _places(places)]
    return {
        "bin_s": course.bin_s,
        "t": [(at + 0.5) * course.bin_s for at in range(length)],
        "columns": _generator(rows, course.bin_s, length) | _errors(rows, course, length) | _workers(course, length),
        "views": views,
        "heat": {"low_ms": LOWEST_US / 1000, "per_decade": PER_DECADE},
        "marks": marks(run, rows[-1].t_s + 1 if rows else 0),
    }


def packed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns with heat maps as text, half as long, which `figures.js` reads: bins with a space between.

    Five bits of a number are a digit, the lowest first; of the 64 digits the upper ones say that more follow.
    """

    def as_text(columns: Sequence[Sequence[int]]) -> str:
        return " ".join("".join(map(_digits, column)) for column in columns)

    views = [
        view | {"heat": {clock: as_text(columns) for clock, columns in view["heat"].items()}} for view in data["views"]
    ]
    return {**data, "views": views}


_DIGITS = f"{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}-_"


def _digits(number: int) -> str:
    return _DIGITS[number] if number < _MORE else _DIGITS[_MORE + number % _MORE] + _digits(number // _MORE)


_MORE = len(_DIGITS) // 2


def since(data: Mapping[str, Any], keep: int) -> dict[str, Any]:
    """Returns what the scripts need to go on from the first `keep` bins, which they have: see `update`."""

    def cut(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        return {name: column[keep:] for name, column in columns.items()}

    views = [view | {"columns": cut(view["columns"]), "heat": cut(view["heat"])} for view in data["views"]]
    return {**data, "keep": keep, "t": data["t"][keep:], "columns": cut(data["columns"]), "views": views}


def marks(run: Run, ends_s: float) -> dict[str, Any]:
    """Returns what is marked along time: stages, what was not measured, and what happened."""
    window = run.window
    shades = [(0.0, window.from_s, "warm-up")] if window.from_s else []
    shades += [(window.to_s, ends_s, "after")] if ends_s > window.to_s + 1 else []
    lost = [record for record in run.log.records if isinstance(record, WorkerLost)]
    return {
        "ends_s": ends_s,
        "shades": [
            *({"from_s": from_s, "to_s": to_s, "name": name} for from_s, to_s, name in shades),
            *(
                {"from_s": one.silent_from_s, "to_s": one.at_s, "name": f"worker {one.worker} silent", "tone": "warn"}
                for one in lost
            ),
            *(
                {"from_s": one.from_s, "to_s": one.to_s, "name": "stood still", "tone": "warn"}
                for one in standstills(run)
            ),
            *(
                {"from_s": mark.starts_s, "to_s": mark.starts_s + mark.duration_s, "tone": mark.target.lower()}
                for mark in run.marks
                if mark.target
            ),
        ],
        # The windows of two targets would be dozens of lines.
        "stages": [
            {"name": doc.brief(mark.name, _NAME), "from_s": mark.starts_s}
            for mark in run.marks
            if not (mark.warmup or mark.target)
        ],
        "events": [{"at_s": at_s, "name": name, "tone": "fail"} for at_s, name in _events(run)],
    }


def _events(run: Run) -> Iterable[tuple[float, str]]:
    for record in run.log.records:
        match record:
            case WorkerLost():
                yield record.at_s, f"worker {record.worker} lost"
            case Aborted():
                yield record.at_s, "stopped early"
            case Extended():
                yield record.at_s, "extended"
            case Note(interrupted=True):
                yield record.at_s, "interrupted"
            case Note(invalidates=True):
                yield record.at_s, doc.brief(record.text, _NAME)
            case _:
                pass


def _places(places: Mapping[Place, Seen]) -> list[Place]:
    """Returns what can be looked at: steps in their order, targets, and of several variants the most frequent."""
    steps = [Place(STEP, name) for name in STEPS]
    targets = sorted(place for place in places if place.kind == TARGET)
    variants = sorted((place for place in places if place.kind == VARIANT), key=lambda one: (-places[one].count, one))
    shown = [*steps, *targets, *(variants[:MOST_VARIANTS] if len(variants) > 1 else [])]
    return [place for place in shown if place in places]


def _view(place: Place, seen: Seen, bin_s: int, length: int, *, is_open: bool) -> dict[str, Any]:
    rows = seen.rows
    found = [rows.get(at) for at in range(length)]

    def column(get: Callable[[Any], Any]) -> list[Any]:
        return [None if row is None else get(row) for row in found]

    def times(clock: str, names: Sequence[str], prefix: str = "") -> dict[str, list[Any]]:
        return {prefix + name: [row and getattr(row, clock).get(name) for row in found] for name in names}

    service = times("service", ("p50", "p99"), "service_") if is_open else {}
    lateness = times("lateness", ("p50", "p99", "max"), "late_") if is_open and place == Place(STEP, CREATE) else {}
    clocks = ("response", "service") if is_open else ("response",)
    return {
        "kind": place.kind,
        "name": doc.brief(place.name, 2 * _NAME),
        "columns": {
            **times("response", ("p50", "p90", "p99", "p99.9", "max")),
            **service,
            **lateness,
            "view_ok_per_s": column(lambda row: significant(row.ok / bin_s)),
            "view_failed_per_s": column(lambda row: significant(row.failed / bin_s)),
        },
        "heat": {clock: [row.heat[clock] if row else [] for row in found] for clock in clocks},
        "shapes": shapes({clock: getattr(seen, clock) for clock in clocks}),
    }


def of_totals(totals: Totals) -> dict[str, Any]:
    """Returns what is known of a run of which totals alone were kept: the shapes of its steps."""
    views = [
        {"kind": STEP, "name": step, "columns": {}, "heat": {}, "shapes": shapes({"response": figures.response})}
        for step, figures in totals.steps.items()
    ]
    return {"t": [], "columns": {}, "views": views}


def shapes(clocks: Mapping[str, Histogram], prefix: str = "") -> dict[str, list[Any]]:
    """Returns the percentile distribution and the histogram of each clock."""
    found: dict[str, list[Any]] = {}
    for clock, histogram in clocks.items():
        points = histogram.spectrum()
        found[f"{prefix}{clock}_tail_x"] = [significant(1 / (1 - percent / 100), 6) for percent, _ in points]
        found[f"{prefix}{clock}_tail_ms"] = [milliseconds(us) for _, us in points]
        lowest, *counts = row_of(histogram, _SHAPE_PER_DECADE) or [0]
        edges = [10 ** ((lowest + at) / _SHAPE_PER_DECADE) * LOWEST_US / 1000 for at in range(len(counts) + 1)]
        found[f"{prefix}{clock}_bars_x"] = [significant(edge) for edge in edges] if counts else []
        found[f"{prefix}{clock}_bars"] = [*counts, 0] if counts else []
    return found


def significant(value: float, digits: int = 4) -> float:
    """Rounds to the digits that a chart can show."""
    return float(f"{value:.{digits}g}")


_GAUGES = ("offered_per_s", "sent_per_s", "requests_per_s", "ok_per_s", "in_flight", "users", "backlog", "hub_delay_ms")


def _generator(rows: list[Second], bin_s: int, length: int) -> dict[str, Column]:
    """Returns what is of the whole generator: means, and from two seconds a bin on the lowest and highest second."""
    bins: list[list[Second]] = [[] for _ in range(length)]
    for row in rows:
        bins[row.t_s // bin_s].append(row)
    found: dict[str, Column] = {}
    for name in _GAUGES:
        found |= _spread(name, [[getattr(row, name) for row in part] for part in bins], bin_s)
    return found | _spread("cpu_percent", [[100 * row.cpu_share for row in part] for part in bins], bin_s)


def _spread(name: str, bins: list[list[float]], bin_s: int) -> dict[str, Column]:
    found = {name: [_mean(part) for part in bins]}
    if bin_s > 1:
        found[f"{name}.low"] = [significant(min(part)) if part else None for part in bins]
        found[f"{name}.high"] = [significant(max(part)) if part else None for part in bins]
    return found


def _mean(values: list[float]) -> float | None:
    return significant(sum(values) / len(values)) if values else None


def error_kinds(rows: Iterable[Second]) -> list[str]:
    """Returns the kinds that have a colour of their own, the most frequent first, and one for the rest."""
    totals: Counter[str] = Counter()
    for row in rows:
        totals.update({kind: 1 + int(1000 * rate) for kind, rate in row.errors_per_s.items()})
    ranked = [kind for kind, _ in totals.most_common()]
    return ranked[:KINDS] + [OTHER] * (len(ranked) > KINDS)


def _errors(rows: list[Second], course: Course, length: int) -> dict[str, Column]:
    kinds = error_kinds(rows)
    sums: list[Counter[str]] = [Counter() for _ in range(length)]
    seconds = Counter(row.t_s // course.bin_s for row in rows)
    for row in rows:
        for kind, rate in row.errors_per_s.items():
            sums[row.t_s // course.bin_s][kind if kind in kinds else OTHER] += rate  # type: ignore[assignment]
    return {
        f"errors {kind}": [significant(sums[at][kind] / seconds[at]) if seconds[at] else None for at in range(length)]
        for kind in kinds
    }


def worker_names(workers: Sequence[int]) -> list[str]:
    """Returns what the charts of workers show: each of them, or of many their lowest, median and highest."""
    return [f"worker {worker}" for worker in workers] if len(workers) <= MOST_WORKERS else list(_OF_MANY)


_OF_MANY: dict[str, Callable[..., Any]] = {"lowest": np.nanmin, "median": np.nanmedian, "highest": np.nanmax}


def _workers(course: Course, length: int) -> dict[str, Column]:
    bins = course.workers(length)
    known_s = np.where(bins.length_s > 0, bins.length_s, np.nan)
    found = {
        "answered": bins.answered / known_s,
        "cpu": 100 * bins.cpu_s / known_s,
        "late": bins.hub_delay_ms + 0 * known_s,
        "memory": bins.memory_bytes / 2**20 + 0 * known_s,
    }
    names = worker_names(bins.workers)
    if len(bins.workers) > MOST_WORKERS:
        found = {what: np.array([of(rows, axis=0) for of in _OF_MANY.values()]) for what, rows in found.items()}
    return {
        f"{name} {what}": [None if math.isnan(figure) else significant(figure) for figure in rows[at].tolist()]
        for at, name in enumerate(names)
        for what, rows in found.items()
    }
