"""Turns a measured capacity and a need into instances, and a test of that need into what its generator takes."""

import csv
import io
import math
from collections.abc import Sequence

from scipy.special import pdtr, pdtrik

from convload.capacity.trials import four_digits, per_s
from convload.errors import UsageError
from convload.results.capacity_result import GeneratorNeed, Instances, Peak

PEAK_CONFIDENCE = 0.99
"""Chance that no second of the busiest hour has more arrivals than the required peak allows."""

HOUR_S = 3600.0


def instances(need_per_s: float, headroom: float, low_per_s: float | None, high_per_s: float | None) -> Instances:
    """Returns the instances of which each is loaded to at most 1 - headroom of its capacity.

    N instances carry N · capacity · (1 - headroom): a headroom of 30 % leaves 30 % of the capacity free. With one lost,
    the rest carries the need with the same headroom. It is assumed that instances add up, which a shared database, or
    anything else that they share, may limit: see the scalability law.

    Raises:
        UsageError: the need or the headroom is out of range.
    """
    problems = []
    if not (math.isfinite(need_per_s) and need_per_s > 0):
        problems.append(f"the need must be above 0 conversations/s; it is {need_per_s:g}")
    if not 0 <= headroom < 1:
        problems.append(f"the headroom must be at least 0 % and below 100 %; it is {100 * headroom:g} %")
    if problems:
        raise UsageError(*problems)
    most = _needed(need_per_s, headroom, low_per_s)
    fewest = _needed(need_per_s, headroom, high_per_s)
    lost = most + 1 if most else None
    share = need_per_s / (most * low_per_s) if most and low_per_s else None
    share_lost = need_per_s / ((most - 1) * low_per_s) if most and most > 1 and low_per_s else None
    return Instances(
        need_per_s=need_per_s,
        headroom=headroom,
        fewest=fewest,
        most=most,
        with_one_lost=lost,
        load_share=share,
        load_share_one_lost=share_lost,
        text=_text(need_per_s, headroom, fewest, most, share_lost),
    )


def _needed(need_per_s: float, headroom: float, capacity_per_s: float | None) -> int | None:
    if not capacity_per_s:
        return None
    return math.ceil(round(need_per_s / (capacity_per_s * (1 - headroom)), 9))


def _text(need: float, headroom: float, fewest: int | None, most: int | None, share_lost: float | None) -> str:
    asked = f"{per_s(need)} with {100 * headroom:g} % headroom"
    if most is None:
        return f"How many instances carry {asked} does not follow: the capacity of one has no lower bound."
    interval = f" (between {fewest:,} and {most:,} by the interval)" if fewest and fewest != most else ""
    lost = f"; with one lost the others run at {100 * share_lost:.0f} % of their capacity" if share_lost else ""
    one = "instance" if most == 1 else "instances"
    takes = "takes" if fewest else "takes at most"  # the capacity of one may be any above its lower bound
    return f"{asked} {takes} {most:,} {one}{interval}, {most + 1:,} to keep the headroom with one lost{lost}."


def peak_of_day(hours: Sequence[tuple[str, float]], peak_to_mean: float | None = None) -> Peak:
    """Returns the rate that the busiest hour needs.

    With `peak_to_mean` it is the hour's mean times that. Without, arrivals are taken to be Poisson within the hour, and
    the rate is the count that no second of all the hour exceeds, with 99 % chance. Real traffic is burstier than
    Poisson (campaigns, outages), so state a factor that you have measured if you can.

    Raises:
        UsageError: there is no hour with a conversation, or a number is out of range.
    """
    problems = []
    if not any(count > 0 for _, count in hours):
        problems.append("the daily profile has no hour with conversations")
    if peak_to_mean is not None and peak_to_mean < 1:
        problems.append(f"the peak-to-mean factor must be at least 1; it is {peak_to_mean:g}")
    if problems:
        raise UsageError(*problems)
    hour, count = max(hours, key=lambda row: row[1])
    mean = count / HOUR_S
    if peak_to_mean:
        required, how = mean * peak_to_mean, f"a stated peak-to-mean factor of {peak_to_mean:g}"
    else:
        required, how = poisson_quantile(PEAK_CONFIDENCE ** (1 / HOUR_S), mean), "the Poisson peak of 1 s windows"
    text = (
        f"The busiest hour, {hour}, has {four_digits(count)} conversations ({per_s(mean)}); "
        f"with {how} it requires {per_s(required)}."
    )
    return Peak(hour, count, mean, required, required / mean, text)


def poisson_quantile(share: float, mean: float) -> float:
    """Returns the smallest count that a Poisson variable stays within with a chance of at least `share`."""
    if share >= 1:
        return math.inf
    if mean == 0:
        return 0.0
    count = math.ceil(pdtrik(share, mean))
    # The inverse of a step is reckoned, so at a step itself it may be one too high.
    return float(count - 1 if count > 0 and pdtr(count - 1, mean) >= share else count)


def read_profile(text: str, name: str) -> list[tuple[str, float]]:
    """Reads a CSV of two columns, hour and conversations, with or without a head line.

    Raises:
        UsageError: every line that is none.
    """
    rows, problems = [], []
    for number, row in enumerate(csv.reader(io.StringIO(text.removeprefix("\ufeff"))), start=1):
        cells = [cell.strip() for cell in row]
        count = _count(cells[1]) if len(cells) == 2 else None  # noqa: PLR2004 -- hour and conversations
        if count is not None:
            rows.append((cells[0], count))
        elif any(cells) and not (number == 1 and len(cells) == 2):  # noqa: PLR2004 -- a head line
            problems.append(
                f"{name}:{number}: {','.join(cells)!r} must be an hour and a number of conversations"
                " that is not negative, such as 09:00,41000"
            )
    if problems or not rows:
        raise UsageError(*(problems or [f"{name}: has no line with an hour and its conversations"]))
    return rows


def _count(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


_WORKER_PER_S = 10_000.0
_REQUEST_BYTES, _ANSWER_BYTES = 2_000.0, 500.0
_APP_TOKEN_LIFETIME_S = 3_600.0
"""What one request costs the generator; measured values are better than these."""

_SPARE_CONNECTIONS = 4.0
"""Standard deviations of a Poisson number in flight (M/G/∞) to keep connections for."""

_FILES_A_WORKER = 64
"""Beside its connections: modules, logs, the channel."""


def generator_need(rate_per_s: float, response_mean_ms: float) -> GeneratorNeed:
    """Returns workers, connections (Little's law and four standard deviations), files, bandwidth and tokens.

    Raises:
        UsageError: the rate or the response is not above zero.
    """
    if not (rate_per_s > 0 and response_mean_ms > 0):
        raise UsageError(f"rate and response must be above 0; they are {rate_per_s:g}/s and {response_mean_ms:g} ms")
    in_flight = rate_per_s * response_mean_ms / 1000
    connections = math.ceil(in_flight + _SPARE_CONNECTIONS * math.sqrt(in_flight)) + 1
    workers = math.ceil(rate_per_s / _WORKER_PER_S)
    files = connections + workers * _FILES_A_WORKER
    megabits = rate_per_s * (_REQUEST_BYTES + _ANSWER_BYTES) * 8 / 1e6
    tokens = rate_per_s + workers / _APP_TOKEN_LIFETIME_S  # each consumer has one of its own
    text = (
        f"A test at {per_s(rate_per_s)} takes {workers:,} worker{'s' if workers > 1 else ''}, "
        f"{connections:,} connections "
        f"({four_digits(in_flight)} in flight on average), {files:,} open files, "
        f"{four_digits(megabits)} Mbit/s and {four_digits(tokens)} tokens/s."
    )
    return GeneratorNeed(
        rate_per_s=rate_per_s,
        workers=workers,
        in_flight=in_flight,
        connections=connections,
        open_files=files,
        megabits_per_s=megabits,
        tokens_per_s=tokens,
        text=text,
    )
