"""Watches a trial from outside: the CPU time of its mock, and what others took of the machine meanwhile."""

import time
from pathlib import Path

import msgspec
import psutil

SPAN_S = 1.0
MOCK_MODULE = "convload.mock"

BUSY_TIMES = ("user", "nice", "system", "irq", "softirq", "steal")
"""Of the machine's CPU times, those in which a core was not free for us."""


class Seen(msgspec.Struct, frozen=True):
    """CPU times so far, in seconds: of the mock, of all processes of the trial, of the whole machine."""

    at_s: float
    mock_s: float
    own_s: float
    machine_s: float


class TrialWatch:
    """Looks at the children of this process again and again; what has ended keeps its last time."""

    def __init__(self) -> None:
        self._processes: dict[int, float] = {}
        self._mock_pid: int | None = None
        self._seen: list[Seen] = []

    def look(self, _folder: Path) -> None:
        """Notes the CPU times so far."""
        parent = psutil.Process()
        for child in [parent, *parent.children(recursive=True)]:
            self._note(child)
        if self._mock_pid is not None:
            own_s, mock_s = sum(self._processes.values()), self._processes[self._mock_pid]
            times = psutil.cpu_times()
            machine_s = sum(getattr(times, name, 0.0) for name in BUSY_TIMES)
            self._seen.append(Seen(time.monotonic(), mock_s, own_s, machine_s))

    def _note(self, process: psutil.Process) -> None:
        try:
            times = process.cpu_times()
            if self._mock_pid is None and MOCK_MODULE in process.cmdline():
                self._mock_pid = process.pid
        except psutil.Error:
            return  # it has ended
        self._processes[process.pid] = times.user + times.system

    def mock_share(self) -> float | None:
        """Returns the mock's highest share of a core over about a second; None where it was not seen for so long."""
        return busiest_share([(seen.at_s, seen.mock_s) for seen in self._seen], SPAN_S)

    def others_cores(self) -> float | None:
        """Returns how many cores other work took on average; None where the trial was not seen for a second."""
        return taken_by_others(self._seen)


def busiest_share(seen: list[tuple[float, float]], span_s: float) -> float | None:
    """Returns the highest rise of CPU time over wall time between two points at least `span_s` apart."""
    highest, first = None, 0
    for at_s, cpu_s in seen:
        while first + 1 < len(seen) and at_s - seen[first + 1][0] >= span_s:
            first += 1
        length_s = at_s - seen[first][0]
        if length_s >= span_s:
            highest = max(highest or 0.0, (cpu_s - seen[first][1]) / length_s)
    return None if highest is None else round(highest, 3)


def taken_by_others(seen: list[Seen]) -> float | None:
    """Returns the cores that the machine was busy with, less those of the trial itself."""
    if not seen or seen[-1].at_s - seen[0].at_s < SPAN_S:
        return None
    first, last = seen[0], seen[-1]
    others_s = (last.machine_s - first.machine_s) - (last.own_s - first.own_s)
    return round(max(others_s, 0.0) / (last.at_s - first.at_s), 2)
