"""Arrivals on their way to users: blocks of them, streams that are merged, and the cursor that goes over them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convload.plan.schedule import Times


class Block(NamedTuple):
    """Some arrivals, at least one: when they are due in seconds from the start, rising, and the variant of each."""

    times: Times
    variants: npt.NDArray[np.object_]

    def where(self, chosen: slice | npt.NDArray[np.bool_]) -> "Block":
        """Returns some of them."""
        return Block(self.times[chosen], self.variants[chosen])


NOTHING = Block(np.empty(0), np.empty(0, dtype=object))


def merged(streams: Sequence[Iterator[Block]]) -> Iterator[Block]:
    """Yields the arrivals of several streams in rising order."""
    heads = [(head, stream) for stream in streams if (head := next(stream, None)) is not None]
    while heads:
        until_s = min(head.times[-1] for head, _ in heads)
        parts, left = [], []
        for head, stream in heads:
            count = int(np.searchsorted(head.times, until_s, side="right"))
            parts.append(head.where(slice(count)))
            following = head.where(slice(count, None)) if count < len(head.times) else next(stream, None)
            if following is not None:
                left.append((following, stream))
        heads = left
        times = np.concatenate([part.times for part in parts])
        order = np.argsort(times, kind="stable")
        yield Block(times[order], np.concatenate([part.variants for part in parts])[order])


def before(blocks: Iterator[Block], until_s: float) -> Iterator[Block]:
    """Yields the arrivals of a stream that are due before an instant."""
    for block in blocks:
        count = int(np.searchsorted(block.times, until_s))
        if count:
            yield block.where(slice(count)) if count < len(block.times) else block
        if count < len(block.times):
            return


class Cursor:
    """A place in a stream of arrivals: all before it are taken, `next_s` is the first that is not.

    It only ever goes on, and each step is either `advance` or `pass_over`. So every arrival of the stream is counted in
    `taken`, or in what `pass_over` returned, or still lies ahead; also when others are merged in or appended, which
    touches only what lies ahead.

    Attributes:
        next_s: when the next one is due, a reading of `time.monotonic`; None when there is none, or before the start.
        variant: the variant of the one taken last, "" for one of the mix.
        taken: how many `advance` has passed.
    """

    def __init__(self, blocks: Iterator[Block]) -> None:
        self.next_s: float | None = None
        self.variant = ""
        self.taken = 0
        self._blocks = blocks
        self._block = NOTHING
        self._due: list[float] = []
        self._variants: list[str] = []
        self._at = 0
        self._started_s = float("inf")

    def start(self, started_s: float) -> None:
        """Sets the instant that the arrivals count from, a reading of `time.monotonic`."""
        self._started_s = started_s
        self._look()

    def advance(self) -> None:
        """Takes the next arrival, which there must be."""
        at = self._at
        self.variant = self._variants[at]
        self.taken += 1
        self._at = at = at + 1
        if at < len(self._due):
            self.next_s = self._due[at]
        else:
            self._look()

    def merge(self, blocks: Iterator[Block]) -> None:
        """Mixes in arrivals; those that were due already come next."""
        rest = self._block.where(slice(self._at, None))
        self._blocks = merged([chain([rest], self._blocks) if len(rest.times) else self._blocks, blocks])
        self._block, self._due, self._at = NOTHING, [], 0
        self._look()

    def cut(self, until_s: float) -> None:
        """Gives up what is due from an instant on, in seconds from the start; what was due before and waits, stays."""
        rest = self._block.where(slice(self._at, None))
        self._blocks = before(chain([rest], self._blocks), until_s)
        self._block, self._due, self._at = NOTHING, [], 0
        self._look()

    def append(self, blocks: Iterator[Block]) -> None:
        """Adds arrivals behind the last one."""
        self._blocks = chain(self._blocks, blocks)
        if self.next_s is None:
            self._look()

    def is_dense(self, count: int, within_s: float) -> bool:
        """Says whether so many more are due within a time behind the next one, as far as the present block tells."""
        last = self._at + count
        return last < len(self._due) and self._due[last] - self._due[self._at] <= within_s

    def count_due(self, at_s: float) -> int:
        """Returns how many are due and not taken, as far as the present block tells."""
        return 0 if self.next_s is None else bisect_right(self._due, at_s, self._at) - self._at

    def pass_over(self, until_s: float) -> int:
        """Passes those that are due by then, and gives up the rest; returns how many were due."""
        passed = 0
        while self.next_s is not None and self.next_s <= until_s:
            due = self.count_due(until_s)
            passed += due
            self._at += due
            self._look()
        self.next_s = None
        return passed

    def _look(self) -> None:
        """Sets `next_s`, from the next block where this one is used up."""
        while self._at >= len(self._due):
            block = next(self._blocks, None)
            if block is None:
                self._block, self._due, self._at, self.next_s = NOTHING, [], 0, None
                return
            self._block, self._at = block, 0
            self._due, self._variants = (block.times + self._started_s).tolist(), block.variants.tolist()
        self.next_s = self._due[self._at]
