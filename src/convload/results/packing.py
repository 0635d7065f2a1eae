"""Packs columns of whole numbers, and many histograms at once, into one text each, and reads them back exactly."""

import binascii
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from convload.errors import RunLogError
from convload.results.histogram import BUCKETS, WIDTHS, Histogram, Integers, buckets, narrow

MOST_BYTES = 1 << 28
"""Of the columns of one text, inflated; a second of thousands of workers has some megabytes."""

LEVEL = 6
"""Of deflating. It is done once a second, and level 1 makes logs a tenth larger."""

_BEYOND = 1 << 53
_Head = tuple[int, int, int]
"""Length, width and least value of a column."""

_HEAD = re.compile(r"(\d{1,9})([BHIQ])(-?\d{1,16})(?:,|$)")


def pack(columns: Sequence[Integers], level: int = LEVEL) -> str:
    """Returns columns as text: length, width and least value of each, then base64 of their deflated bytes.

    A column is written as what its values exceed the least one by, in the narrowest width, all low bytes first: so
    what hardly differs takes hardly any room.
    """
    heads, bodies = [], []
    for column in columns:
        least = int(column.min()) if len(column) else 0
        code, body = narrow(column - least)
        heads.append(f"{len(column)}{code}{least}")
        bodies.append(body)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = deflate.compress(b"".join(bodies)) + deflate.flush()
    return f"{','.join(heads)};{binascii.b2a_base64(packed, newline=False).decode()}"


class Packed(NamedTuple):
    """A text of `pack` in less memory: what stands before its base64, and the bytes that this is of."""

    head: str
    body: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """Reads a text as far as that; raises RunLogError where it is none."""
        try:
            head, body = text.split(";")
            return cls(head, binascii.a2b_base64(body))
        except ValueError as error:
            raise RunLogError(f"columns of the run log are damaged: {text[:40]!r}: {error}") from error


class Column(NamedTuple):
    """A column of several texts: how many values each text has, and those of all."""

    lengths: Integers
    values: Integers


def unpack(text: str | Packed, columns: int) -> list[Integers]:
    """Returns the columns, which must be so many; raises RunLogError where the text is none of `pack`."""
    return [column.values for column in unpack_all([Packed.of(text) if isinstance(text, str) else text], columns)]


def unpack_all(texts: Sequence[Packed], columns: int) -> list[Column]:
    """Returns the columns of several texts, which must be so many; raises RunLogError where one is none of `pack`."""
    try:
        facts = [_heads(head, columns) for head, _ in texts]
        raws = [
            _inflate(body, sum(length * width for length, width, _ in of_text))
            for of_text, (_, body) in zip(facts, texts, strict=True)
        ]
        return list(_widen(raws, np.array(facts, np.int64).reshape(len(texts), columns, 3)))
    except (ValueError, KeyError, OverflowError, zlib.error) as error:
        raise RunLogError(f"columns of the run log are damaged: {texts[0].head[:40]!r}: {error}") from error


def _heads(text: str, columns: int) -> list[_Head]:
    found = _HEAD.findall(text)
    if len(found) != columns or sum(map(len, (part for head in found for part in head))) + columns - 1 != len(text):
        raise ValueError(f"it has {len(found)} columns")
    return [(int(length), WIDTHS[code].itemsize, int(least)) for length, code, least in found]


def _inflate(body: bytes, size: int) -> bytes:
    reader = zlib.decompressobj(-15)
    raw = reader.decompress(body, min(size, MOST_BYTES) + 1)
    if len(raw) != size or not reader.eof:
        raise ValueError("it has another length than it says")
    return raw


def _widen(raws: Sequence[bytes], facts: Integers) -> Iterator[Column]:
    begins = np.cumsum(facts[:, :, 0] * facts[:, :, 1], axis=1)
    begins -= facts[:, :, 0] * facts[:, :, 1]
    for of_column, from_bytes in zip(facts.transpose(1, 2, 0), begins.T.tolist(), strict=True):
        lengths, widths, leasts = of_column
        parts = list(zip(raws, from_bytes, lengths.tolist(), widths.tolist(), strict=True))
        values: Integers = np.zeros(int(lengths.sum()), np.int64)
        for place in range(max(widths.tolist())):
            digits = b"".join(
                raw[begin + place * length : begin + (place + 1) * length] if place < width else bytes(length)
                for raw, begin, length, width in parts
            )
            values |= np.frombuffer(digits, np.uint8).astype(np.int64) << (8 * place)
        if values.view(np.uint64).max(initial=0) > _BEYOND:
            raise ValueError("it has a number that is too large")
        yield Column(lengths, values + np.repeat(leasts, lengths))


class Histograms(msgspec.Struct, frozen=True, eq=False):
    """Many histograms: `sizes` says how many buckets in use each has; `index` and `counts` are of all, one by one."""

    sizes: Integers
    low: Integers
    high: Integers
    total: Integers
    index: Integers
    counts: Integers

    @classmethod
    def of(cls, parts: Sequence[Histogram]) -> Self:
        """Puts histograms together."""
        facts = np.array([(len(one.index), one.min_us, one.max_us, one.sum_us) for one in parts], np.int64)
        index, counts = ([getattr(one, name) for one in parts] or [_NONE] for name in ("index", "counts"))
        sizes, low, high, total = facts.reshape(-1, 4).T
        return cls(sizes, low, high, total, np.concatenate(index), np.concatenate(counts))

    @property
    def each_count(self) -> Integers:
        """How many values were counted in each."""
        upto = np.concatenate(([0], np.cumsum(self.counts)))
        ends = np.cumsum(self.sizes)
        found: Integers = upto[ends] - upto[ends - self.sizes]
        return found

    def together(self, chosen: npt.NDArray[np.bool_]) -> Histogram:
        """Adds some of them up to one."""
        entries, of_chosen = np.repeat(chosen, self.sizes), chosen & (self.sizes > 0)
        if not of_chosen.any():
            return Histogram.empty()
        index = self.index[entries]
        lowest = index.min()
        dense = np.bincount(index - lowest, self.counts[entries])
        used = np.flatnonzero(dense)
        low, high, total = self.low[of_chosen].min(), self.high[of_chosen].max(), self.total[of_chosen].sum()
        return Histogram(used + lowest, dense[used].astype(np.int64), int(low), int(high), int(total))

    def all(self) -> list[Histogram]:
        """Returns them one by one."""
        ends = np.cumsum(self.sizes).tolist()
        facts = zip([0, *ends], ends, self.low.tolist(), self.high.tolist(), self.total.tolist(), strict=False)
        return [
            Histogram(self.index[begin:end], self.counts[begin:end], low, high, total)
            for begin, end, low, high, total in facts
        ]

    def pack(self, level: int = LEVEL) -> str:
        """Returns them as text: the gaps between used buckets, the first of each from the bucket of its minimum."""
        first = self.first()
        gaps = np.diff(self.index, prepend=0)
        gaps[first] = 0
        used = self.sizes > 0
        spans = np.where(used, self.high - self.low, 0)
        return pack([self.sizes, self.low, spans, self.total, gaps, self.counts], level)

    @classmethod
    def unpack(cls, text: str | Packed) -> Self:
        """Reads them back; raises RunLogError where the text is none, or no histograms."""
        sizes, low, spans, total, gaps, counts = unpack(text, 6)
        found = cls(sizes, low, low + spans, total, gaps, counts)
        if not found.fits():
            raise RunLogError("histograms of the run log are damaged")
        first = found.first()
        reached = np.cumsum(gaps)
        from_bucket = (buckets(low) if len(low) else low)[sizes > 0]
        shift = np.repeat(from_bucket - reached[first], sizes[sizes > 0])
        found = msgspec.structs.replace(found, index=reached + shift)
        if not found.is_sound():
            raise RunLogError("histograms of the run log are damaged")
        return found

    def first(self) -> Integers:
        """Returns where each that is not empty begins."""
        ends = np.cumsum(self.sizes)
        return (ends - self.sizes)[self.sizes > 0]

    def fits(self) -> bool:
        """Says whether the columns go together, with gaps between buckets in place of them."""
        same = len({len(self.sizes), len(self.low), len(self.high), len(self.total)}) == 1
        gaps = self.index
        fit = len(gaps) == len(self.counts) == self.sizes.sum() and not (self.sizes < 0).any()
        return bool(same and fit and not (gaps >= BUCKETS).any())

    def is_sound(self) -> bool:
        """Says whether buckets rise, are there, and go with counts, minimum, maximum and sum."""
        used = self.sizes > 0
        first = self.first()
        if not len(first):
            return not (self.low.any() or self.high.any() or self.total.any())
        rises = np.diff(self.index, prepend=-1) > 0
        rises[first] = True
        counts = np.add.reduceat(self.counts.astype(np.float64), first)
        low, high, total = self.low[used], self.high[used], self.total[used]
        last = self.index[first + self.sizes[used] - 1]
        return bool(
            rises.all()
            and (self.counts > 0).all()
            and (counts < _BEYOND).all()
            and (low >= 0).all()
            and (low <= high).all()
            and (high < _BEYOND).all()
            and (last == buckets(high)).all()
            and (low * counts <= total).all()
            and (total <= high * counts).all()
            and not (self.low[~used].any() or self.high[~used].any() or self.total[~used].any())
        )

    @classmethod
    def merged(cls, parts: Sequence["Histograms"], rows: Sequence[Integers], count: int) -> "Histograms":
        """Adds histograms up: number i of a part belongs to the one that `rows` names for it, of `count` in all."""
        row = np.concatenate(rows)
        sizes, low, high, total, index, counts = (
            np.concatenate([getattr(part, name) for part in parts]) for name in cls.__struct_fields__
        )
        key = np.repeat(row, sizes) * BUCKETS + index
        order = np.argsort(key, kind="stable")
        key, counts = key[order], counts[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        used = sizes > 0
        lows, highs, totals = np.full(count, _BEYOND), np.zeros(count, np.int64), np.zeros(count, np.int64)
        np.minimum.at(lows, row[used], low[used])
        np.maximum.at(highs, row[used], high[used])
        np.add.at(totals, row[used], total[used])
        key = key[first]
        merged_sizes = np.bincount(key // BUCKETS, minlength=count)
        lows[merged_sizes == 0] = 0
        summed = np.add.reduceat(counts, first) if len(first) else counts
        return cls(merged_sizes, lows, highs, totals, key % BUCKETS, summed)


_NONE: Integers = np.empty(0, np.int64)
