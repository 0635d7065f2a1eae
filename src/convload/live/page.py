"""The page of a run that goes on: what it shows, and what it is told every second."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from convload.contract.outcomes import OK
from convload.live.gates import FAILS, PASSES, GateWatch
from convload.plan.facts import OPEN
from convload.plan.plan import Plan
from convload.report import charts, course_data, html
from convload.report.document import visible
from convload.results.course import Course
from convload.results.histogram import Histogram, short
from convload.results.progress import Progress, offered_rate_of, rate_of, times_of
from convload.results.run import Run
from convload.results.runlog import Interval, Manifest, Record, RunLog
from convload.run.by_hand import Wish

_ASSETS = Path(__file__).parent / "assets"

LAST_S = 5.0
MOST_REMARKS = 8
STILL_CHANGING = 3
"""Bins at the end of the charts that are sent again: workers tell of a second a moment apart."""

WISHES = ("stop", "end_stage", "extend", "load")


class Known(msgspec.Struct):
    """What a browser has been sent of the charts."""

    bins: int = 0
    bin_s: int = 0
    declared: bytes = b""


class Page:
    """What the page of one run shows; counts in the run's thread, and is asked in the server's.

    `refusal` says why a wish cannot be fulfilled now.
    """

    def __init__(self, plan: Plan, progress: Progress, gates: GateWatch, refusal: Callable[[Wish], str]) -> None:
        self._plan, self._progress, self._gates, self._refusal = plan, progress, gates, refusal
        self._lock = threading.Lock()
        self._course: Course | None = None
        self._happened: list[Record] = []
        self._data: dict[str, Any] = {}
        self._declared = b""
        self._is_old = True
        self.reported = False

    def take(self, records: Sequence[Record]) -> None:
        """Counts what has come."""
        with self._lock:
            for record in records:
                if isinstance(record, Manifest):
                    self._course = Course(record.stages, self._plan.ends_after_s or 0.0)
                if not isinstance(record, Interval):
                    self._happened.append(record)
            if self._course is not None:
                self._course.add([record for record in records if isinstance(record, Interval)])
            self._is_old = self._is_old or bool(records)

    def html(self) -> tuple[str, str]:
        """Returns the page and the policy under which it runs its own scripts alone, and asks nobody but its server."""
        style, scripts = html.assets()
        style = Markup("{}\n{}").format(style, _asset("live.css"))
        scripts = [*scripts[:-1], _asset("live.js")]  # the last one fills a page that is finished
        template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_text("live.html"))
        what = f"{self._plan.model} load at {'the embedded mock' if self._plan.target == 'mock' else self._plan.target}"
        text = template.render(name=visible(self._plan.name), what=visible(what), style=style, scripts=scripts)
        hashes = " ".join(html.content_hash(script) for script in scripts)
        return text, (
            f"default-src 'none'; style-src {html.content_hash(style)}; script-src {hashes}; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    # -- every second --

    def state(self) -> dict[str, Any]:
        """Returns all that is no chart."""
        progress = self._progress
        with progress.lock:
            now_s, mark = progress.elapsed_s, progress.stage_at(progress.elapsed_s)
            return {
                "elapsed_s": round(now_s, 3),
                "ends_s": progress.ends_s,
                "stage": visible(mark.name) if mark else "",
                "ended": progress.ended,
                "reported": self.reported,
                "tiles": _tiles(progress),
                "gates": [
                    msgspec.to_builtins(one) | {"decided": one.state in {PASSES, FAILS}} for one in self._gates.states
                ],
                "gates_note": self._gates_note(),
                "generator": _generator(progress),
                "remarks": [visible(text) for text in progress.remarks[-MOST_REMARKS:]],
                "refusals": {name: self._refusal(Wish(name)) for name in WISHES},  # type: ignore[arg-type]  # of its own words
                "load": self._load(),
            }

    def _gates_note(self) -> str:
        if self._gates.gave_up:
            return "The run has become too long to be judged all the time; its gates are judged at the end."
        if not self._gates.states:
            return "Judged as results come in, after the warm-up."
        return f"As of {self._gates.judged_s:.0f} s. Bounds narrow as requests come in; the end decides."

    def _load(self) -> dict[str, Any] | None:
        if not self._plan.interactive:
            return None
        mark = self._progress.stage_at(self._progress.elapsed_s)
        if self._plan.model == OPEN:
            return {"unit": "/s", "now": (mark.to_rate if mark else self._plan.rate) or 1}
        return {"unit": "users", "now": (mark.users if mark else 0) or self._plan.users}

    def charts(self, known: Known) -> bytes | None:
        """Returns what a browser has not been sent yet, as JSON; None where there is nothing new."""
        with self._lock:
            if not self._reckon():
                return None
            told: dict[str, Any] = {}
            if self._declared != known.declared:
                told["charts"] = msgspec.Raw(self._declared)
            bins = len(self._data["t"])
            keep = 0 if self._data["bin_s"] != known.bin_s else max(known.bins - STILL_CHANGING, 0)
            told["data"] = course_data.since(self._data, keep) if keep else self._data
            known.bins, known.bin_s, known.declared = bins, self._data["bin_s"], self._declared
        return msgspec.json.encode(told)

    def _reckon(self) -> bool:
        """Reckons the charts anew, if something has come; says whether there are any."""
        recent = [*self._progress.latest.values()]
        if self._course is None or not recent:
            return False
        if self._is_old:
            # The course has counted all intervals; of the log the charts need no more than what else it says.
            run = Run(RunLog.growing([*self._happened, *recent]))
            run.series = self._course.seconds.rows(run.window)
            self._data = charts.data(run, self._course)
            self._declared = msgspec.json.encode(charts.of_run(run, self._gates.results))
            self._is_old = False
        return bool(self._data["t"])


def _tiles(progress: Progress) -> list[tuple[str, str, str, str]]:
    """Returns name, figure, unit, and what else is to be said."""
    now, outcomes = progress.last(LAST_S), progress.outcomes()
    times, so_far, offered = times_of(now), progress.times(), offered_rate_of(now)
    failed = {kind: count for kind, count in outcomes.most_common() if kind != OK}
    kinds = ", ".join(f"{visible(kind)} {count:,}" for kind, count in list(failed.items())[:4])
    total = outcomes.total()
    so_far_in_all = f"{total:,} so far"
    return [
        ("ok", short(rate_of(now, outcome=OK)), "/s", f"{short(offered)}/s offered" if offered else so_far_in_all),
        *(
            (f"response {name}", _ms(times, percent), "ms", f"{_ms(so_far, percent)} ms so far")
            for name, percent in (("p50", 50.0), ("p95", 95.0), ("p99", 99.0))
        ),
        ("errors", short(100 * sum(failed.values()) / total) if total else "–", "%", kinds or f"none of {total:,}"),
        ("in flight", f"{progress.sum_of_latest('in_flight'):,}", "", f"{progress.sum_of_latest('backlog'):,} waiting"),
    ]


def _ms(times: Histogram, percent: float) -> str:
    return short(times.percentile(percent) / 1000) if times.count else "–"


def _generator(progress: Progress) -> list[tuple[str, str]]:
    now, late = progress.last(LAST_S), progress.times("lateness")
    busiest = max((one.cpu_share for one in now), default=0.0)
    found = [("CPU of the busiest worker", f"{busiest:.0%} of a core")]
    if late.count:
        found.append(("lateness p99, so far", f"{_ms(late, 99.0)} ms"))
    return [
        *found,
        ("event loop, at worst late", f"{short(max((one.hub_delay_ms for one in now), default=0.0))} ms"),
        ("files free", f"{min((one.files_free for one in now), default=0):,}"),
        ("workers, users", f"{len(progress.latest)}, {progress.sum_of_latest('users'):,}"),
    ]


def _text(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


def _asset(name: str) -> Markup:
    return Markup(_text(name).strip())  # noqa: S704 -- a file of ours
