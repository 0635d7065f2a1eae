"""Targets that queueing theory does not describe: what their capacity does with time, and how they share it.

The clock of work tells how much a target could have done until an instant: it stands in a pause, and goes slower where
capacity has drifted. A queue lives in it: arrivals are mapped into it, and departures back.
"""

import heapq
import math
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_GRID_S = 0.01


class WorkClock(Protocol):
    """Maps instants to the clock of work and back."""

    def work(self, at_s: Floats) -> Floats:
        """Returns how much could have been done until then."""

    def wall(self, work_s: Floats) -> Floats:
        """Returns when so much could have been done."""


class Steady:
    """The clock on the wall."""

    def work(self, at_s: Floats) -> Floats:
        """Returns the same."""
        return at_s

    def wall(self, work_s: Floats) -> Floats:
        """Returns the same."""
        return work_s


class Pauses:
    """Stands for `for_s` every `every_s`, `phase_s` before the first full second of work."""

    def __init__(self, every_s: float, for_s: float, phase_s: float) -> None:
        self._every_s, self._for_s, self._phase_s = every_s, for_s, phase_s

    def work(self, at_s: Floats) -> Floats:
        """Leaves the pauses out."""
        pauses, into_s = np.divmod(at_s + self._phase_s, self._every_s)
        return np.asarray(pauses * (self._every_s - self._for_s) + np.maximum(into_s - self._for_s, 0.0))

    def wall(self, work_s: Floats) -> Floats:
        """Puts them in again."""
        pauses, into_s = np.divmod(work_s, self._every_s - self._for_s)
        return np.asarray(pauses * self._every_s + self._for_s + into_s - self._phase_s)


class Drift:
    """Goes faster and slower by `share`, as a sine of `period_s`."""

    def __init__(self, share: float, period_s: float, phase_s: float, until_s: float) -> None:
        self._at_s = np.arange(0.0, until_s, _GRID_S)
        turns = 2 * math.pi / period_s
        angle = turns * (self._at_s + phase_s)
        self._work_s = self._at_s + share / turns * (math.cos(turns * phase_s) - np.cos(angle))

    def work(self, at_s: Floats) -> Floats:
        """Returns the integral of the speed."""
        return np.asarray(np.interp(at_s, self._at_s, self._work_s))

    def wall(self, work_s: Floats) -> Floats:
        """Returns its inverse."""
        return np.asarray(np.interp(work_s, self._work_s, self._at_s))


class Scaling:
    """Goes `factor` times as fast from some instant on, which is told when it is known."""

    def __init__(self, factor: float) -> None:
        self._factor, self.from_s = factor, math.inf

    def work(self, at_s: Floats) -> Floats:
        """Adds what is done beside the one that was there."""
        return np.asarray(at_s + (self._factor - 1) * np.maximum(at_s - self.from_s, 0.0))

    def wall(self, work_s: Floats) -> Floats:
        """Takes it out again."""
        return np.asarray(work_s - (1 - 1 / self._factor) * np.maximum(work_s - self.from_s, 0.0))


class Sharing:
    """Servers that all requests share evenly, none faster than one server alone; its state carries over."""

    def __init__(self, servers: int) -> None:
        self._servers = servers
        self._jobs = _Jobs([], 0.0, 0.0)

    def serve(self, due: list[float], services: list[float]) -> list[float]:
        """Returns when each is done, if nothing comes after them."""
        dones = [math.inf] * len(due)
        jobs = self._jobs = _Jobs([(end, -1) for end, _ in self._jobs.ends], self._jobs.attained, self._jobs.now_s)
        for n, (at, service) in enumerate(zip(due, services, strict=True)):
            self._go_on(jobs, at, dones)
            heapq.heappush(jobs.ends, (jobs.attained + service, n))
        self._go_on(_Jobs(jobs.ends.copy(), jobs.attained, jobs.now_s), math.inf, dones)
        return dones

    @property
    def free_s(self) -> float:
        """When all is done that there is."""
        rest = _Jobs([(end, -1) for end, _ in self._jobs.ends], self._jobs.attained, self._jobs.now_s)
        self._go_on(rest, math.inf, [])
        return rest.now_s

    def _go_on(self, jobs: "_Jobs", until_s: float, dones: list[float]) -> None:
        while jobs.ends:
            speed = min(1.0, self._servers / len(jobs.ends))
            end, n = jobs.ends[0]
            at = jobs.now_s + (end - jobs.attained) / speed
            if at > until_s:
                jobs.attained += (until_s - jobs.now_s) * speed
                break
            heapq.heappop(jobs.ends)
            jobs.attained, jobs.now_s = end, at
            if n >= 0:
                dones[n] = at
        if until_s < math.inf:
            jobs.now_s = max(jobs.now_s, until_s)


class _Jobs(msgspec.Struct):
    """What is there at an instant: how much each must have attained to leave, and how much one has that came first."""

    ends: list[tuple[float, int]]
    attained: float
    now_s: float
