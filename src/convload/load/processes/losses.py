"""Accounts for lost workers: what of their share nobody knows the fate of, and who carries the rest."""

from convload.load.pacing.schedules import Schedule, Shares
from convload.load.processes.messages import More, Setup, TakeOver
from convload.plan.plan import Plan
from convload.results.runlog import Interval, WorkerLost


class Losses:
    """Who carries which arrivals, and what was last heard of each worker."""

    def __init__(self, plan: Plan, setup: Setup) -> None:
        self._plan = plan
        self._schedule = Schedule(plan, setup.workers, setup.replay) if plan.model == "open" else None
        self._held_open = setup.held_open
        self._shares = Shares(setup.workers)
        self._last: dict[int, Interval] = {}
        self._handed_over_s: dict[int, float] = {}

    def note(self, interval: Interval) -> None:
        """Notes what a worker has told."""
        self._last[interval.worker] = interval

    def go_on(self, more: More) -> None:
        """Notes stages that were added."""
        if self._schedule is not None:
            self._schedule.add(more)

    def finish(self) -> None:
        """Notes that no more stages will come."""
        self._held_open = False

    def hand_over(self, lost: int, survivors: list[int], from_s: float) -> tuple[dict[int, TakeOver], str]:
        """Deals a worker's arrivals to others from an instant on; returns what each gets, and what to say of it."""
        if self._plan.on_lost_worker == "stop":
            return {}, "the run was stopped, as on_lost_worker = 'stop' says"
        if lost in self._handed_over_s:
            return {}, "its share had been handed over"
        if not survivors:
            return {}, "no other worker was there to take its share"
        if self._schedule is None:
            return {}, "its users are gone, in the closed model nobody takes their place"
        if from_s >= self._schedule.ends_s and not self._held_open:
            return {}, "the schedule was over"
        self._handed_over_s[lost] = from_s
        given = self._shares.give_away(lost, survivors, from_s)
        takers = "one other worker fires" if len(survivors) == 1 else f"{len(survivors)} other workers fire"
        outcome = f"from {from_s:.1f} s on {takers} its arrivals"
        return {survivor: TakeOver(shares, len(survivors)) for survivor, shares in given.items()}, outcome

    def record(self, lost: int, at_s: float, why: str, outcome: str) -> WorkerLost:
        """Returns the loss as the run log tells it, with its seconds and its arrivals."""
        last = self._last.get(lost)
        silent_from_s, waiting = (last.to_s, last.backlog) if last else (0.0, 0)
        to_s = self._handed_over_s.get(lost, at_s)
        parts = [f"{why}its results end at {silent_from_s:.1f} s, {max(at_s - silent_from_s, 0.0):.1f} s before that"]
        arrivals = 0
        if self._schedule is not None:
            arrivals = waiting + self._schedule.count(self._shares.of(lost), silent_from_s, to_s)
            parts.append(f"what became of {arrivals:,} arrivals that were due until {to_s:.1f} s is unknown")
        return WorkerLost(lost, at_s, "; ".join([*parts, outcome]), silent_from_s, arrivals)
