"""Which part of a run an interval belongs to, and how near two instants count as one: all edges are argued here.

A worker cuts its intervals at each full second of the run and where the load changes (`load/processes/reporting.py`).
So an interval lies within one stage, but its ends are only nearly those that were meant:

- An interval belongs where its middle is. It ends some milliseconds after its edge, when the worker comes to it, and
  the next begins there; its middle is far from any edge that it could be confused with.
- `EDGE_S`: a worker lets edges that are nearer than 0.05 s share one, and comes to it up to a hundredth late. What
  sticks out by no more belongs to the neighbour.
- `ROUNDING_S`: instants are written to the microsecond, and sums of durations err in their last digit.
- `REMNANT_S`: the last interval holds what came after the last full second. Where it is shorter than this, a rate over
  it, or its share of a core, is noise.
"""

import msgspec

from convload.results.health import Health
from convload.results.runlog import Interval

EDGE_S = 0.06
ROUNDING_S = 0.001
REMNANT_S = 0.5
WHOLE_S = 1 - 2 * EDGE_S


class Window(msgspec.Struct, frozen=True):
    """A time of a run, in seconds since its start: the measured time, a stage, or a piece of either."""

    from_s: float
    to_s: float

    @property
    def length_s(self) -> float:
        """The time that a rate is divided by; 0 where nothing was measured."""
        return self.to_s - self.from_s

    def overlaps(self, interval: Interval) -> bool:
        """Says whether any of an interval lies in it."""
        return interval.to_s > self.from_s and interval.from_s < self.to_s

    def overlapping(self, health: Health) -> Health:
        """Returns the intervals of which any lies in it."""
        return health.where((health["to_s"] > self.from_s) & (health["from_s"] < self.to_s))

    def within(self, health: Health) -> Health:
        """Returns the intervals that belong to it."""
        middles_s = health.middles_s
        return health.where((self.from_s <= middles_s) & (middles_s < self.to_s))

    def has(self, interval: Interval) -> bool:
        """Says whether an interval belongs to it."""
        return self.from_s <= middle_s(interval) < self.to_s


def middle_s(interval: Interval) -> float:
    """Returns the instant that says where an interval belongs."""
    return (interval.from_s + interval.to_s) / 2


def length_s(interval: Interval) -> float:
    """Returns how long an interval lasted."""
    return interval.to_s - interval.from_s


def is_whole(interval: Interval) -> bool:
    """Says whether it is a full second, and not what is left of one before or after a change of the load."""
    return length_s(interval) > WHOLE_S
