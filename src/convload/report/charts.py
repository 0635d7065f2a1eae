"""The charts of a run: what each shows, of which columns (`course_data`), against which limits."""

from collections.abc import Sequence
from typing import Any

import msgspec

from convload.judging.gate_result import GateResult
from convload.plan.gate import Gate
from convload.plan.gate_grammar import GateTextError, parse
from convload.plan.gate_names import RATE, RESPONSE, TIME, UNITS
from convload.report import course_data, two_targets
from convload.report.chart import Chart, Limit, Line, Look, histogram, percentiles
from convload.results.course import Course
from convload.results.run import Run

NOTE = (
    "Charts over time are linked: drag to zoom all, double-click to go back; with the keyboard arrows move the cursor, "
    "+ and − zoom, 0 goes back. Shaded: not measured (warm-up, and what came after the end)."
)

HIDDEN = "waited before it was sent: a tool that waits for answers hides it"
"""What lies between response and service time."""

_COLORS = ("c1", "c3", "c2", "c5", "c4", "c6", "c7")
_STACKED = ("c3", "c1", "c4", "c5", "c2", "c6", "c7")


def data(run: Run, course: Course | None = None) -> dict[str, Any]:
    """Returns the columns of a run's charts; `course` is what was counted of it so far, else it is counted now."""
    found = course_data.columns(run, course or run.course)
    return found | two_targets.columns(found)


def of_run(run: Run, gates: Sequence[GateResult] = ()) -> list[Chart]:
    """Returns the charts of a run, those that show it as a whole before those of each part of the generator."""
    limits = [limit for gate in gates if (limit := _limit(gate))]
    clock = "response time" if run.is_open else "service time"
    of_times = [one for kind, one in limits if kind == RESPONSE]
    has_two = any(mark.target for mark in run.marks)
    return [
        *(
            two_targets.charts(of_times, clock, _lacks_time(run))
            if has_two
            else [*_times(run, of_times, clock), *_distributions(run, of_times)]
        ),
        _rates(run, [one for kind, one in limits if kind in {"rate", "offered"}]),
        _queue(run),
        *_failures(run),
        *([_lateness(run, [one for kind, one in limits if kind == "lateness"])] if run.is_open else []),
        _generator(run),
        *_workers(run),
    ]


def _limit(gate: GateResult) -> tuple[str, Limit] | None:
    """Returns what chart a gate's limit stands in, and the limit in the chart's unit; None where it has none."""
    try:
        parsed = parse(gate.gate)
    except GateTextError:
        return None  # a built-in gate, or one of another version
    if gate.limit is None:
        return None
    value = gate.limit * UNITS[parsed.limit.unit].scale
    if parsed.quantity is TIME:
        return parsed.subject.clock, Limit(value, gate.gate, _place(parsed))
    return (parsed.subject.measure, Limit(value, gate.gate)) if parsed.quantity is RATE else None


def _place(gate: Gate) -> str:
    subject = gate.subject
    return f"variant {subject.variant}" if subject.variant else f"step {subject.step}"


def _times(run: Run, limits: list[Limit], clock: str) -> list[Chart]:
    lacks, heat = _lacks_time(run), f"{clock.capitalize()}, all requests"
    rows = "How many requests took how long, by the colours below. Each row is a quarter longer than the one under it."
    beside = "What the target took, without the wait before sending; rows and colours as beside."
    over_time = (
        f"Of the {clock} of successful requests{'; dashed: the p99 of the service time alone' * run.is_open}. "
        "With few requests a p99 is their maximum."
    )
    response, service = [Line("response", clock)], [Line("service", "service time")]
    heats = [Chart("heat", heat, "ms", rows, lacks, "heat", lines=response, limits=limits, by_view=True)]
    if run.is_open:
        name = "Service time, all requests"
        heats.append(Chart("heat-service", name, "ms", beside, lacks, "heat", lines=service, by_view=True))
    name = "Percentiles over time"
    times = [
        Line("max", "max", "c7", "dots"),
        Line("p99.9", "p99.9", "c5"),
        Line("p99", "p99", "c3"),
        *([Line("service_p99", "service p99", "c3", "thin")] if run.is_open else []),
        Line("p90", "p90", "c2"),
        Line("p50", "p50", "c1", "bold"),
    ]
    answered = [Line("view_ok_per_s", "ok", "c1", "area"), Line("view_failed_per_s", "failed", "c3")]
    note = "Requests answered well, and failed."
    return [
        *heats,
        Chart("latency", name, "ms", over_time, lacks, lines=times, limits=limits, by_view=True, can_log=True),
        Chart("answers", "Answered, of this step", "/s", note, lacks, lines=answered, by_view=True),
    ]


def _distributions(run: Run, limits: list[Limit]) -> list[Chart]:
    succeeded = any(row.response_ms for row in run.series if run.window.from_s <= row.t_s)
    lacks = _unless(succeeded, "No request succeeded after the warm-up.")
    clock = "response" if run.is_open else "service"
    tails = [Line("response_tail_ms", clock, "c1", "bold", x="response_tail_x")]
    bars = [Line("response_bars", clock, "c1", "filled_steps", x="response_bars_x")]
    if run.is_open:
        tails[0] = msgspec.structs.replace(tails[0], to="service_tail_ms", between=HIDDEN)
        tails.append(Line("service_tail_ms", "service", "c2", x="service_tail_x"))
        bars.append(Line("service_bars", "service", "c2", "steps", x="service_bars_x"))
    across = [Limit(one.value, one.label, one.place, "x") for one in limits]
    slowest = "How slow the slowest were, after the warm-up: each step to the right of 90 % leaves a tenth of them."
    how_long = " after the warm-up, by how long they took"
    return [
        percentiles("distribution", slowest, lacks, tails, limits, by_view=True),
        histogram("histogram", how_long, lacks, bars, across, by_view=True),
    ]


def _rates(run: Run, limits: list[Limit]) -> Chart:
    title, note = "Throughput", "Create requests answered, and answered well."
    lines = [Line("ok_per_s", "ok", "c1", "area"), Line("requests_per_s", "answered", "text")]
    if run.is_open:
        title = "Offered, sent, answered"
        note = "Arrivals that came due, create requests sent, answered, and answered well."
        lines += [Line("offered_per_s", "offered", "c3", "thin"), Line("sent_per_s", "sent", "c5", "thin")]
    return Chart("throughput", title, "/s", note, _no_second(run), lines=lines, limits=limits)


def _queue(run: Run) -> Chart:
    if run.is_open:
        waiting = Line("backlog", "waiting", "c3", "area")
        note = "At the end of each second: requests without an answer yet, and arrivals without a free user."
    else:
        waiting = Line("users", "users", "c7", "thin")
        note = "At the end of each second: users, and requests without an answer yet."
    title = "In flight and waiting" if run.is_open else "Users and in flight"
    lines = [waiting, Line("in_flight", "in flight", "c5")]
    return Chart("queue", title, "", note, _no_second(run), lines=lines)


def _failures(run: Run) -> list[Chart]:
    kinds = course_data.error_kinds(run.series)
    lacks = _unless(bool(kinds), "No create request failed.")
    lines = [Line(f"errors {kind}", kind, color) for kind, color in zip(kinds, _STACKED, strict=False)]
    return [Chart("errors", "Errors by kind", "/s", "Failed create requests, stacked.", lacks, "stack", lines=lines)]


def _lateness(run: Run, limits: list[Limit]) -> Chart:
    note = "From when a request was due to when it was sent: the wait for a free user, or a slow generator."
    most = Line("late_max", "max", "c7", "dots")
    lines = [most, Line("late_p99", "p99", "c3"), Line("late_p50", "p50", "c1", "bold")]
    return Chart("lateness", "Lateness", "ms", note, _lacks_time(run), lines=lines, limits=limits, can_log=True)


def _generator(run: Run) -> Chart:
    note = "CPU time of the busiest worker (left), and the longest delay of its event loop (right)."
    cpu = Line("cpu_percent", "CPU", "c1", "area", "%")
    late = Line("hub_delay_ms", "event loop late", "c3", "thin", "ms", right=True)
    name, unit = "Load generator", "% of a core"
    return Chart("generator", name, unit, note, _no_second(run), lines=[cpu, late], right="ms", least_top=100)


def _workers(run: Run) -> list[Chart]:
    names = course_data.worker_names(run.health.workers)
    if len(names) <= 1:
        return []
    shown = [
        ("answered", "Answered by each worker", "/s", "Create requests that it recorded."),
        ("cpu", "CPU of each worker", "% of a core", "CPU time over wall time."),
        ("late", "Event loop of each worker", "ms", "How late it came to what was due, at worst."),
        ("memory", "Memory of each worker", "MiB", "At its highest."),
    ]
    return [
        Chart(f"worker-{what}", title, unit, note, lines=[_of_worker(at, name, what) for at, name in enumerate(names)])
        for what, title, unit, note in shown
    ]


def _of_worker(at: int, name: str, what: str) -> Line:
    look: Look = "line" if at < len(_COLORS) else "thin"
    return Line(f"{name} {what}", name, _COLORS[at % len(_COLORS)], look)


def _no_second(run: Run) -> str:
    return _unless(bool(run.series), "No second was recorded.")


def _lacks_time(run: Run) -> str:
    return _unless(any(row.response_ms for row in run.series), "No create request succeeded.")


def _unless(measured: bool, text: str) -> str:
    return "" if measured else text
