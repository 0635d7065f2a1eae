"""What a search and whoever measures for it tell each other: settings, and the measuring seam."""

from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from convload.capacity.posterior import Model, Tail
from convload.errors import UsageError
from convload.results.capacity_result import Trial

Positive = Annotated[float, Meta(gt=0)]


class EndedError(Exception):
    """No more trials can be made: the run was interrupted, or its workers are gone."""


class Measurer(Protocol):
    """Makes trials. Every call blocks until it is done, and raises EndedError where it cannot be."""

    def trial(self, rate: float, duration_s: float) -> Trial:
        """Holds `rate` for `duration_s` in all; what is counted should leave out the first fifth, which settles."""

    def cool_down(self, at_most_s: float) -> bool:
        """Waits until the target answers as it does at rest; False if it does not within the time."""


class Clock(Protocol):
    """Tells seconds that never go back."""

    def __call__(self) -> float:
        """Returns the seconds."""


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
