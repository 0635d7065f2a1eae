"""Distributions of service times as people write them: `exponential(8ms)`, their moments and their quantiles.

A service time is drawn by putting a uniform number into the quantile function (inversion), so that one number decides
one service time whatever the distribution: request k takes the same time in every run of a seed.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import msgspec

from convload.errors import why_unread
from convload.plan.durations import parse_duration_s

MAX_LINES = 1_000_000
"""Times that a file may hold."""

LONGEST_S = 3600.0

FORMS = (
    "constant(20ms), exponential(20ms) by its mean, lognormal(20ms, 0.4) by median and sigma, gamma(20ms, 2) by mean "
    "and shape, or empirical(FILE) with a time on each line; 5ms + lognormal(20ms, 0.4) adds a time that never changes"
)

_NORMAL = NormalDist()
_FORM = re.compile(r"\s*(?:([\w.]+)\s*\+)?\s*([a-z]+)\s*\((.*)\)\s*")


class ServiceTime(msgspec.Struct, frozen=True):
    """A distribution of times in seconds, by its name and parameters, `shift_s` later.

    `scv` is the squared coefficient of variation, variance over mean squared. `quantile_s` gives the time that a share
    of all times, between 0 and 1 without either, does not exceed, `cdf` the share of times that are at most a time.
    """

    kind: str
    parameters: tuple[float, ...]
    mean_s: float
    scv: float
    quantile_s: Callable[[float], float]
    cdf: Callable[[float], float]
    shift_s: float = 0.0


def constant(time_s: float) -> ServiceTime:
    """Returns the distribution of a time that is always the same."""
    return ServiceTime("constant", (time_s,), time_s, 0.0, lambda _: time_s, lambda t: float(t >= time_s))


def exponential(mean_s: float) -> ServiceTime:
    """Returns the distribution without memory: the M of M/M/c."""
    return ServiceTime(
        "exponential",
        (mean_s,),
        mean_s,
        1.0,
        lambda share: -mean_s * math.log1p(-share),
        lambda t: -math.expm1(-max(t, 0.0) / mean_s),
    )


def lognormal(median_s: float, sigma: float) -> ServiceTime:
    """Returns the distribution whose logarithm is normal with `sigma`, around the logarithm of the median."""
    if not sigma:
        return constant(median_s)

    def cdf(t: float) -> float:
        return 0.5 * math.erfc(-math.log(t / median_s) / (sigma * math.sqrt(2))) if t > 0 else 0.0

    return ServiceTime(
        "lognormal",
        (median_s, sigma),
        median_s * math.exp(sigma**2 / 2),
        math.expm1(sigma**2),
        lambda share: median_s * math.exp(sigma * _NORMAL.inv_cdf(share)),
        cdf,
    )


def gamma(mean_s: float, shape: float) -> ServiceTime:
    """Returns the sum of `shape` exponential times where that is whole; 1 is exponential, less is burstier."""
    scale_s = mean_s / shape
    return ServiceTime(
        "gamma",
        (mean_s, shape),
        mean_s,
        1 / shape,
        lambda share: float(_special().gammaincinv(shape, share)) * scale_s,
        lambda t: float(_special().gammainc(shape, max(t, 0.0) / scale_s)),
    )


@cache
def _special() -> Any:
    """Returns the functions of SciPy, whose import takes longer than the rest of the mock: only a gamma needs them."""
    import scipy.special  # noqa: PLC0415 -- as said

    return scipy.special


def empirical(times_s: Sequence[float]) -> ServiceTime:
    """Returns the distribution of recorded times, each as likely as the others."""
    ordered, count = sorted(times_s), len(times_s)
    mean_s = math.fsum(ordered) / count
    variance = math.fsum((time_s - mean_s) ** 2 for time_s in ordered) / count
    return ServiceTime(
        "empirical",
        (),
        mean_s,
        variance / mean_s**2,
        lambda share: ordered[int(share * count)],
        lambda t: bisect_right(ordered, t) / count,
    )


def shifted(by_s: float, rest: ServiceTime) -> ServiceTime:
    """Returns the distribution of a time that never changes and another one after it."""
    mean_s = by_s + rest.mean_s
    return ServiceTime(
        rest.kind,
        rest.parameters,
        mean_s,
        rest.scv * (rest.mean_s / mean_s) ** 2,
        lambda share: by_s + rest.quantile_s(share),
        lambda t: rest.cdf(t - by_s),
        by_s,
    )


def parse_service_time(text: str) -> ServiceTime:
    """Returns what a text such as `lognormal(20ms, 0.4)` names; raises ValueError for no distribution, or no file."""
    found = _FORM.fullmatch(text)
    if found is None or found[2] not in _PARSERS:
        raise ValueError(f"{text!r} is no service time; write {FORMS}")
    shift, kind, inner = found[1], found[2], found[3].strip()
    if kind == "empirical":
        return _after(shift, read_empirical(Path(inner.strip("'\""))))
    parts = [part.strip() for part in inner.split(",")]
    count, parse = _PARSERS[kind]
    if len(parts) != count or not all(parts):
        raise ValueError(f"{text!r}: {kind} takes {'one value' if count == 1 else 'two values'}; write {FORMS}")
    try:
        return _after(shift, parse(parts))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def _after(shift: str | None, service: ServiceTime) -> ServiceTime:
    return shifted(_time_s(shift), service) if shift else service


def read_empirical(path: Path) -> ServiceTime:
    """Reads recorded times: one a line, `12.5ms` or a bare number of milliseconds; # starts a comment.

    Raises ValueError where the file cannot be read, or with the first line that is no time.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file {str(path)!r} of empirical() cannot be read: {why_unread(error)}") from error
    times_s = list(_recorded(text, path))
    if not 1 <= len(times_s) <= MAX_LINES:
        raise ValueError(f"{path} holds {len(times_s):,} times; between 1 and {MAX_LINES:,} are needed")
    return empirical(times_s)


def _recorded(text: str, path: Path) -> Iterator[float]:
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        if written:
            try:
                yield _time_s(written if written[-1].isalpha() else f"{written}ms")
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from None


def _time_s(text: str) -> float:
    seconds = parse_duration_s(text)
    if not 0 < seconds <= LONGEST_S:
        raise ValueError(f"{text} is no service time; more than 0 and at most {LONGEST_S:g} s is allowed")
    return seconds


def _number(text: str, name: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= highest:
        raise ValueError(f"{name} is {text!r}; a number from {lowest:g} to {highest:g} is allowed")
    return value


_PARSERS: dict[str, tuple[int, Callable[[list[str]], ServiceTime]]] = {
    "constant": (1, lambda parts: constant(_time_s(parts[0]))),
    "exponential": (1, lambda parts: exponential(_time_s(parts[0]))),
    "lognormal": (2, lambda parts: lognormal(_time_s(parts[0]), _number(parts[1], "sigma", 0, 10))),
    "gamma": (2, lambda parts: gamma(_time_s(parts[0]), _number(parts[1], "shape", 0.05, 10_000))),
    "empirical": (1, lambda parts: read_empirical(Path(parts[0]))),
}
