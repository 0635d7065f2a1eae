"""Finds the highest load at which the objective holds: doubles until it breaks, then narrows with what all trials say.

Why not the MLRsearch library, whose ideas these are (short trials first, long near the bound, a load judged by the
sum of its trials): it begins at the highest load, which a live target need not survive; it has no pause in which a
backlog drains and no third outcome; it tells the time itself and raises at its deadline, so that partial results are
lost; and its bounds are loads that were measured, without a probability that the truth lies between them.
"""

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from convload.capacity.posterior import Posterior, posterior, sustained
from convload.capacity.trials import Clock, EndedError, Measurer, SearchSettings, check
from convload.results.capacity_result import Trial

End = Literal["narrow", "budget", "ended", "ceiling", "generator", "floor", "broken"]
"""Why a search ended: narrow enough; no time for another trial; no trial could be made any more; the objective holds
at the highest load, or at the highest that the generator made; it breaks at the lowest; the target did not recover from
a trial."""

SLACK = 2.0
"""How far beyond the bounds of the search the answer is thought to lie at most, as a factor."""

_RATES_A_WIDTH = 4
_AT_BOUND = 3
_UNDECIDED_REPEATS = 2
_OVERLOAD = 1.2
"""How far above what it sustains a target is asked for, so that it is busy all the time."""
_MOST_PROBING_OVERLOADS = 2
_WORTH_OVERLOADING = 0.5
"""Overloading teaches more than a trial at the limit while the rate sustained alone leaves so much of the width."""
_STANDARD_DEVIATIONS_OF_WIDTH = 4
_CLOSE = 0.7
"""From this width on trials have their final length."""
# Where in the distribution the next trial goes: mostly the middle, which divides it best, and both sides, which tell
# how wide the change from pass to fail is.
_PLACES = (0.5, 0.3, 0.7, 0.5, 0.4, 0.6)


class Search(msgspec.Struct, frozen=True):
    """How a search ended: all trials in their order, and what they say of the load sought, if they say anything."""

    settings: SearchSettings
    trials: list[Trial]
    end: End
    found: Posterior | None
    generator_limit: float | None
    took_s: float

    @property
    def telling(self) -> list[Trial]:
        """The trials that say something of the target."""
        return [trial for trial in self.trials if trial.verdict != "generator"]


def search(
    measurer: Measurer, settings: SearchSettings, clock: Clock, tell: Callable[[Trial], None] = lambda _: None
) -> Search:
    """Searches until the answer is narrow enough, the time is up, or a bound of the search is reached.

    `tell` hears of each trial as it ends.

    Raises:
        UsageError: the settings allow no search.
    """
    check(settings)
    return _Search(measurer, settings, clock, tell).run()


class _Search:
    """The state of one search."""

    def __init__(
        self, measurer: Measurer, settings: SearchSettings, clock: Clock, tell: Callable[[Trial], None]
    ) -> None:
        self.measurer, self.settings, self.clock, self.tell = measurer, settings, clock, tell
        self.trials: list[Trial] = []
        self.began_s = clock()
        self.ceiling = settings.max_rate
        self.generator_limit: float | None = None
        self.overhead_s = 0.0
        self.probing_overloads = 0

    def run(self) -> Search:
        end: End
        try:
            end = self._bracket() or self._narrow()
        except EndedError:
            end = "ended"
        return Search(
            settings=self.settings,
            trials=self.trials,
            end=end,
            found=self._posterior() if self._telling() else None,
            generator_limit=self.generator_limit,
            took_s=self.clock() - self.began_s,
        )

    # Bracketing: a load that passes and one that fails.

    def _bracket(self) -> End | None:
        rate = self.settings.start_rate
        while True:
            stopped = self._settle(rate)
            if stopped:
                return stopped
            if self.trials[-1].verdict == "generator" or (self._highest_pass() and self._lowest_fail()):
                return None
            following = self._further(rate)
            if following is None:
                return None
            rate = following

    def _further(self, rate: float) -> float | None:
        """Returns the next load: half after a failure, else double; None where the search ends."""
        if self._lowest_fail():
            return None if rate <= self.settings.min_rate else max(self.settings.min_rate, rate / 2)
        return None if rate >= self.ceiling else min(self.ceiling, rate * 2)

    def _settle(self, rate: float) -> End | None:
        """Tries one load, and again for longer while it is undecided and does not lean towards a pass."""
        duration_s = self.settings.first_s
        for _ in range(1 + _UNDECIDED_REPEATS):
            stopped = self._try(rate, duration_s)
            if stopped or self.trials[-1].verdict != "undecided" or self.trials[-1].side == "pass":
                return stopped
            duration_s = min(2 * duration_s, self.settings.final_s)
        return None

    # Narrowing: the next load is where the trials so far leave it most open.

    def _narrow(self) -> End:
        places = iter(_PLACES * 1000)
        while True:
            found = self._posterior()
            ended = self._ended(found)
            if ended:
                return ended
            rate = self._next_rate(found, next(places))
            stopped = self._try(rate, self._duration_s(found))
            if stopped:
                return stopped

    def _ended(self, found: Posterior) -> End | None:
        low, high = found.interval(self.settings.confidence)
        if self._only("pass", self.ceiling):
            return "ceiling" if self.generator_limit is None else "generator"
        if self._only("fail", self.settings.min_rate):
            return "floor"
        bracketed = self._highest_pass() and self._lowest_fail()
        return "narrow" if bracketed and relative_width(low, high) <= self.settings.width else None

    def _next_rate(self, found: Posterior, place: float) -> float:
        failed, passed = self._lowest_fail(), self._highest_pass()
        if not failed and passed >= 0.5 * self.ceiling:
            return self.ceiling
        if failed and not passed:
            return self.settings.min_rate
        rate = self._overloading(found) or self._goodput_hint(passed, failed) or found.quantile(place)
        rate = self._on_grid(rate)
        return min(max(rate, self.settings.min_rate), self.ceiling)

    def _overloading(self, found: Posterior) -> float | None:
        """Returns a load that shows what the target sustains, as long as that is the best way to learn more."""
        told = sustained(self._telling(), self.settings.model)
        if told is None:
            if not self._lowest_fail() or self.probing_overloads == _MOST_PROBING_OVERLOADS:
                return None
            self.probing_overloads += 1
            return _OVERLOAD * found.quantile(0.5)
        width = relative_width(*found.interval(self.settings.confidence))
        its_own = _STANDARD_DEVIATIONS_OF_WIDTH * told.spread
        is_worth_it = width <= _CLOSE and its_own >= _WORTH_OVERLOADING * width
        return _OVERLOAD * told.per_s if is_worth_it and _OVERLOAD * told.per_s <= self.ceiling else None

    def _goodput_hint(self, passed: float, failed: float) -> float | None:
        """What an overloaded target still gets done tells where its limit is, as long as the bracket is wide."""
        if not passed or failed < 1.4 * passed:
            return None
        goodput = max((t.goodput_per_s or 0.0 for t in self.trials if t.verdict == "fail"), default=0.0)
        return 0.95 * goodput if 1.05 * passed < 0.95 * goodput < failed / 1.05 else None

    def _on_grid(self, rate: float) -> float:
        """Rounds to loads a quarter of the final width apart, so that trials meet at one load."""
        step = math.log1p(max(self.settings.width, 0.02)) / _RATES_A_WIDTH
        return self.settings.start_rate * math.exp(step * round(math.log(rate / self.settings.start_rate) / step))

    def _duration_s(self, found: Posterior) -> float:
        """Longer as the answer gets narrower; a last trial takes what is left rather than leave it unused."""
        low, high = found.interval(self.settings.confidence)
        first_s, final_s = self.settings.first_s, self.settings.final_s
        closeness = 1 - math.log(max(relative_width(low, high), _CLOSE) / _CLOSE) / math.log(1 / _CLOSE)
        wanted = first_s * (final_s / first_s) ** max(0.0, min(1.0, closeness))
        left = self._left_s()
        return left if wanted < left < 1.5 * wanted else wanted

    # One trial.

    def _left_s(self) -> float:
        return self.settings.budget_s - (self.clock() - self.began_s) - self.overhead_s

    def _try(self, rate: float, duration_s: float) -> End | None:
        if self.trials and self._left_s() < self.settings.first_s:
            return "budget"
        if self.trials and self.trials[-1].side == "fail":
            at_most_s = min(self.settings.cool_down_s, self._left_s())
            if not self.measurer.cool_down(at_most_s):
                return "broken" if at_most_s == self.settings.cool_down_s else "budget"
        duration_s = min(duration_s, self._left_s())
        if duration_s < self.settings.first_s and self.trials:
            return "budget"
        began_s = self.clock()
        trial = self.measurer.trial(rate, duration_s)
        self.overhead_s = max(self.overhead_s, self.clock() - began_s - duration_s)
        self.trials.append(trial)
        self.tell(trial)
        if trial.verdict == "generator":
            self.generator_limit = min(self.generator_limit or math.inf, trial.achieved_per_s or rate)
            self.ceiling = min(self.ceiling, 0.98 * self.generator_limit)
        return None

    def _telling(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.verdict != "generator"]

    def _posterior(self) -> Posterior:
        return posterior(
            self._telling(),
            self.settings.min_rate / SLACK,
            self.ceiling * SLACK,
            self.settings.tail,
            self.settings.model,
        )

    def _only(self, side: str, rate: float) -> bool:
        """Returns whether enough trials at a bound of the search went this way, and none the other way anywhere."""
        at_bound = [trial for trial in self.trials if math.isclose(trial.rate, rate) and trial.verdict == side]
        return len(at_bound) >= _AT_BOUND and all(trial.side in {side, None} for trial in self.trials)

    def _highest_pass(self) -> float:
        return max((trial.rate for trial in self.trials if trial.side == "pass"), default=0.0)

    def _lowest_fail(self) -> float:
        return min((trial.rate for trial in self.trials if trial.side == "fail"), default=0.0)


def relative_width(low: float, high: float) -> float:
    """Returns how wide an interval is, relative to its middle."""
    return 2 * (high - low) / (high + low)
