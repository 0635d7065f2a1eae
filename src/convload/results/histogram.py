"""Counts times in microseconds, log-linear: exact below 2048 µs, 1024 buckets an octave above, up to 1 h.

A bucket is at most 1/1024 of its lower bound wide and is read as its middle, so a value comes back within
0.05 %. Only the buckets in use are kept, because one second of one cell touches few of the 23,000.
"""

import binascii
import math
import zlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from convload.errors import RunLogError

Integers = npt.NDArray[np.int64]

HIGHEST_US = 3_600_000_000
"""Longer times are counted in the last bucket; minimum, maximum and mean stay exact."""

_OCTAVE_BITS = 10
_EXACT_US = 1 << (_OCTAVE_BITS + 1)
_FLOAT_FRACTION_BITS = 52
_FLOAT_EXPONENT_BIAS = 1023
WIDTHS = {code: np.dtype(f"<u{size}") for code, size in zip("BHIQ", (1, 2, 4, 8), strict=True)}
_SPECTRUM_POINTS_AN_OCTAVE = 8
_SORT_BELOW = 1500
"""With fewer values than this, sorting beats counting into a dense array (measured: equal at about 1,500)."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}

SUPPORT_CONFIDENCE = 0.95

_MOST_DECIMALS = 12

Statistics = dict[str, float]
"""p50 … p99.9 as far as the sample supports them, max and mean in milliseconds; empty where nothing was measured."""


class Histogram(msgspec.Struct, frozen=True, eq=False):
    """Counts per bucket in use, `index` rising; `min_us`, `max_us`, `sum_us` are exact, and 0 when empty."""

    index: Integers
    counts: Integers
    min_us: int
    max_us: int
    sum_us: int

    @classmethod
    def of(cls, values_us: npt.NDArray[np.integer]) -> Self:
        """Counts whole microseconds; below 0 counts as 0."""
        if not len(values_us):
            return cls.empty()
        values = np.maximum(values_us.astype(np.int64), 0)
        index, counts = _count(buckets(values))
        return cls(index, counts, int(values.min()), int(values.max()), int(values.sum()))

    @classmethod
    def empty(cls) -> Self:
        """Returns a histogram of nothing."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), 0, 0, 0)

    @classmethod
    def merged(cls, parts: Iterable["Histogram"]) -> "Histogram":
        """Adds histograms up, as if all their values had been counted in one."""
        known = [part for part in parts if len(part.index)]
        if len(known) > _FEW:
            total = Accumulator()
            for part in known:
                total.add(part)
            return total.histogram()
        return _added(known) if known else cls.empty()

    def __add__(self, other: "Histogram") -> "Histogram":
        return self.merged((self, other))

    def __bool__(self) -> bool:
        return len(self.index) > 0

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    @property
    def mean_us(self) -> float:
        """The exact mean; raises ValueError when empty."""
        return self.sum_us / self._count_or_raise()

    @property
    def values_us(self) -> Integers:
        """The time that each bucket in use is read as: its middle."""
        return _middle(self.index)

    def percentile(self, q: float) -> int:
        """Returns the nearest-rank percentile, `q` in percent; raises ValueError when empty."""
        return self.percentiles([q])[0]

    def percentiles(self, qs: Sequence[float]) -> list[int]:
        """Returns several percentiles for little more than the price of one."""
        count = self._count_or_raise()
        values: list[int] = self._at_ranks(np.array([_rank(q, count) for q in qs], np.int64)).tolist()
        return values

    def above(self, level_us: float) -> int:
        """Returns how many values are above a level, as far as buckets tell: by their middles."""
        if level_us >= self.max_us:
            return 0
        bucket = _bucket_of(max(0, math.floor(level_us)))
        low, width = _edges(bucket)
        first = bucket + (low + width // 2 <= level_us)
        return int(self.counts[np.searchsorted(self.index, first) :].sum())

    def edges(self, rank: int) -> tuple[int, int]:
        """Returns the least and the greatest µs that the value of a rank (from 1) can have had."""
        bucket = self.index[np.searchsorted(np.cumsum(self.counts), rank)]
        low, width = _edges(int(bucket))
        high = self.max_us if bucket == BUCKETS - 1 else low + width - 1
        return max(low, self.min_us), min(high, self.max_us)

    def spectrum(self) -> list[tuple[float, int]]:
        """Returns (percent, µs) points, evenly spaced on an axis of log 1/(1-q), up to the maximum.

        Rank r of n stands at (r - 1/2)/n, the middle of the percents that nearest rank answers with it.
        """
        count = self.count
        if not count:
            return []
        octaves = np.arange(0, math.log2(count) + 1, 1 / _SPECTRUM_POINTS_AN_OCTAVE)
        ranks = np.unique(np.append(np.floor(count * (1 - 2.0**-octaves)).astype(np.int64) + 1, count))
        percents = 100 * (ranks - 0.5) / count
        return list(zip(percents.tolist(), self._at_ranks(ranks).tolist(), strict=True))

    def encode(self) -> str:
        """Returns ASCII text that `decode` reads back exactly; empty text for an empty histogram.

        Layout: `min,max,sum,` in decimal, one width code each for gaps and counts, then base64 of the
        deflated gaps between used buckets (the first from the bucket of the minimum) and counts, low bytes
        first. Deflate level 1 is 5 to 10 % larger than level 6 here and takes a half to a tenth of its time.
        """
        if not len(self.index):
            return ""
        gaps = self.index - np.concatenate(([_bucket_of(self.min_us)], self.index[:-1]))
        (gap_code, gap_bytes), (count_code, count_bytes) = narrow(gaps), narrow(self.counts)
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = binascii.b2a_base64(deflate.compress(gap_bytes + count_bytes) + deflate.flush(), newline=False)
        return f"{self.min_us},{self.max_us},{self.sum_us},{gap_code}{count_code}{body.decode()}"

    @classmethod
    def decode(cls, text: "str | Histogram") -> "Histogram":
        """Reads what `encode` wrote, or takes what is read already; raises RunLogError where it is no histogram."""
        if isinstance(text, Histogram):
            return text
        if not text:
            return cls.empty()
        try:
            low, high, total, body = text.split(",")
            gap_type, count_type = WIDTHS[body[0]], WIDTHS[body[1]]
            raw = _inflate(binascii.a2b_base64(body[2:]))
            gaps_end = len(raw) // (gap_type.itemsize + count_type.itemsize) * gap_type.itemsize
            gaps, counts = _unpack(raw[:gaps_end], gap_type), _unpack(raw[gaps_end:], count_type)
            index = np.cumsum(gaps) + _bucket_of(int(low))
            _check(index, counts)
            _check_sums(index, counts, int(low), int(high), int(total))
            return cls(index, counts, int(low), int(high), int(total))
        except (ValueError, KeyError, IndexError, zlib.error) as error:
            raise RunLogError(f"a histogram of the run log is damaged: {text[:40]!r}: {error}") from error

    @staticmethod
    def longest_us(text: "str | Histogram") -> int:
        """Returns the maximum of what `encode` wrote without decoding it; 0 of an empty one."""
        if isinstance(text, Histogram):
            return text.max_us
        try:
            return int(text.split(",", 2)[1]) if text else 0
        except (ValueError, IndexError) as error:
            raise RunLogError(f"a histogram of the run log is damaged: {text[:40]!r}: {error}") from error

    def _at_ranks(self, ranks: Integers) -> Integers:
        upto = np.cumsum(self.counts)
        values = np.clip(_middle(self.index[np.searchsorted(upto, ranks)]), self.min_us, self.max_us)
        values[ranks == 1] = self.min_us
        values[ranks == upto[-1]] = self.max_us
        return values

    def _count_or_raise(self) -> int:
        if not self.count:
            raise ValueError("an empty histogram has no statistics")
        return self.count


_FEW = 64
"""So many histograms are added faster over the buckets between their ends than over all buckets."""


def _added(parts: Sequence[Histogram]) -> Histogram:
    """Adds histograms up that are not empty."""
    if len(parts) == 1:
        return parts[0]
    index = np.concatenate([part.index for part in parts])
    lowest = index.min()
    dense = np.bincount(index - lowest, np.concatenate([part.counts for part in parts])).astype(np.int64)
    used = np.flatnonzero(dense)
    low, high = min(part.min_us for part in parts), max(part.max_us for part in parts)
    return Histogram(used + lowest, dense[used], low, high, sum(part.sum_us for part in parts))


class Accumulator:
    """Adds many histograms up in place; each costs as much as it has buckets in use."""

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.int64)
        self._min_us, self._max_us, self._sum_us = -1, 0, 0

    def add(self, part: Histogram) -> None:
        """Adds one histogram."""
        if not len(part.index):
            return
        self._counts[part.index] += part.counts
        self._min_us = part.min_us if self._min_us < 0 else min(self._min_us, part.min_us)
        self._max_us = max(self._max_us, part.max_us)
        self._sum_us += part.sum_us

    def histogram(self) -> Histogram:
        """Returns all that was added so far."""
        index = np.flatnonzero(self._counts)
        return Histogram(index, self._counts[index], max(self._min_us, 0), self._max_us, self._sum_us)


def samples_needed(percent: float) -> int:
    """Returns the fewest samples that say anything of a percentile: 5 for p50, 299 for p99, 2,995 for p99.9.

    From that many on, the largest of n samples is above the percentile with 95 % confidence, whatever the
    distribution: all n lie below it with probability q^n, so n >= ln 0.05 / ln q. With fewer, a "p99" is only another
    name for the maximum. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical
    Statistics 12 (1941); David and Nagaraja, "Order Statistics", 3rd ed., §7.1.
    """
    return math.ceil(math.log(1 - SUPPORT_CONFIDENCE) / math.log(percent / 100))


def statistics(histogram: Histogram) -> Statistics:
    """Returns the percentiles that the sample supports, maximum and mean; empty for an empty histogram."""
    count = histogram.count
    if not count:
        return {}
    supported = [name for name, percent in PERCENTILES.items() if count >= samples_needed(percent)]
    values = histogram.percentiles([PERCENTILES[name] for name in supported]) if supported else []
    named = dict(zip(supported, values, strict=True)) | {"max": histogram.max_us, "mean": histogram.mean_us}
    return {name: milliseconds(value) for name, value in named.items()}


def unsupported(count: int) -> dict[str, str]:
    """Returns the percentiles that so many samples do not support, each with the reason; none for no sample."""
    needed = {name: samples_needed(percent) for name, percent in PERCENTILES.items()}
    return {name: f"needs {least:,} samples, has {count:,}" for name, least in needed.items() if 0 < count < least}


def milliseconds(us: float) -> float:
    """Converts microseconds, with the resolution of one."""
    return round(us / 1000, 3)


def short(value: float, digits: int = 3, sign: str = "") -> str:
    """Writes a figure for people: so many digits, more before the point, thousands apart, never an exponent.

    `sign` "+" has one before positive figures, too.
    """
    if not value or not math.isfinite(value):
        return f"{value:{sign}g}"
    decimals = min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), _MOST_DECIMALS)
    text = f"{value:{sign},.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def buckets(values: Integers) -> Integers:
    """Returns the bucket of each value: the exponent and the top of the fraction of its float64."""
    first = (_FLOAT_EXPONENT_BIAS + _OCTAVE_BITS - 1) << _OCTAVE_BITS
    index: Integers = np.minimum(values, HIGHEST_US).astype(np.float64).view(np.int64)
    index >>= _FLOAT_FRACTION_BITS - _OCTAVE_BITS
    index -= first
    np.copyto(index, values, where=values < _EXACT_US)
    return index


def _edges(bucket: int) -> tuple[int, int]:
    """Returns the least value of a bucket and how many values it has."""
    shift = max(0, (bucket >> _OCTAVE_BITS) - 1)
    return (bucket - (shift << _OCTAVE_BITS)) << shift, 1 << shift


def _bucket_of(value: int) -> int:
    value = min(value, HIGHEST_US)
    shift = max(0, value.bit_length() - _OCTAVE_BITS - 1)
    return (shift << _OCTAVE_BITS) + (value >> shift)


BUCKETS = _bucket_of(HIGHEST_US) + 1
_MOST_BYTES = BUCKETS * 16
_BEYOND = 1 << 53
"""Whole numbers up to here are exact as floats; as microseconds they are 285 years."""


def _middle(index: Integers) -> Integers:
    shift: Integers = np.maximum((index >> _OCTAVE_BITS) - 1, 0)
    return ((index - (shift << _OCTAVE_BITS)) << shift) + ((np.int64(1) << shift) >> 1)


def _check(index: Integers, counts: Integers) -> None:
    rising = len(index) and index[0] >= 0 and (index[1:] > index[:-1]).all() and index[-1] < BUCKETS
    if not rising or len(counts) != len(index) or counts.min() < 1:
        raise ValueError("its buckets and counts do not fit together")


def _check_sums(index: Integers, counts: Integers, low: int, high: int, total: int) -> None:
    """Raises ValueError where minimum, maximum and sum are of other values than those that were counted."""
    count = int(counts.sum(dtype=np.float64))
    fit = 0 <= low <= high < _BEYOND and index[-1] == _bucket_of(high) and low * count <= total <= high * count
    if not fit or count > _BEYOND:
        raise ValueError("its minimum, maximum and sum do not fit its counts")


def _count(index: Integers) -> tuple[Integers, Integers]:
    """Returns the buckets in use and their counts; may reorder `index`."""
    if len(index) < _SORT_BELOW:
        index.sort()
        edges = np.flatnonzero(index[1:] != index[:-1]) + 1
        starts = np.concatenate(([0], edges))
        return index[starts], np.concatenate((edges, [len(index)])) - starts
    lowest = index.min()
    dense = np.bincount(index - lowest)
    used = np.flatnonzero(dense)
    return used + lowest, dense[used]


def _rank(q: float, count: int) -> int:
    """Returns ceil(q % of count), at least 1; in decimal, as float noise may reach the next rank."""
    if not 0 <= q <= 100:  # noqa: PLR2004 -- a percentage
        raise ValueError(f"a percentile lies between 0 and 100, not {q}")
    return max(1, math.ceil(Decimal(str(q)) * count / 100))


def narrow(values: Integers) -> tuple[str, bytes]:
    """Writes values in the narrowest width, all low bytes first: an outlier costs zeros that deflate well."""
    highest = int(values.max(initial=0))
    code = next(code for code, width in WIDTHS.items() if highest < 1 << (8 * width.itemsize))
    width = WIDTHS[code]
    return code, values.astype(width).view(np.uint8).reshape(-1, width.itemsize).T.tobytes()


def _inflate(packed: bytes) -> bytes:
    reader = zlib.decompressobj(-15)
    raw = reader.decompress(packed, _MOST_BYTES)
    if not reader.eof:
        raise ValueError("its end is missing, or too far away")
    return raw


def _unpack(raw: bytes, width: np.dtype[np.unsignedinteger]) -> Integers:
    columns = np.frombuffer(raw, np.uint8).reshape(width.itemsize, -1)
    return np.ascontiguousarray(columns.T).view(width)[:, 0].astype(np.int64)


def chance(p: float) -> str:
    """What a test's p is, to two digits, and where it is too small to tell them apart."""
    return "< 0.0001" if p < 0.0001 else f"= {short(p, 2)}"  # noqa: PLR2004 -- the last digit that is shown
