"""Makes the pacing that a plan asks for, and says which worker carries which part of an open plan's arrivals."""

from collections.abc import Callable, Iterable, Iterator

import gevent
import msgspec
import numpy as np

from convload.load.arrivals import Block, OpenPacing, merged
from convload.load.messages import Cut, Setup, Share
from convload.load.pacing import ClosedPacing, Pacing
from convload.plan import Plan
from convload.schedule import RateProfile, blocks, replay_blocks
from convload.stages import parse_replay

AFTER_LAST_S = 0.001
"""A recording ends behind its last start, so that this one too is due before the end."""


class Schedule:
    """The arrivals of an open plan: a pure function, so that any worker can compute any other's share."""

    def __init__(self, plan: Plan, workers: int, replay: str) -> None:
        self._plan = plan
        self._workers = workers
        self._recorded = parse_replay(replay, plan.replay) if plan.replay else None
        self._profile = None if self._recorded else RateProfile(plan.resolved_stages())

    @property
    def ends_s(self) -> float:
        """When the last arrival may be due."""
        if self._recorded:
            return float(self._recorded.times_s[-1]) + AFTER_LAST_S
        assert self._profile is not None  # noqa: S101 -- a plan has the one or the other
        return self._profile.ends_s

    def arrivals(self, shares: Iterable[Share]) -> Iterator[Block]:
        """Yields the arrivals of some shares together, block by block."""
        return merged([self._of(share) for share in shares])

    def count(self, shares: Iterable[Share], from_s: float, to_s: float) -> int:
        """Returns how many arrivals of the shares are due from `from_s` on and before `to_s`."""
        found = 0
        for block in self.arrivals(_with_cut(share, Cut(from_s, 0, 1)) for share in shares):
            due = int(np.searchsorted(block.times, to_s))
            found += due
            if due < len(block.times):
                break
        return found

    def _of(self, share: Share) -> Iterator[Block]:
        found = self._dealt(share.worker)
        for cut in share.cuts:
            found = _cut(found, cut)
        return found

    def _dealt(self, worker: int) -> Iterator[Block]:
        if self._recorded:
            variants = np.array(self._recorded.variants, dtype=object)[worker :: self._workers]
            parts = replay_blocks(self._recorded.times_s, worker, self._workers)
        else:
            assert self._profile is not None  # noqa: S101 -- as above
            variants = None
            parts = blocks(self._profile, self._plan.arrivals, self._plan.seed, worker, self._workers)
        at = 0
        for times in parts:
            named = np.full(len(times), "", dtype=object) if variants is None else variants[at : at + len(times)]
            yield Block(times, named)
            at += len(times)


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


def make_pacing(plan: Plan, setup: Setup, grow: Callable[[int], None]) -> Pacing:
    """Returns one worker's pacing; `grow` starts that many more users."""
    if plan.model == "closed":
        return ClosedPacing(plan, setup.worker, setup.workers)
    schedule = Schedule(plan, setup.workers, setup.replay)
    arrivals = schedule.arrivals([Share(setup.worker)])
    return OpenPacing(arrivals, schedule.ends_s, users_of_one(plan, setup.workers), grow)


def users_of_one(plan: Plan, workers: int) -> int:
    """Returns the most users that one of so many workers may have in the open model."""
    return -(-plan.max_in_flight // workers)
