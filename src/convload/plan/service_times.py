"""Distributions of service times as people write them: `exponential(8ms)`, their moments and their quantiles.

A service time is drawn by putting a uniform number into the quantile function (inversion), so that one number decides
one service time whatever the distribution: request k takes the same time in every run of a seed.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, Protocol

import msgspec

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


class ServiceTime(Protocol):
    """A distribution of times in seconds. `scv` is the squared coefficient of variation, variance over mean squared."""

    @property
    def mean_s(self) -> float:
        """The mean."""

    @property
    def scv(self) -> float:
        """0 for a constant, 1 for an exponential time."""

    def quantile_s(self, share: float) -> float:
        """Returns the time that this share of all times, between 0 and 1 without either, does not exceed."""

    def cdf(self, time_s: float) -> float:
        """Returns the share of times that are at most `time_s`."""


class Constant(msgspec.Struct, frozen=True):
    """Always the same."""

    mean_s: float

    @property
    def scv(self) -> float:
        """No spread at all."""
        return 0.0

    def quantile_s(self, share: float) -> float:  # noqa: ARG002 -- the signature of a service time
        """See ServiceTime."""
        return self.mean_s

    def cdf(self, time_s: float) -> float:
        """See ServiceTime."""
        return float(time_s >= self.mean_s)


class Exponential(msgspec.Struct, frozen=True):
    """Without memory: the M of M/M/c."""

    mean_s: float

    @property
    def scv(self) -> float:
        """By definition."""
        return 1.0

    def quantile_s(self, share: float) -> float:
        """See ServiceTime."""
        return -self.mean_s * math.log1p(-share)

    def cdf(self, time_s: float) -> float:
        """See ServiceTime."""
        return -math.expm1(-max(time_s, 0.0) / self.mean_s)


class LogNormal(msgspec.Struct, frozen=True):
    """Its logarithm is normal with `sigma`, around the logarithm of the median."""

    median_s: float
    sigma: float

    @property
    def mean_s(self) -> float:
        """Above the median."""
        return self.median_s * math.exp(self.sigma**2 / 2)

    @property
    def scv(self) -> float:
        """Depends on sigma alone."""
        return math.expm1(self.sigma**2)

    def quantile_s(self, share: float) -> float:
        """See ServiceTime."""
        return self.median_s * math.exp(self.sigma * _NORMAL.inv_cdf(share))

    def cdf(self, time_s: float) -> float:
        """See ServiceTime."""
        if time_s <= 0:
            return 0.0
        return 0.5 * math.erfc(-math.log(time_s / self.median_s) / (self.sigma * math.sqrt(2)))


class Gamma(msgspec.Struct, frozen=True):
    """The sum of `shape` exponential times where that is whole; 1 is exponential, less is burstier."""

    mean_s: float
    shape: float

    @property
    def scv(self) -> float:
        """Depends on the shape alone."""
        return 1 / self.shape

    def quantile_s(self, share: float) -> float:
        """See ServiceTime."""
        return float(_special().gammaincinv(self.shape, share)) * self.mean_s / self.shape

    def cdf(self, time_s: float) -> float:
        """See ServiceTime."""
        return float(_special().gammainc(self.shape, max(time_s, 0.0) * self.shape / self.mean_s))


@cache
def _special() -> Any:
    """Returns the functions of SciPy, whose import takes longer than the rest of the mock: only a gamma needs them."""
    import scipy.special  # noqa: PLC0415 -- as said

    return scipy.special


class Empirical(msgspec.Struct, frozen=True):
    """Recorded times, each as likely as the others; `times_s` is in order."""

    times_s: tuple[float, ...]
    mean_s: float
    scv: float

    def quantile_s(self, share: float) -> float:
        """See ServiceTime."""
        return self.times_s[int(share * len(self.times_s))]

    def cdf(self, time_s: float) -> float:
        """See ServiceTime."""
        return bisect_right(self.times_s, time_s) / len(self.times_s)


class Shifted(msgspec.Struct, frozen=True):
    """A time that never changes, and another one after it."""

    by_s: float
    rest: ServiceTime

    @property
    def mean_s(self) -> float:
        """The sum of both."""
        return self.by_s + self.rest.mean_s

    @property
    def scv(self) -> float:
        """All the spread is in the rest."""
        return self.rest.scv * (self.rest.mean_s / self.mean_s) ** 2

    def quantile_s(self, share: float) -> float:
        """See ServiceTime."""
        return self.by_s + self.rest.quantile_s(share)

    def cdf(self, time_s: float) -> float:
        """See ServiceTime."""
        return self.rest.cdf(time_s - self.by_s)


def parse_service_time(text: str) -> ServiceTime:
    """Returns the distribution that a text such as `lognormal(20ms, 0.4)` names.

    Raises:
        ValueError: it names none, or its file cannot be used.
    """
    found = _FORM.fullmatch(text)
    if found is None or found[2] not in _PARSERS:
        raise ValueError(f"{text!r} is no service time; write {FORMS}")
    shift, kind, inner = found[1], found[2], found[3].strip()
    if kind == "empirical":
        return _shifted(shift, read_empirical(Path(inner.strip("'\""))))
    parts = [part.strip() for part in inner.split(",")]
    count, parse = _PARSERS[kind]
    if len(parts) != count or not all(parts):
        raise ValueError(f"{text!r}: {kind} takes {'one value' if count == 1 else 'two values'}; write {FORMS}")
    try:
        return _shifted(shift, parse(parts))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None


def _shifted(by: str | None, service: ServiceTime) -> ServiceTime:
    return Shifted(_time_s(by), service) if by else service


def read_empirical(path: Path) -> Empirical:
    """Reads recorded times: one a line, `12.5ms` or a bare number of milliseconds; # starts a comment.

    Raises:
        ValueError: the file cannot be read, or with the first line that is no time.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise ValueError(f"the file {str(path)!r} of empirical() cannot be read: {why}") from error
    times_s = sorted(_recorded(text, path))
    if not 1 <= len(times_s) <= MAX_LINES:
        raise ValueError(f"{path} holds {len(times_s):,} times; between 1 and {MAX_LINES:,} are needed")
    mean_s = math.fsum(times_s) / len(times_s)
    variance = math.fsum((time_s - mean_s) ** 2 for time_s in times_s) / len(times_s)
    return Empirical(tuple(times_s), mean_s, variance / mean_s**2)


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


def _log_normal(parts: list[str]) -> ServiceTime:
    median_s, sigma = _time_s(parts[0]), _number(parts[1], "sigma", 0, 10)
    return LogNormal(median_s, sigma) if sigma else Constant(median_s)


_PARSERS: dict[str, tuple[int, Callable[[list[str]], ServiceTime]]] = {
    "constant": (1, lambda parts: Constant(_time_s(parts[0]))),
    "exponential": (1, lambda parts: Exponential(_time_s(parts[0]))),
    "lognormal": (2, _log_normal),
    "gamma": (2, lambda parts: Gamma(_time_s(parts[0]), _number(parts[1], "shape", 0.05, 10_000))),
    "empirical": (1, lambda parts: read_empirical(Path(parts[0]))),
}
