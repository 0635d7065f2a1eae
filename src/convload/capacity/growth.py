"""Tells whether what is in flight kept growing in a trial, from counts at even distances."""

import itertools
import math
import statistics
from collections.abc import Sequence

import msgspec

TOLERATED = 0.002
"""Of the arrivals of a trial may be left over before it counts as growth."""

_LEANS, _SURE = 0.5, 2.0
"""Standard deviations of a queue at its limit, which wanders like a random walk: steps add up by their variance."""


class Growth(msgspec.Struct, frozen=True):
    """What was left over. `strain` above 1 leans towards growth (see `Trial.strain`); `growing` is sure of it."""

    left_over: float
    strain: float
    growing: bool


def growth(in_flight: Sequence[float], arrivals: float) -> Growth:
    """Judges what is in flight (and what waits to be sent), counted some 20 to 60 times in the settled part."""
    steps = [after - before for before, after in itertools.pairwise(in_flight)]
    left_over = in_flight[-1] - in_flight[0] if in_flight else 0.0
    noise = math.sqrt(len(steps) * statistics.variance(steps)) if len(steps) > 1 else 0.0
    allowed = max(TOLERATED * arrivals, _LEANS * noise, 1.0)
    return Growth(left_over, left_over / allowed, left_over > max(allowed, _SURE * noise))
