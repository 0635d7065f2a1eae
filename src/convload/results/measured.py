"""Adds up what a run measured: per step, variant and stage, phase "measure" only."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from convload.contract.outcomes import OK
from convload.contract.steps import ATTEMPTS, CREATE
from convload.plan.retry import NONE, RetryPolicy
from convload.results.health import Column, Floats, Health
from convload.results.histogram import Histogram
from convload.results.runlog import Interval
from convload.results.sums import Sum, Sums
from convload.results.window import Window


class Figures(msgspec.Struct, frozen=True):
    """What became of the requests of one kind; the times of failed requests are kept apart."""

    ok: int
    errors: dict[str, int]
    response: Histogram
    service: Histogram
    lateness: Histogram
    failed_response: Histogram
    failed_lateness: Histogram

    @classmethod
    def merged(cls, parts: Iterable["Figures"]) -> "Figures":
        """Adds figures up."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        errors: Counter[str] = Counter()
        for part in parts:
            errors.update(part.errors)
        times = ("response", "service", "lateness", "failed_response", "failed_lateness")
        merged = [Histogram.merged(getattr(part, name) for part in parts) for name in times]
        return cls(sum(part.ok for part in parts), dict(errors), *merged)

    @property
    def failed(self) -> int:
        """Requests with any error."""
        return sum(self.errors.values())

    @property
    def all_lateness(self) -> Histogram:
        """The lateness of all requests: a failed one could be late too."""
        return self.lateness + self.failed_lateness

    @property
    def count(self) -> int:
        """All requests, successful or not."""
        return self.ok + self.failed


Key = tuple[str, str, str]
"""Step, variant and stage."""


class Flow(msgspec.Struct, frozen=True):
    """The create requests of a time: how many came due, were sent, and were due but never sent.

    These are counts of what happened, not samples of something behind it, so they have no error of sampling.
    `unsent` is None where it is not known: of one window of a run.
    """

    length_s: float
    sent: float
    offered: float
    unsent: int | None

    @property
    def achieved_rate(self) -> float | None:
        """Sent per second; None for no time."""
        return rate(self.sent, self.length_s)

    @property
    def offered_rate(self) -> float | None:
        """Due per second; None for no time."""
        return rate(self.offered, self.length_s)


class Totals(msgspec.Struct, frozen=True):
    """The figures of a time by step, variant and stage, and its flows by stage; "" is the flow of all.

    `effects` is what a baseline knows of how far its requests depend on each other (`judging/dependence.py`).
    """

    parts: dict[Key, Figures]
    flows: dict[str, Flow]
    effects: dict[str, dict[str, float]] = {}

    def figures(self, step: str, variant: str = "", stage: str = "") -> Figures:
        """Adds up what was measured of a step, a variant of it, a stage of it."""
        wanted = (
            part
            for (of_step, of_variant, of_stage), part in self.parts.items()
            if of_step == step and variant in {"", of_variant} and stage in {"", of_stage}
        )
        return Figures.merged(wanted)

    @property
    def steps(self) -> dict[str, Figures]:
        """Adds up what was measured of each step."""
        return {step: self.figures(step) for step in dict.fromkeys(step for step, _, _ in self.parts)}

    @classmethod
    def within(cls, parts: Iterable[Interval], within: Window, *, is_open: bool, known: Health) -> "Totals":
        """Adds up intervals of a part of a run; the rise of a count is read from all that are known."""
        figures = add_up(parts)
        count = count_creates(figures)
        sent = begun_within(known, within) if is_open else count
        offered = risen(known, within, "offered") if is_open else count
        return cls(figures, {"": Flow(within.length_s, sent, offered, None)})


def rate(count: float, length_s: float) -> float | None:
    """Returns a count per second, with the digits that every report has; None for no time."""
    return round(count / length_s, 3) if length_s > 0 else None


def attempt_steps(policy: RetryPolicy) -> tuple[str, ...]:
    """Returns the steps whose requests add up to the create requests sent."""
    return (CREATE,) if policy.policy == NONE else ATTEMPTS


def add_up(parts: Iterable[Interval], stage: str = "") -> dict[Key, Figures]:
    """Adds up the measured cells of intervals, those of one stage if it is named."""
    sums = Sums()
    for part in parts:
        sums.add(part.cells)
    return figures_of(sums, stage)


def figures_of(sums: Sums, stage: str = "") -> dict[Key, Figures]:
    """Returns what was added up by step, variant and stage, of one stage if it is named."""
    found: dict[Key, list[Sum]] = defaultdict(list)
    for one in sums.by_key():
        step, variant, _, _, of_stage = one.key
        if stage in {"", of_stage}:
            found[step, variant, of_stage].append(one)
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    for (_, (step, variant, _, outcome, of_stage)), count in sums.counts.items():
        counts[step, variant, of_stage][outcome] += count
    return {key: _figures(parts, counts[key]) for key, parts in found.items()}


def count_creates(figures: Mapping[Key, Figures], stage: str = "") -> int:
    """Returns how many create requests were measured, those due in one stage if it is named."""
    return sum(part.count for key, part in figures.items() if key[0] == CREATE and stage in {"", key[2]})


def risen(health: Health, within: Window, name: str) -> float:
    """Returns by how much a count since the start rose, even within an interval, all workers together.

    Intervals from the start of the run on, or at least from before `within`, are needed.
    """
    if not len(health):
        return 0.0
    values, ends_s = health[name], health["to_s"]
    at_start, at_end = (_reached(health, values, ends_s, at_s) for at_s in (within.from_s, within.to_s))
    return float((at_end - at_start).sum())


def _reached(health: Health, values: Column, ends_s: Floats, at_s: float) -> Floats:
    """Returns the value of each worker at an instant: at the start of the run it was 0."""
    before = health.sums((ends_s <= at_s).astype(np.int64))
    after = np.minimum(before, health.sizes - 1)
    low, high = (health.starts + np.maximum(place, 0) for place in (after - 1, after))
    begins = (after == 0) & (health["n"][health.starts] == 0)
    low_s, low_value = (np.where(begins, 0, column[low]) for column in (ends_s, values))
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (values[high] - low_value) / (ends_s[high] - low_s)
        between: Floats = slopes * (at_s - low_s) + low_value
    is_between = (before < health.sizes) & ((before > 0) | begins)
    return np.where(is_between, between, values[high])


def begun_within(health: Health, within: Window) -> float:
    """Returns how many creates were sent; of a conversation that was retried the first attempt alone."""
    return risen(health, within, "sent") - risen(health, within, "retried")


def highest_together(health: Health, name: str) -> int:
    """Returns the highest sum over the workers of what their intervals of the same number state."""
    return int(np.bincount(health["n"], health[name]).max(initial=0))


def with_arrivals(health: Health) -> Health:
    """Returns the intervals in which an arrival was due."""
    return health.where(health.rises("offered") > 0)


def _figures(parts: list[Sum], outcomes: Counter[str]) -> Figures:
    good = [part for part in parts if part.key[3] == OK]
    bad = [part for part in parts if part.key[3] != OK]
    errors = {outcome: count for outcome, count in outcomes.most_common() if outcome != OK}
    times = [(one, name) for one in (good, bad) for name in ("response", "service", "lateness")]
    of_good, service, late, of_bad, _, bad_late = (
        Histogram.merged(getattr(part, name) for part in some) for some, name in times
    )
    return Figures(outcomes[OK], errors, of_good, service, late, of_bad, bad_late)
