"""What all searches share: settings, the measuring seam, and trials that are made within a budget.

A search is a rule that says, from the trials so far alone, which load comes next or that there is none; `Trials` makes
them and says when no other can be made. All three begin alike: they double a load (or halve it) until the answer lies
between two, and then divide what lies between. They differ in what they ask of a trial: whether the objective holds
(`search.py`), whether throughput still grew (`concurrency.py`), or whether the run was valid (`doctor/search.py`).
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from convload.capacity.posterior import Model, Tail
from convload.errors import UsageError
from convload.results.capacity_result import Trial

End = Literal["narrow", "budget", "ended", "ceiling", "generator", "floor", "broken"]
"""Why a search ended: narrow enough; no time for another trial; no trial could be made any more; the objective holds
at the highest load, or at the highest that the generator made; it breaks at the lowest; the target did not recover from
a trial."""

BELOW_GENERATOR = 0.98
"""Of the load that the generator made: what it is asked for from then on."""

SETTLING_SHARE = 0.2
"""Of a trial's time, left out of its figures: the target's queues are still those of another load."""

Positive = Annotated[float, Meta(gt=0)]


class EndedError(Exception):
    """No more trials can be made: the run was interrupted, or its workers are gone."""


class Measurer(Protocol):
    """Makes trials. Every call blocks until it is done, and raises EndedError where it cannot be."""

    def trial(self, rate: float, duration_s: float) -> Trial:
        """Holds `rate` for `duration_s` in all; what is counted leaves out `SETTLING_SHARE` of it."""

    def cool_down(self, at_most_s: float) -> bool:
        """Waits until the target answers as it does at rest; False if it does not within the time."""


Clock = Callable[[], float]
"""Tells seconds that never go back."""


class SearchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a search goes. Rates are a second, or users in a closed search.

    The search ends when the interval is no wider than `width` (relative to its middle) or the budget is used up.
    `first_trial_s` and `final_trial_s` are chosen from the budget when they are None.
    """

    start_rate: Positive
    max_rate: Positive
    min_rate: Positive
    budget_s: Positive
    width: Annotated[float, Meta(gt=0, lt=1)] = 0.01
    confidence: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    first_trial_s: Positive | None = None
    final_trial_s: Positive | None = None
    cool_down_s: Positive = 30.0
    tail: Tail = Tail()
    model: Model = Model()

    @property
    def first_s(self) -> float:
        """A sixtieth of the budget: twenty short trials leave two thirds of it for the long ones."""
        return self.first_trial_s or min(5.0, max(2.0, self.budget_s / 60))

    @property
    def final_s(self) -> float:
        """An eighth of the budget: long enough to settle, short enough to be repeated."""
        return self.final_trial_s or max(self.first_s, min(60.0, self.budget_s / 8))


def check(settings: SearchSettings) -> None:
    """Tells what makes a search impossible.

    Raises:
        UsageError: all of it.
    """
    rates = (settings.min_rate, settings.start_rate, settings.max_rate)
    problems = []
    if not rates[0] <= rates[1] <= rates[2] or rates[0] == rates[2]:
        problems.append(
            "the rates of a search must rise from the lowest to the start to the highest; "
            f"they are {rates[0]:g}, {rates[1]:g} and {rates[2]:g}"
        )
    if settings.final_s < settings.first_s:
        problems.append(
            f"the final trials ({settings.final_s:g} s) must be no shorter than the first ({settings.first_s:g} s)"
        )
    if settings.budget_s < settings.first_s:
        problems.append(
            f"the budget of {settings.budget_s:g} s is too short for a single trial of {settings.first_s:g} s; "
            "give it more time"
        )
    if problems:
        raise UsageError(*problems)


class Trials:
    """The trials of one search, made one after the other for as long as its budget lasts; `on_trial` is given each."""

    def __init__(
        self,
        measurer: Measurer,
        settings: SearchSettings,
        clock: Clock,
        on_trial: Callable[[Trial], None] = lambda _: None,
    ) -> None:
        self.made: list[Trial] = []
        self._measurer, self._settings, self._clock, self._on_trial = measurer, settings, clock, on_trial
        self._began_s = clock()
        self._overhead_s = 0.0

    @property
    def took_s(self) -> float:
        """The time since the search began."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> float:
        """What is left of the budget, without what the last trial took beside its own time."""
        return self._settings.budget_s - self.took_s - self._overhead_s

    @property
    def generator_limit(self) -> float | None:
        """The least that the generator made where it made less than it was asked for.

        Where it did so once, the machine may have been busy with something else; where it made more in another trial,
        it was.
        """
        most = max((trial.rate for trial in self.made if trial.verdict != "generator"), default=0.0)
        short = [trial for trial in self.made if trial.verdict == "generator" and trial.rate > most]
        return min((one.achieved_per_s or one.rate for one in short), default=None) if len(short) > 1 else None

    @property
    def is_to_be_repeated(self) -> bool:
        """Whether the generator fell short in the last trial, and there for the first time."""
        last = self.made[-1]
        return last.verdict == "generator" and [one.rate for one in self.made[-2:]].count(last.rate) == 1

    @property
    def ceiling(self) -> float:
        """The highest load that may be tried."""
        limit = self.generator_limit
        return self._settings.max_rate if limit is None else min(self._settings.max_rate, BELOW_GENERATOR * limit)

    @property
    def highest_pass(self) -> float:
        """The highest load that passed or leans that way; 0 without one."""
        return max((trial.rate for trial in self.made if trial.side == "pass"), default=0.0)

    @property
    def lowest_fail(self) -> float:
        """The lowest load that failed or leans that way; 0 without one."""
        return min((trial.rate for trial in self.made if trial.side == "fail"), default=0.0)

    def make(self, rate: float, duration_s: float) -> End | None:
        """Makes a trial, for as long as there is time; returns why there is none."""
        try:
            return self._make(rate, duration_s)
        except EndedError:
            return "ended"

    def _make(self, rate: float, duration_s: float) -> End | None:
        if self.made and self.left_s < self._settings.first_s:
            return "budget"
        if self.made and self.made[-1].side == "fail":
            at_most_s = min(self._settings.cool_down_s, self.left_s)
            if not self._measurer.cool_down(at_most_s):
                return "broken" if at_most_s == self._settings.cool_down_s else "budget"
        duration_s = min(duration_s, self.left_s)
        if self.made and duration_s < self._settings.first_s:
            return "budget"
        began_s = self._clock()
        trial = self._measurer.trial(rate, duration_s)
        self._overhead_s = self._clock() - began_s - duration_s
        self.made.append(trial)
        self._on_trial(trial)
        return None


def further(load: float, least: float, most: float, *, down: bool) -> float | None:
    """Returns the load that brackets the answer next: half of this one or its double; None at a bound of the search."""
    if down:
        return None if load <= least else max(least, load / 2)
    return None if load >= most else min(most, load * 2)


def between(low: float, high: float) -> float:
    """Returns the load that divides the loads between two in halves, as loads go: by their ratio."""
    return math.sqrt(low * high)


def four_digits(rate: float) -> str:
    """Writes a rate as people do: 493.3, 1,200."""
    return f"{rate:,.0f}" if rate >= 1000 else f"{rate:.4g}"  # noqa: PLR2004 -- four digits


def per_s(rate: float) -> str:
    """Writes a rate with its unit."""
    return f"{four_digits(rate)}/s"
