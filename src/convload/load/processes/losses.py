"""Accounts for lost workers: what of their share nobody knows the fate of, and who fires the rest."""

from convload.load.pacing.schedules import Schedule
from convload.load.processes.messages import More, Setup
from convload.plan.plan import Plan
from convload.plan.schedule import Loss
from convload.results.runlog import Interval, WorkerLost


class Losses:
    """What was last heard of each worker, and what its loss leads to."""

    def __init__(self, plan: Plan, setup: Setup) -> None:
        self._plan = plan
        self._schedule = Schedule(plan, setup.workers, setup.replay) if plan.model == "open" else None
        self._held_open = setup.held_open
        self._last: dict[int, Interval] = {}

    def note(self, interval: Interval) -> None:
        """Notes what a worker has told."""
        self._last[interval.worker] = interval

    def go_on(self, more: More) -> None:
        """Notes stages that were added."""
        if self._schedule is not None:
            self._schedule.add(more.stages, more.starts_s, replaces=more.replaces)

    def finish(self) -> None:
        """Notes that no more stages will come."""
        self._held_open = False

    def hand_over(self, lost: int, survivors: list[int], from_s: float) -> tuple[Loss | None, str]:
        """Decides on a worker's arrivals; returns what the survivors must hear, and what to say of it."""
        if self._plan.on_lost_worker == "stop":
            return None, "the run was stopped, as on_lost_worker = 'stop' says"
        if self._loss_of(lost):
            return None, "its share had been handed over"
        if not survivors:
            return None, "no other worker was there to take its share"
        if self._schedule is None:
            return None, "its users are gone, in the closed model nobody takes their place"
        if from_s >= self._schedule.ends_s and not self._held_open:
            return None, "the schedule was over"
        loss = Loss(lost, from_s, survivors)
        self._schedule.losses.append(loss)
        takers = "one other worker fires" if len(survivors) == 1 else f"{len(survivors)} other workers fire"
        return loss, f"from {from_s:.1f} s on {takers} its arrivals"

    def record(self, lost: int, at_s: float, why: str, outcome: str) -> WorkerLost:
        """Returns the loss as the run log tells it, with its seconds and its arrivals."""
        last, loss = self._last.get(lost), self._loss_of(lost)
        silent_from_s, waiting = (last.to_s, last.backlog) if last else (0.0, 0)
        parts = [f"{why}its results end at {silent_from_s:.1f} s, {max(at_s - silent_from_s, 0.0):.1f} s before that"]
        arrivals = 0
        if self._schedule is not None:
            to_s = loss.from_s if loss else at_s
            arrivals = waiting + self._schedule.count(lost, silent_from_s, to_s)
            parts.append(f"what became of {arrivals:,} arrivals that were due until {to_s:.1f} s is unknown")
        return WorkerLost(lost, at_s, "; ".join([*parts, outcome]), silent_from_s, arrivals)

    def _loss_of(self, worker: int) -> Loss | None:
        losses = self._schedule.losses if self._schedule else []
        return next((loss for loss in losses if loss.worker == worker), None)
