"""Says which statistics a sample supports, and computes those."""

import math

from convload.results.histogram import Histogram

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}

SUPPORT_CONFIDENCE = 0.95

Statistics = dict[str, float]
"""p50 … p99.9 as far as the sample supports them, max and mean in milliseconds; empty where nothing was measured."""


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


def short(value: float) -> str:
    """Writes a figure for a sentence: three digits, more before the point, never an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 -- three digits
