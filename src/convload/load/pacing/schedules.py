"""Says which worker fires which arrivals of an open plan, also when workers are lost, and at which of two targets.

The schedule is a pure function: any worker can compute the arrivals of any other, so nobody sends arrivals about. Who
fires which of them follows from the losses alone (`convload.plan.schedule.owners`), for which user class it is from a
draw (`ClassDraw`).

**Why none is fired twice, or by nobody.** The coordinator alone decides on losses, one after the other, and every
survivor hears of each in that order; those who are lost or leave hear of no more and fire no more. What a worker adds
when it hears of one is what that loss alone made its own, so nothing that it has fired already comes again; should it
hear late, what is due already comes first, and late. What the lost worker fired between its last word and the instant
of its loss nobody knows; it is counted as unknown.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

import gevent
import numpy as np

from convload.load.pacing.arrivals import Block, before, merged
from convload.plan.plan import Plan
from convload.plan.schedule import BLOCK, TARGETS, ClassDraw, Loss, RateProfile, Stage, StageMark, blocks, owners
from convload.plan.stages import parse_replay

AFTER_LAST_S = 0.001
"""A recording ends behind its last start, so that this one too is due before the end."""

Streams = dict[str, Iterator[Block]]
"""The arrivals for each user class, by its name."""

Losses = tuple[Loss, ...]

ONE_CLASS = MappingProxyType({"": 1.0})


class _Leg(NamedTuple):
    """Stages that were planned or added together; from `until_s` on others have taken their place."""

    starts_s: float
    profile: RateProfile
    until_s: float = math.inf


class Schedule:
    """The arrivals of an open plan and who fires them.

    Its first leg is the plan's; others are added while the run goes on, each dealt out for itself.

    Args:
        plan: an open one.
        workers: how many the arrivals are dealt to.
        replay: the text of the recorded starts, "" without.
        weights: those of the user classes by their names.

    Attributes:
        ends_s: when the last arrival may be due.
        losses: those so far, in the order in which they were decided on.
    """

    def __init__(self, plan: Plan, workers: int, replay: str, weights: Mapping[str, float] = ONE_CLASS) -> None:
        self._plan = plan
        self._weights = weights
        self._workers = workers
        self._recorded = parse_replay(replay, plan.replay) if plan.replay else None
        planned = RateProfile(plan.resolved_stages())
        self._legs = [_Leg(0.0, planned)]
        self.ends_s = float(self._recorded.times_s[-1]) + AFTER_LAST_S if self._recorded else planned.ends_s
        self.losses: list[Loss] = []

    def add(self, stages: Sequence[Stage], starts_s: float, *, replaces: bool = False) -> None:
        """Adds a leg, which may take the place of what was still to come then."""
        if replaces:
            self._legs = [leg._replace(until_s=min(leg.until_s, starts_s)) for leg in self._legs]
        self._legs.append(_Leg(starts_s, RateProfile(stages)))
        self.ends_s = starts_s + sum(stage.duration_s for stage in stages)

    def arrivals(self, worker: int, from_leg: int = 0) -> Streams:
        """Returns what a worker has to fire as things are now; legs count from 0, -1 is the last one."""
        return self._owned(worker, from_leg, tuple(self.losses), None)

    def inherited(self, worker: int) -> Streams:
        """Returns what the last loss has made a worker's.

        The first of it is looked for here, and a long schedule is passed over with pauses in which users fire. The
        streams themselves never give way: what reads them must not.
        """
        losses = tuple(self.losses)
        found = self._owned(worker, 0, losses, losses[:-1])
        return {name: chain([first], rest) for name, rest in found.items() if (first := next(rest, None)) is not None}

    def count(self, worker: int, from_s: float, to_s: float) -> int:
        """Returns how many arrivals of a worker are due from `from_s` on and before `to_s`."""
        found = 0
        for block in merged(list(self.arrivals(worker).values())):
            first, end = np.searchsorted(block.times, (from_s, to_s)).tolist()
            found += max(end - first, 0)
            if end < len(block.times):
                break
            gevent.sleep(0)
        return found

    def _owned(self, worker: int, from_leg: int, losses: Losses, before: Losses | None) -> Streams:
        """Returns what is a worker's with these losses, and was not with those before."""
        origins = dict.fromkeys([worker, *(loss.worker for loss in losses)])
        legs = range(len(self._legs))[from_leg:]
        return {
            name: merged([self._owned_of(origin, position, worker, legs, losses, before) for origin in origins])
            for position, name in enumerate(self._weights)
        }

    def _owned_of(
        self, origin: int, user_class: int, worker: int, legs: range, losses: Losses, before: Losses | None
    ) -> Iterator[Block]:
        for leg in legs:
            first, draw = 0, ClassDraw([*self._weights.values()], self._plan.seed, origin, leg)
            for block in self._dealt(origin, leg):
                times = block.times
                numbers = np.arange(first, first := first + len(times))
                chosen = owners(origin, numbers, times, losses) == worker
                if before is not None:
                    chosen &= owners(origin, numbers, times, before) != worker
                if len(self._weights) > 1:
                    chosen &= draw.next(len(times)) == user_class
                if chosen.any():
                    yield block.where(chosen)
                elif before is not None and times[-1] < losses[-1].from_s:
                    gevent.sleep(0)

    def _dealt(self, origin: int, leg: int) -> Iterator[Block]:
        """Yields what was dealt to a worker of one leg, up to where another took its place."""
        yield from before(self._dealt_whole(origin, leg), self._legs[leg].until_s)

    def _dealt_whole(self, origin: int, leg: int) -> Iterator[Block]:
        if self._recorded and leg == 0:
            times = self._recorded.times_s[origin :: self._workers]
            variants = np.array(self._recorded.variants, dtype=object)[origin :: self._workers]
            for at in range(0, len(times), BLOCK):
                yield Block(times[at : at + BLOCK], variants[at : at + BLOCK])
            return
        starts_s, profile, _ = self._legs[leg]
        for times in blocks(profile, self._plan.arrivals, self._plan.seed, origin, self._workers, leg):
            yield Block(times + starts_s, np.full(len(times), "", dtype=object))


class AlternatingTargets:
    """Which of two targets is to be fired at: they are compared in windows that alternate, A B B A.

    Args:
        windows: those of the run.
        started_s: when the first begins, a reading of `time.monotonic`.
    """

    def __init__(self, windows: Sequence[StageMark], started_s: float) -> None:
        self._starts_s = [started_s + mark.starts_s for mark in windows]
        self._targets = [TARGETS.index(mark.target) for mark in windows]

    def index_at(self, at_s: float) -> int:
        """Returns whose window it is: 0 or 1 for A or B."""
        return self._targets[max(bisect_right(self._starts_s, at_s) - 1, 0)]


def users_of_one(plan: Plan, workers: int) -> int:
    """Returns the most users that one of so many workers may have in the open model."""
    return -(-plan.max_in_flight // workers)
