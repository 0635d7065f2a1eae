"""Decides when a user starts its next conversation: the closed model, each user with its think time."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from gevent.event import Event

from convload.load.pacing.protocol import NOW
from convload.plan.durations import Think, parse_think
from convload.plan.plan import Plan

DESERTED_AFTER_S = 2.0


class ClosedPacing:
    """The end and the think times of one worker's users.

    Args:
        plan: with `conversations`, each worker starts its even share of them.
        worker: the number of this worker, from 0.
        workers: how many there are.
    """

    def __init__(self, plan: Plan, worker: int, workers: int) -> None:
        self._worker, self._workers = worker, workers
        self._think = parse_think(plan.think)
        self._random = random.Random(f"{plan.seed}/{worker}/think")  # noqa: S311 -- think times, the same for a seed
        self._started_s = float("inf")
        self._left = None if plan.conversations is None else share_of(plan.conversations, worker, workers)
        self._ends_after_s = plan.ends_after_s
        self._most: int | None = None
        self._leaving = 0
        self.stopped = Event()
        self.used_up = False
        self.stop_s = float("inf")
        self.in_progress = 0
        self.offered = self.backlog = 0
        self.variant = ""
        self.dry = ""

    def start(self, started_s: float) -> None:
        """Sets the end, from the start as a reading of `time.monotonic`."""
        self._started_s = started_s
        if self._ends_after_s is not None:
            self.end_at(self._ends_after_s)

    def end_at(self, ends_s: float) -> None:
        """Moves the end, in seconds from the start."""
        self.stop_s = self._started_s + ends_s

    def of_class(self, _: str, /) -> "ClosedPacing":
        """Returns this: how many users a class has says how much it does."""
        return self

    def change_users(self, users: int, at_s: float, grow: Callable[[int], None]) -> None:
        """Changes how many users the run has, from an instant on: more come, or some go home after their turn."""
        after_s = self._started_s + at_s - time.monotonic()
        gevent.spawn_later(max(after_s, 0.0), self._keep, share_of(users, self._worker, self._workers), grow)

    def _keep(self, users: int, grow: Callable[[int], None]) -> None:
        self._most = users
        missing = users - (self.in_progress - self._leaving)
        if missing > 0 and not self.stopped.is_set():
            grow(missing)

    def take(self) -> float | None:
        """Lets a user start another conversation: NOW; None when there are no more, or fewer users are wanted."""
        if self._most is not None and self.in_progress - self._leaving > self._most:
            self._leaving += 1
            return None
        if self._left is not None:
            if self._left == 0:
                self.used_up = self.used_up or not self.stopped.is_set()
                self.stopped.set()
                return None
            self._left -= 1
        if time.monotonic() >= self.stop_s:
            self.stop()
        return None if self.stopped.is_set() else NOW

    @property
    def busy(self) -> int:
        """Users that hold a conversation, or think."""
        return self.in_progress

    def settle(self) -> int:
        """Returns how many arrivals were never sent: none, a closed load has no arrivals."""
        self.stop()
        return 0

    def stop(self) -> None:
        """Lets no user start another conversation and wakes those who think."""
        self.stopped.set()

    def run_dry(self, why: str) -> None:
        """Stops because something that the plan counts on is used up; `dry` then says what."""
        self.dry = why
        self.stop()

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Counts a user in while it may start or finish conversations.

        When the last one has left and none comes in its place, nothing more will happen: the run ends.
        """
        self.in_progress += 1
        try:
            yield
        finally:
            self.in_progress -= 1
            self._leaving = max(self._leaving - 1, 0)
            if not self.in_progress and not self.stopped.is_set():
                gevent.spawn_later(DESERTED_AFTER_S, self._stop_if_deserted)

    def _stop_if_deserted(self) -> None:
        if not self.in_progress and not self.stopped.is_set():
            self.run_dry("all its users have left")

    def think_s(self) -> float:
        """Draws the next think time."""
        return 0.0 if self._think is None else _draw(self._think, self._random)

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end."""
        self.stopped.wait(seconds)


def share_of(total: int, worker: int, workers: int) -> int:
    """Returns a worker's even share; those of all workers add up to the total."""
    return total // workers + (worker < total % workers)


def _draw(think: Think, source: random.Random) -> float:
    match think.kind:
        case "constant":
            return think.low_s
        case "uniform":
            return source.uniform(think.low_s, think.high_s)
        case "exponential":
            return source.expovariate(1 / think.low_s) if think.low_s else 0.0
