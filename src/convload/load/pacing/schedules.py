"""Makes the pacing that a plan asks for, and says which worker carries which part of an open plan's arrivals."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import gevent
import msgspec
import numpy as np

from convload.load.pacing.open import Block, merged
from convload.load.processes.messages import Cut, More, Setup, Share
from convload.plan.plan import Plan
from convload.plan.schedule import TARGETS, RateProfile, StageMark, blocks, replay_blocks
from convload.plan.stages import parse_replay

AFTER_LAST_S = 0.001
"""A recording ends behind its last start, so that this one too is due before the end."""


class Schedule:
    """The arrivals of an open plan: a pure function, so that any worker can compute any other's share.

    Its first leg is the plan's; others are added while the run goes on, each dealt out and cut for itself.
    """

    def __init__(self, plan: Plan, workers: int, replay: str) -> None:
        self._plan = plan
        self._workers = workers
        self._recorded = parse_replay(replay, plan.replay) if plan.replay else None
        self._legs = [] if self._recorded else [(0.0, RateProfile(plan.resolved_stages()))]
        self.ends_s = self._first_ends_s()
        """When the last arrival may be due."""

    def _first_ends_s(self) -> float:
        return float(self._recorded.times_s[-1]) + AFTER_LAST_S if self._recorded else self._legs[0][1].ends_s

    @property
    def legs(self) -> int:
        """How many there are; the first has number 0."""
        return len(self._legs) + bool(self._recorded)

    def add(self, more: More) -> None:
        """Adds a leg."""
        self._legs.append((more.starts_s, RateProfile(more.stages)))
        self.ends_s = more.ends_s

    def arrivals(self, shares: Iterable[Share], from_leg: int = 0) -> Iterator[Block]:
        """Yields the arrivals of some shares together, block by block: those of the legs there are now."""
        legs = range(from_leg, self.legs)
        return merged([self._of(share, legs) for share in shares])

    def count(self, shares: Iterable[Share], from_s: float, to_s: float) -> int:
        """Returns how many arrivals of the shares are due from `from_s` on and before `to_s`."""
        found = 0
        for block in self.arrivals(_with_cut(share, Cut(from_s, 0, 1)) for share in shares):
            due = int(np.searchsorted(block.times, to_s))
            found += due
            if due < len(block.times):
                break
        return found

    def _of(self, share: Share, legs: range) -> Iterator[Block]:
        return chain.from_iterable(self._of_leg(share, leg) for leg in legs)

    def _of_leg(self, share: Share, leg: int) -> Iterator[Block]:
        found = self._recorded_of(share.worker) if self._recorded and leg == 0 else self._dealt(share.worker, leg)
        for cut in share.cuts:
            found = _cut(found, cut)
        return found

    def _recorded_of(self, worker: int) -> Iterator[Block]:
        assert self._recorded is not None  # noqa: S101 -- the caller has looked
        variants = np.array(self._recorded.variants, dtype=object)[worker :: self._workers]
        at = 0
        for times in replay_blocks(self._recorded.times_s, worker, self._workers):
            yield Block(times, variants[at : at + len(times)])
            at += len(times)

    def _dealt(self, worker: int, leg: int) -> Iterator[Block]:
        starts_s, profile = self._legs[leg - bool(self._recorded)]
        for times in blocks(profile, self._plan.arrivals, self._plan.seed, worker, self._workers, leg):
            yield Block(times + starts_s, np.full(len(times), "", dtype=object))


def _cut(parts: Iterator[Block], cut: Cut) -> Iterator[Block]:
    passed = 0
    for part in parts:
        first = int(np.searchsorted(part.times, cut.from_s))
        left = len(part.times) - first
        if not left:
            gevent.sleep(0)  # a long schedule is passed over a block at a time, and users fire in between
            continue
        chosen = slice(first + (cut.position - passed) % cut.survivors, None, cut.survivors)
        passed += left
        if len(part.times[chosen]):
            yield Block(part.times[chosen], part.variants[chosen])


def _with_cut(share: Share, cut: Cut) -> Share:
    return msgspec.structs.replace(share, cuts=[*share.cuts, cut])


class Shares:
    """Who carries which part of the arrivals; begins with each worker's own share."""

    def __init__(self, workers: int) -> None:
        self._carried = {worker: [Share(worker)] for worker in range(workers)}

    def of(self, worker: int) -> list[Share]:
        """Returns all that a worker carries."""
        return self._carried[worker]

    def give_away(self, lost: int, survivors: list[int], from_s: float) -> dict[int, list[Share]]:
        """Deals what one worker carries to others, from an instant on; returns what each of them gets."""
        given = {}
        for position, survivor in enumerate(survivors):
            cut = Cut(from_s, position, len(survivors))
            given[survivor] = [_with_cut(share, cut) for share in self._carried[lost]]
            self._carried[survivor] = self._carried[survivor] + given[survivor]
        return given


class Carried:
    """What one worker carries of a schedule: its own share, and those of others that it took over."""

    def __init__(self, plan: Plan, setup: Setup) -> None:
        self._schedule = Schedule(plan, setup.workers, setup.replay)
        self._shares = [Share(setup.worker)]

    @property
    def ends_s(self) -> float:
        """When the last arrival may be due."""
        return self._schedule.ends_s

    def arrivals(self) -> Iterator[Block]:
        """Yields all of them."""
        return self._schedule.arrivals(self._shares)

    def take_over(self, shares: list[Share]) -> Iterator[Block]:
        """Adds shares; yields their arrivals."""
        self._shares += shares
        return self._schedule.arrivals(shares)

    def go_on(self, more: More) -> Iterator[Block]:
        """Adds a leg to the schedule; yields what of it is carried."""
        self._schedule.add(more)
        return self._schedule.arrivals(self._shares, self._schedule.legs - 1)


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
