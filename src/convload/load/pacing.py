"""Decides when a user starts its next conversation: the closed model, each user with its think time."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event

from convload.plan import Plan, Think, parse_think


class ClosedPacing:
    """The end and the think times of one worker's users.

    Args:
        plan: with `conversations`, each worker starts its even share of them.
        worker: the number of this worker, from 0.
        workers: how many there are.
    """

    def __init__(self, plan: Plan, worker: int, workers: int) -> None:
        self._think = parse_think(plan.think)
        self._random = random.Random(f"{plan.seed}/{worker}/think")
        self._left = _share(plan.conversations, worker, workers)
        self.stopped = Event()
        self.stop_s = float("inf")
        self.in_progress = 0
        self.dry = ""

    def take(self) -> bool:
        """Tells a user whether to start another conversation; if so, that one is counted."""
        if self._left is not None:
            if self._left == 0:
                self.stopped.set()
                return False
            self._left -= 1
        if time.monotonic() >= self.stop_s:
            self.stop()
        return not self.stopped.is_set()

    def stop(self) -> None:
        """Lets no user start another conversation and wakes those who think."""
        self.stopped.set()

    def run_dry(self, why: str) -> None:
        """Stops because something that the plan counts on is used up; `dry` then says what."""
        self.dry = why
        self.stop()

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Counts a user in while it may start or finish conversations."""
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1

    def think_s(self) -> float:
        """Draws the next think time."""
        return 0.0 if self._think is None else _draw(self._think, self._random)

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end."""
        self.stopped.wait(seconds)


def _share(total: int | None, worker: int, workers: int) -> int | None:
    if total is None:
        return None
    return total // workers + (worker < total % workers)


def _draw(think: Think, source: random.Random) -> float:
    match think.kind:
        case "constant":
            return think.low_s
        case "uniform":
            return source.uniform(think.low_s, think.high_s)
        case "exponential":
            return source.expovariate(1 / think.low_s) if think.low_s else 0.0
