"""Shows a run in the terminal while it goes on; where there is none, as a line now and then."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from convload.contract.outcomes import OK
from convload.live.gates import FAILS, IN_DANGER, PASSES, UNDECIDED, GateState, GateWatch
from convload.live.watching import Show
from convload.report.document import visible
from convload.results.histogram import Histogram, short
from convload.results.progress import Progress, offered_rate_of, rate_of, times_of
from convload.results.runlog import Interval, Record

TERMINAL_EVERY_S = 1.0
PIPE_EVERY_S = 10.0

LAST_S = 5.0
"""What "now" is: a second alone has too few requests for a p99."""

MOST_GATES, MOST_REMARKS = 6, 2
SPARKS = "▁▂▃▄▅▆▇█"
SPARKS_FROM, SPARK_SECONDS = 72, 24
"""A terminal that is narrower has no room for the last seconds as bars."""

_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_GATE_MARKS = {PASSES: ("✓", "green"), FAILS: ("✗", "red"), IN_DANGER: ("!", "yellow"), UNDECIDED: ("?", "dim")}


class TerminalShow(Show):
    """Redraws some lines once a second on a terminal, and writes a plain line every 10 s elsewhere."""

    def __init__(
        self,
        out: TextIO,
        gates: GateWatch,
        clock: Callable[[], float] = time.monotonic,
        more: Callable[[], list[tuple[str, str]]] = list,
    ) -> None:
        self._more = more
        self._out, self._gates, self._clock = out, gates, clock
        self._console = Console(file=out, highlight=False)
        self.redraws = self._console.is_terminal and not self._console.is_dumb_terminal
        self._every_s = TERMINAL_EVERY_S if self.redraws else PIPE_EVERY_S
        self._due_s = clock() + self._every_s
        self._live: Live | None = None
        self._since: list[Interval] = []

    def update(self, progress: Progress, records: Sequence[Record]) -> None:
        """Shows what has come, if it is time."""
        self._since += [one for one in records if isinstance(one, Interval)]
        if self._clock() < self._due_s:
            return
        self._due_s += self._every_s
        if self._since and self.redraws:
            self._draw(progress)
        elif self._since:
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._out.write(f"convload: {stamp}  {describe(progress, self._since)}\n")
            self._out.flush()
        self._since = []

    def _draw(self, progress: Progress) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        with suppress(OSError):  # of no size
            self._console.size = ConsoleDimensions(*os.get_terminal_size(self._out.fileno()))
        shown = render(progress, self._gates.states, self._console.width, self._more())
        self._live.update(shown, refresh=True)

    def finish(self) -> None:
        """Takes the lines away: the report comes in their place."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def close(self) -> None:
        """Leaves the terminal as it was, also where the run came to no good end."""
        if self._live is not None:
            self._live.stop()


def describe(progress: Progress, intervals: Sequence[Interval]) -> str:
    """Returns one line on the create requests of some intervals."""
    times, failed = times_of(intervals), rate_of(intervals) - rate_of(intervals, outcome=OK)
    left = f" of {progress.ends_s:.0f} s" if progress.ends_s else " s"
    figures = [
        f"{progress.elapsed_s:.0f}{left}",
        f"{rate_of(intervals):,.0f} conversations/s",
        *(f"{name} {_ms(times, percent)}" for name, percent in _PERCENTILES.items()),
        f"errors {failed / max(rate_of(intervals), 1e-9):.2%}",
        f"users {progress.sum_of_latest('users')}",
    ]
    backlog = progress.sum_of_latest("backlog")
    return "  ".join([*figures, f"waiting {backlog}"] if backlog else figures)


def render(progress: Progress, gates: Sequence[GateState], width: int, more: Sequence[tuple[str, str]] = ()) -> Group:
    """Returns what a terminal of a width shows; `more` is what there is to say beside a run."""
    rows = [(word, Text(text), "") for word, text in more]
    rows += _rows(progress, gates, width)
    return Group(_head(progress, width), *(_line(*row, width) for row in rows))


def _head(progress: Progress, width: int) -> Table:
    mark, ends_s, now_s = progress.stage_at(progress.elapsed_s), progress.ends_s, progress.elapsed_s
    name = str(progress.manifest.plan.get("name", "")) if progress.manifest else ""
    where = f"{name}: {mark.name}" if mark and mark.name else name
    left = f"{now_s:.0f} of {ends_s:.0f} s, {max(ends_s - now_s, 0):.0f} s left" if ends_s else f"{now_s:.0f} s"
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(max_width=max(width - len(left) - 12, 8), no_wrap=True, overflow="ellipsis")
    head.add_column(ratio=1)
    head.add_column(no_wrap=True, justify="right")
    head.add_row(Text(visible(where), style="bold"), ProgressBar(total=ends_s or None, completed=now_s), Text(left))
    return head


def _rows(progress: Progress, gates: Sequence[GateState], width: int) -> Iterator[tuple[str, Text, str]]:
    """Yields a word, what there is to say of it, and the last seconds as bars."""
    now = progress.last(LAST_S)
    seconds = _by_second(progress) if width >= SPARKS_FROM else []
    yield "rate", Text(_rates(progress, now)), _sparks([rate_of(one) for one in seconds])
    yield f"last {LAST_S:.0f} s", Text(_percentiles(times_of(now))), _sparks([_p99(one) for one in seconds])
    yield "so far", Text(_percentiles(progress.times())), ""
    yield "errors", _errors(progress), ""
    for state in gates[:MOST_GATES]:
        mark, style = _GATE_MARKS[state.state]
        yield "gate", Text(f"{mark} {visible(state.gate)}: {state.state}{_bounds(state)}", style), ""
    yield "generator", _generator(progress, now), ""
    for remark in progress.remarks[-MOST_REMARKS:]:
        yield "note", Text(visible(remark), "yellow"), ""


def _line(word: str, said: Text, sparks: str, width: int) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{word:<9} ", "dim").append_text(said)
    room = width - cell_len(line.plain) - len(sparks) - 1
    if sparks and room >= 1:
        line.append(" " * room + sparks, "cyan")
    return line


def _rates(progress: Progress, now: Sequence[Interval]) -> str:
    offered = offered_rate_of(now)
    parts = [
        f"{short(rate_of(now, outcome=OK))} ok/s",
        f"{short(rate_of(now))} sent/s",
        f"{short(offered)} offered/s" if offered else "",
        f"in flight {progress.sum_of_latest('in_flight')}",
        f"waiting {backlog}" if (backlog := progress.sum_of_latest("backlog")) else "",
    ]
    return "  ".join(filter(None, parts))


def _percentiles(times: Histogram) -> str:
    return "  ".join(f"{name} {_ms(times, percent)}" for name, percent in _PERCENTILES.items())


def _ms(times: Histogram, percent: float) -> str:
    return f"{short(times.percentile(percent) / 1000)} ms" if times.count else "–"


def _errors(progress: Progress) -> Text:
    found = progress.outcomes()
    total = sum(found.values())
    failed = [(kind, count) for kind, count in found.most_common() if kind != OK]
    said = "  ".join(f"{visible(kind)} {count:,} ({count / total:.2%})" for kind, count in failed)
    return Text(said or f"none of {total:,}", "red" if failed else "")


def _generator(progress: Progress, now: Sequence[Interval]) -> Text:
    late = progress.times("lateness")
    parts = [
        f"CPU {max((one.cpu_share for one in now), default=0.0):.0%} of a core",
        f"lateness p99 {_ms(late, 99.0)}" if late.count else "",
        f"loop late {short(max((one.hub_delay_ms for one in now), default=0.0))} ms",
        f"{len(progress.latest)} worker{'s' * (len(progress.latest) != 1)}",
    ]
    return Text("  ".join(filter(None, parts)))


def _bounds(state: GateState) -> str:
    if state.value is None:
        return ""
    known = state.low is not None and state.high is not None
    between = f" [{short(state.low or 0.0)}, {short(state.high or 0.0)}]" if known else ""
    return f", {short(state.value)}{between} {state.unit}"


def _by_second(progress: Progress) -> list[list[Interval]]:
    seconds: dict[int, list[Interval]] = {}
    for one in progress.last(SPARK_SECONDS):
        seconds.setdefault(int((one.from_s + one.to_s) / 2), []).append(one)
    return [seconds[at] for at in sorted(seconds)]


def _p99(intervals: Sequence[Interval]) -> float:
    times = times_of(intervals)
    return float(times.percentile(99.0)) if times.count else 0.0


def _sparks(values: Sequence[float]) -> str:
    """Returns bars from nothing to the highest."""
    highest = max(values, default=0.0)
    return "".join(SPARKS[min(int(value / highest * 7.999), 7)] for value in values) if highest else ""
