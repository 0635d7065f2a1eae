"""Turns our histograms into those with exponential buckets, as Prometheus (native) and OpenTelemetry know them."""

import msgspec
import numpy as np

from convload.results.histogram import Histogram

SCALE = 5
"""A bucket is 2^(1/32) of its lower bound, which is 2.2 % wide: three decades of times make some 300 of them."""

_US_PER_S = 1e6


class Exponential(msgspec.Struct, frozen=True):
    """Counts of the buckets from (base^offset, base^(offset+1)] on, base = 2^(1/2^SCALE); `zeros` were 0 µs."""

    offset: int
    counts: list[int]
    zeros: int


def exponential(times: Histogram, per_unit: float = _US_PER_S) -> Exponential:
    """Returns the histogram of times in units of so many µs, seconds if nothing is said."""
    values = times.values_us
    above = values > 0
    if not above.any():
        return Exponential(0, [], times.count)
    # Upper bounds belong to a bucket, so an exact power of the base is in the one that ends there.
    places = np.ceil(np.log2(values[above] / per_unit) * 2**SCALE - 1e-9).astype(np.int64) - 1
    counts = np.bincount(places - places[0], times.counts[above])
    return Exponential(int(places[0]), counts.astype(int).tolist(), int(times.counts[~above].sum()))
