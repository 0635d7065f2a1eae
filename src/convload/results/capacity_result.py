"""capacity.json, format convload/capacity/1: what a capacity search found, as plain data for whoever shows it."""

from typing import Literal

import msgspec

from convload.errors import ExitCode, RunLogError

FORMAT = "convload/capacity/1"

Outcome = Literal["pass", "fail", "undecided", "generator"]

Limit = Literal["target", "generator", "budget", "bound"]

GROWING = "the backlog kept growing"
"""Stands among the broken objectives of a trial whose backlog grew, though its gates may have held."""


class Overloaded(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a target gets done a second that is offered more than it can do.

    `per_s` is what it answers well, raised by the share of failures that the objective allows where it sheds load;
    `dispersion` is variance over mean of the answers of each of the `seconds`. `decay_per_s` is how fast the tail of
    the response has to fall for the share that is shed at the queue's end to be allowed; 0 where nothing is shed.
    `stalls` are seconds with clearly fewer answers than the others: the target paused.
    """

    per_s: float
    dispersion: float
    seconds: int
    decay_per_s: float = 0.0
    stalls: int = 0


class Trial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One load held for a while, judged with confidence bounds by whoever measured it.

    `rate` is what was offered: arrivals a second, or users in a closed search; `arrived_per_s` is what came of it by
    chance in the counted part. `outcome` is pass when the bounds of
    every gate lie within its limit, fail when the bounds of one lie beyond, undecided otherwise, and generator when the
    load was not what was asked for, so that nothing follows about the target. `strain` is the largest value / limit
    over the gates: 1 stands at the limit; it tells which way an undecided trial leans. `growing` says that in-flight
    requests or arrivals that wait rose all along: such a load is above capacity even if the percentiles of a short
    trial pass. `overruled` is a failure that later trials contradict;
    `mostly_failed_by` is the most common kind of failed creates.
    """

    rate: float
    duration_s: float
    outcome: Outcome
    broke: list[str] = []
    strain: float | None = None
    growing: bool = False
    arrived_per_s: float | None = None
    achieved_per_s: float | None = None
    goodput_per_s: float | None = None
    response_p50_ms: float | None = None
    response_p99_ms: float | None = None
    response_mean_ms: float | None = None
    in_flight_mean: float | None = None
    error_share: float | None = None
    overloaded: Overloaded | None = None
    at_s: float = 0.0
    overruled: bool = False
    mostly_failed_by: str = ""

    @property
    def verdict(self) -> Outcome:
        """The outcome, with a growing backlog counted as a failure."""
        return "fail" if self.growing and self.outcome != "generator" else self.outcome

    @property
    def side(self) -> Literal["pass", "fail"] | None:
        """Where the point values stand: an undecided trial leans by its strain, and says nothing without one."""
        verdict = self.verdict
        if verdict == "pass" or verdict == "fail":  # noqa: PLR1714 -- mypy narrows by ==
            return verdict
        if verdict == "generator" or self.strain is None:
            return None
        return "fail" if self.strain > 1 else "pass"

    @property
    def broken(self) -> list[str]:
        """What did not hold, in words."""
        if self.verdict != "fail":
            return []
        return [*self.broke, *([GROWING] if self.growing else [])]


class Point(msgspec.Struct, frozen=True):
    """Throughput at a mean number of users or of requests in flight."""

    concurrency: float
    per_s: float


class Bounded(msgspec.Struct, frozen=True):
    """An estimate and its 95 % interval; None for a bound that the points do not give."""

    value: float
    low: float | None
    high: float | None


class Usl(msgspec.Struct, frozen=True, kw_only=True):
    """The fit, or the reason why there is none in `refused`. `residuals` are relative, in the order of `points`."""

    points: list[Point]
    refused: str = ""
    sigma: Bounded | None = None
    kappa: Bounded | None = None
    lambda_per_s: Bounded | None = None
    residuals: list[float] = []
    peak_concurrency: Bounded | None = None
    peak_per_s: Bounded | None = None
    peak_refused: str = ""

    def at(self, concurrency: float) -> float | None:
        """Returns the fitted throughput."""
        if self.sigma is None or self.kappa is None or self.lambda_per_s is None:
            return None
        return usl(concurrency, self.lambda_per_s.value, self.sigma.value, self.kappa.value)


def usl(concurrency: float, lambda_per_s: float, sigma: float, kappa: float) -> float:
    """Returns the throughput that the law gives."""
    n = concurrency
    return lambda_per_s * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


class Saturation(msgspec.Struct, frozen=True, kw_only=True):
    """Users between which throughput comes within 5 % of its highest; `high` is None where it still grew at the end."""

    low_users: int | None
    high_users: int | None
    highest_per_s: float | None
    limited_by: Limit
    trials: list[Trial]
    usl: Usl
    text: str


class LittleCheck(msgspec.Struct, frozen=True):
    """One trial: requests in flight as they were counted, and rate times mean response (Little, 1961)."""

    rate: float
    in_flight: float
    expected: float
    holds: bool


class OverloadPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one load. `kept` is its goodput relative to that of the lowest; shares are of all requests."""

    factor: float
    offered_per_s: float
    goodput_per_s: float
    kept: float
    shed_share: float
    failed_share: float
    shed_by: dict[str, float]
    accepted_p50_ms: float | None
    accepted_p99_ms: float | None


class Overload(msgspec.Struct, frozen=True, kw_only=True):
    """The loads in rising order, the seconds to recover (None: not seen to), and a sentence."""

    points: list[OverloadPoint]
    collapses: bool
    recovery_s: float | None
    watched_s: float
    text: str


class Peak(msgspec.Struct, frozen=True):
    """The rate that the busiest hour requires, and how it comes about."""

    hour: str
    conversations: float
    mean_per_s: float
    required_per_s: float
    factor: float
    text: str


class Instances(msgspec.Struct, frozen=True, kw_only=True):
    """How many instances carry a need.

    `fewest` and `most` follow from the upper and the lower bound of the capacity of one; `most` is the number to buy.
    None: the capacity of one has no such bound. `with_one_lost` keeps the headroom when one is lost.
    """

    need_per_s: float
    headroom: float
    fewest: int | None
    most: int | None
    with_one_lost: int | None
    load_share: float | None
    load_share_one_lost: float | None
    text: str


class GeneratorNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What a test at a rate takes on the side that makes the load."""

    rate_per_s: float
    workers: int
    in_flight: float
    connections: int
    open_files: int
    megabits_per_s: float
    tokens_per_s: float
    text: str


class Bounds(msgspec.Struct, frozen=True):
    """Conversations a second between which the capacity lies with the confidence; None where nothing bounds it."""

    low: float | None
    high: float | None


class Broke(msgspec.Struct, frozen=True):
    """The lowest load at which something broke, and what."""

    rate: float
    objectives: list[str]


class Change(msgspec.Struct, frozen=True):
    """The rates that overloaded trials came to in their order, and how probable they are for one capacity.

    `from_s` is when the capacity had risen for good; None where it went otherwise.
    """

    kind: Literal["varied", "rose", "fell"]
    rates: list[float]
    at_s: list[float]
    chance: float
    from_s: float | None = None


class CapacityResult(msgspec.Struct, frozen=True, kw_only=True):
    """All that a search says.

    `width` is relative to the middle of the interval; `goodput_per_s` is that of the highest load that passed within or
    below it, `sustained_per_s` what the target got done when it was offered more than it can do. `limited_by` is bound
    where the objective held up to the highest rate asked for. Where the capacity `change`d while the search went on,
    the interval is what the target carries at its worst and at its best. `limit_kind` names what was met there.
    `longest_trial_s` tells how slow a change of the target may be to have been seen, and `warmed_s` how long it was
    under load before the search. `density` is how probable each capacity is, relative to the most probable; `started`
    is ISO 8601 in UTC.
    """

    format: str = FORMAT
    capacity_per_s: Bounds
    confidence: float
    width: float | None
    objective: list[str]
    limited_by: Limit
    exit_code: ExitCode
    statement: str
    notes: list[str]
    goodput_per_s: float | None
    first_broken: Broke | None
    monotonic: bool
    recovered: bool
    budget_s: float
    took_s: float
    trials: list[Trial]
    sustained_per_s: float | None = None
    limit_kind: str = ""
    change: Change | None = None
    longest_trial_s: float | None = None
    warmed_s: float = 0.0
    interrupted: bool = False
    little: list[LittleCheck] = []
    usl: Usl | None = None
    saturation: Saturation | None = None
    overload: Overload | None = None
    peak: Peak | None = None
    instances: Instances | None = None
    generator_need: GeneratorNeed | None = None
    target: str = ""
    started: str = ""
    density: list[tuple[float, float]] = []


def encode(result: CapacityResult) -> bytes:
    """Returns capacity.json."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"


def decode(data: bytes) -> CapacityResult:
    """Reads capacity.json; raises RunLogError where it is none, or of another format."""
    try:
        result = msgspec.json.decode(data, type=CapacityResult)
    except (msgspec.DecodeError, ValueError) as error:
        raise RunLogError(f"capacity.json cannot be read: {error}") from None
    if result.format != FORMAT:
        raise RunLogError(f"capacity.json has the format {result.format!r}; this version reads {FORMAT!r}")
    return result
