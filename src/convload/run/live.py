"""Shows a run while it goes on: follows the growing run log and prints a line now and then."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE
from convload.results.histogram import Histogram
from convload.results.runlog import FILE_NAME, GrowingLog, Interval

TERMINAL_EVERY_S = 1.0
PIPE_EVERY_S = 10.0


class Live:
    """Prints one line that renews itself on a terminal, and a plain line every 10 s elsewhere."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._terminal = out.isatty()
        self._every_s = TERMINAL_EVERY_S if self._terminal else PIPE_EVERY_S
        self._due_s = clock() + self._every_s
        self._tail: GrowingLog | None = None
        self._intervals: list[Interval] = []

    def update(self, folder: Path) -> None:
        """Prints what has come since the last line, if it is time."""
        if self._clock() < self._due_s:
            return
        self._due_s += self._every_s
        self._tail = self._tail or GrowingLog(folder / FILE_NAME)
        self._intervals += [record for record in self._tail.read() if isinstance(record, Interval)]
        if self._intervals:
            self._print(describe(self._intervals))
            self._intervals = []

    def close(self) -> None:
        """Leaves the terminal on a line of its own."""
        if self._terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _print(self, line: str) -> None:
        self._out.write(f"\r{line}\x1b[K" if self._terminal else f"convload: {line}\n")
        self._out.flush()


def describe(intervals: list[Interval]) -> str:
    """Returns one line on the create requests of some intervals of all workers."""
    cells = [cell for interval in intervals for cell in interval.cells if cell.step == CREATE]
    count = sum(cell.count for cell in cells)
    ok = [cell for cell in cells if cell.outcome == OK]
    seconds = max(one.to_s for one in intervals) - min(one.from_s for one in intervals)
    times = Histogram.merged(Histogram.decode(cell.response or cell.service) for cell in ok)
    users = {one.worker: one.users for one in intervals}
    figures = [
        f"{max(one.to_s for one in intervals):.0f} s",
        f"{count / seconds:,.0f} conversations/s",
        f"p50 {times.percentile(50) / 1000:.2f} ms" if times.count else "p50 –",
        f"p99 {times.percentile(99) / 1000:.2f} ms" if times.count else "p99 –",
        f"errors {(count - sum(cell.count for cell in ok)) / max(count, 1):.2%}",
        f"users {sum(users.values())}",
    ]
    backlog = sum({one.worker: one.backlog for one in intervals}.values())
    return "  ".join([*figures, f"waiting {backlog}"] if backlog else figures)
