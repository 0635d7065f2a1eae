"""Writes HdrHistogram logs, version 1.3 of the format, which its readers and plotters in all languages read.

Our buckets are those of an HdrHistogram of 3 digits that counts from 1 µs: exact below 2,048, then 1,024 an octave. So
the counts go over as they are.
"""

import base64
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np

from convload.results.histogram import HIGHEST_US, Histogram

_COOKIE, _COMPRESSED_COOKIE = 0x1C849303 | 0x10, 0x1C849304 | 0x10
_DIGITS, _LOWEST_US = 3, 1
_MORE, _SEVEN_BITS, _LAST_SHIFT = 0x80, 0x7F, 56


def write(started: datetime, intervals: Iterable[tuple[float, float, Histogram]]) -> str:
    """Returns a log of (from, to, times), in seconds since the start; times are in µs, the maximum column in ms."""
    unix_s = started.timestamp()
    lines = [
        "#[Histogram log format version 1.3]",
        "#[convload: values are in microseconds; outputValueUnitRatio = 1000 makes milliseconds of them]",
        f"#[StartTime: {unix_s:.3f} (seconds since epoch), {started.isoformat(sep=' ')}]",
        f"#[BaseTime: {unix_s:.3f} (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    for from_s, to_s, times in intervals:
        lines.append(f"{from_s:.3f},{to_s - from_s:.3f},{times.max_us / 1000:.3f},{encode(times)}")
    return "\n".join(lines) + "\n"


def encode(times: Histogram) -> str:
    """Returns a histogram in its compressed form V2, as base64."""
    payload = b"".join(_varint(count) for count in _counts(times))
    head = struct.pack(">iiiiqqd", _COOKIE, len(payload), 0, _DIGITS, _LOWEST_US, HIGHEST_US, 1.0)
    packed = zlib.compress(head + payload)
    return base64.b64encode(struct.pack(">ii", _COMPRESSED_COOKIE, len(packed)) + packed).decode()


def _counts(times: Histogram) -> Iterator[int]:
    """Yields the counts from the lowest bucket on; a negative one stands for so many empty buckets."""
    gaps = np.diff(times.index, prepend=-1) - 1
    for gap, count in zip(gaps.tolist(), times.counts.tolist(), strict=True):
        if gap:
            yield -gap
        yield count


def _varint(value: int) -> bytes:
    """Writes a number as ZigZag LEB128 of at most nine bytes, the ninth whole."""
    left, found = (value << 1) ^ (value >> 63), bytearray()
    while left > _SEVEN_BITS and len(found) * 7 < _LAST_SHIFT:
        found.append(left & _SEVEN_BITS | _MORE)
        left >>= 7
    found.append(left)
    return bytes(found)
