"""Finds the highest load at which the objective holds: doubles until it breaks, then narrows with what all trials say.

Why not the MLRsearch library, whose ideas these are (short trials first, long near the bound, a load judged by the
sum of its trials): it begins at the highest load, which a live target need not survive; it has no pause in which a
backlog drains and no third outcome; it tells the time itself and raises at its deadline, so that partial results are
lost; and its bounds are loads that were measured, without a probability that the truth lies between them.
"""

import itertools
import math
from collections.abc import Callable

import msgspec

from convload.capacity.change import busy, passed_beyond, pause_every_s, still_true
from convload.capacity.posterior import Posterior, posterior, sustained
from convload.capacity.trials import Clock, End, Measurer, SearchSettings, Trials, check, further
from convload.results.capacity_result import Trial

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
_MOST_OVERLOADING = 0.15
"""Of the budget: how far below that rate the limit is, only trials near it tell."""
_HIGH = 1.3
_FAR = 1.5
"""How far beyond a load that passed unexpectedly the target is asked what it sustains now."""
LOOKS = 7
"""So often within the budget the target is asked anew what it sustains, that a change does not go unseen."""
_PAUSES_A_TRIAL = 5
_LONGEST = 0.22
"""Of the budget, for one trial: there must be some at different times."""
LEAST_LOOK_S = 4.0
_LOOK_ANSWERS = 500
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


def search(
    measurer: Measurer,
    settings: SearchSettings,
    clock: Clock,
    on_trial: Callable[[Trial], None] = lambda _: None,
    on_interval: Callable[[float, float], None] = lambda *_: None,
) -> Search:
    """Searches until the answer is narrow enough, the time is up, or a bound of the search is reached.

    `on_trial` is given each trial as it ends, `on_interval` what they tell of the capacity.

    Raises:
        UsageError: the settings allow no search.
    """
    check(settings)
    return _Search(Trials(measurer, settings, clock, on_trial), settings, on_interval).run()


class _Search:
    """The state of one search."""

    def __init__(self, trials: Trials, settings: SearchSettings, on_interval: Callable[[float, float], None]) -> None:
        self.trials, self.settings, self._on_interval = trials, settings, on_interval
        self.probing_overloads = 0
        self.looked_s = 0.0

    def run(self) -> Search:
        end = self._bracket() or self._narrow()
        return Search(
            settings=self.settings,
            trials=self.trials.made,
            end=end,
            found=self._posterior() if any(trial.verdict != "generator" for trial in self.trials.made) else None,
            generator_limit=self.trials.generator_limit,
            took_s=self.trials.took_s,
        )

    # Bracketing: a load that passes and one that fails.

    def _bracket(self) -> End | None:
        rate: float | None = self.settings.start_rate
        while rate is not None:
            ended = self._settle(rate)
            if ended:
                return ended
            is_bracketed = self.trials.highest_pass and self.trials.lowest_fail
            if self.trials.made[-1].verdict == "generator" or is_bracketed:
                break
            rate = further(rate, self.settings.min_rate, self.trials.ceiling, down=bool(self.trials.lowest_fail))
        return None

    def _settle(self, rate: float) -> End | None:
        """Tries one load, and again for longer while it is undecided and does not lean towards a pass."""
        duration_s = self.settings.first_s
        for _ in range(1 + _UNDECIDED_REPEATS):
            ended = self.trials.make(rate, duration_s)
            if ended or not (self.trials.is_to_be_repeated or self._is_open()):
                return ended
            duration_s = min(2 * duration_s, self.settings.final_s)
        return None

    def _is_open(self) -> bool:
        return self.trials.made[-1].verdict == "undecided" and self.trials.made[-1].side != "pass"

    # Narrowing: the next load is where the trials so far leave it most open.

    def _narrow(self) -> End:
        for place in itertools.cycle(_PLACES):
            found = self._posterior()
            low, high = found.interval(self.settings.confidence)
            self._on_interval(low, high)
            width = relative_width(low, high)
            ended = self._ended(width) or self.trials.make(*self._next(found, place, width))
            if ended:
                return ended
        raise AssertionError  # a cycle has no end

    def _next(self, found: Posterior, place: float, width: float) -> tuple[float, float]:
        """Returns the next load, and for how long."""
        if self.trials.is_to_be_repeated:
            return self.trials.made[-1].rate, self.trials.made[-1].duration_s
        risen, known = passed_beyond(self.trials.made), sustained(still_true(self.trials.made), self.settings.model)
        if risen:
            return min(_FAR * risen, self.trials.ceiling), self._look_s(risen)
        if width <= _CLOSE and self._is_long_ago():
            self.looked_s = self.trials.took_s
            load = _OVERLOAD * known.per_s if known else _HIGH * found.quantile(0.5)
            return min(self._on_grid(load), self.trials.ceiling), self._look_s(load)
        return self._next_rate(found, place), self._duration_s(width)

    def _look_s(self, per_s: float) -> float:
        """Returns how long a look takes that tells a rate within some percent."""
        return min(self.settings.final_s, max(self.settings.first_s, LEAST_LOOK_S, _LOOK_ANSWERS / per_s))

    def _is_long_ago(self) -> bool:
        """Says whether it is time to ask again what the target sustains: that may have changed."""
        last_s = max((trial.at_s for trial, _ in busy(self.trials.made)), default=0.0)
        return self.trials.took_s - max(self.looked_s, last_s) >= self.settings.budget_s / LOOKS

    def _ended(self, width: float) -> End | None:
        if self._only("pass", self.trials.ceiling):
            return "ceiling" if self.trials.generator_limit is None else "generator"
        if self._only("fail", self.settings.min_rate):
            return "floor"
        is_bracketed = self.trials.highest_pass and self.trials.lowest_fail
        return "narrow" if is_bracketed and width <= self.settings.width else None

    def _next_rate(self, found: Posterior, place: float) -> float:
        failed, passed = self.trials.lowest_fail, self.trials.highest_pass
        if not failed and passed >= 0.5 * self.trials.ceiling:
            return self.trials.ceiling
        if failed and not passed:
            return self.settings.min_rate
        rate = self._overloading(found) or self._goodput_hint(passed, failed) or found.quantile(place)
        most = min(self.trials.ceiling, 2 * max(trial.rate for trial in self.trials.made))
        return min(max(self._on_grid(rate), self.settings.min_rate), most)

    def _overloading(self, found: Posterior) -> float | None:
        """Returns a load that shows what the target sustains, as long as that is the best way to learn more."""
        known = sustained(still_true(self.trials.made), self.settings.model)
        if known is None:
            if not self.trials.lowest_fail or self.probing_overloads == _MOST_PROBING_OVERLOADS:
                return None
            self.probing_overloads += 1
            return _OVERLOAD * found.quantile(0.5)
        width = relative_width(*found.interval(self.settings.confidence))
        its_own = _STANDARD_DEVIATIONS_OF_WIDTH * known.spread
        spent_s = sum(trial.duration_s for trial, _ in busy(self.trials.made))
        is_worth_it = width <= _CLOSE and its_own >= _WORTH_OVERLOADING * width
        is_worth_it &= spent_s < _MOST_OVERLOADING * self.settings.budget_s
        return _OVERLOAD * known.per_s if is_worth_it and _OVERLOAD * known.per_s <= self.trials.ceiling else None

    def _goodput_hint(self, passed: float, failed: float) -> float | None:
        """What an overloaded target still gets done tells where its limit is, as long as the bracket is wide."""
        if not passed or failed < 1.4 * passed:
            return None
        goodput = max((t.goodput_per_s or 0.0 for t in self.trials.made if t.verdict == "fail"), default=0.0)
        return 0.95 * goodput if 1.05 * passed < 0.95 * goodput < failed / 1.05 else None

    def _on_grid(self, rate: float) -> float:
        """Rounds to loads a quarter of the final width apart, so that trials meet at one load."""
        step = math.log1p(max(self.settings.width, 0.02)) / _RATES_A_WIDTH
        return self.settings.start_rate * math.exp(step * round(math.log(rate / self.settings.start_rate) / step))

    def _duration_s(self, width: float) -> float:
        """Longer as the answer gets narrower; a last trial takes what is left rather than leave it unused."""
        first_s, final_s = self.settings.first_s, self._final_s()
        closeness = 1 - math.log(max(width, _CLOSE) / _CLOSE) / math.log(1 / _CLOSE)
        wanted = first_s * (final_s / first_s) ** max(0.0, min(1.0, closeness))
        left = self.trials.left_s
        return left if wanted < left < 1.5 * wanted else wanted

    def _final_s(self) -> float:
        """A final trial lasts for several of the target's pauses: one that meets few of them tells of luck."""
        wanted_s = _PAUSES_A_TRIAL * pause_every_s(self.trials.made)
        return max(self.settings.final_s, min(wanted_s, _LONGEST * self.settings.budget_s))

    def _posterior(self) -> Posterior:
        lowest, highest = self.settings.min_rate / SLACK, self.trials.ceiling * SLACK
        return posterior(still_true(self.trials.made), lowest, highest, self.settings.tail, self.settings.model)

    def _only(self, side: str, rate: float) -> bool:
        """Returns whether enough trials at a bound of the search went this way, and none the other way anywhere."""
        at_bound = [trial for trial in self.trials.made if math.isclose(trial.rate, rate) and trial.verdict == side]
        return len(at_bound) >= _AT_BOUND and all(trial.side in {side, None} for trial in self.trials.made)


def relative_width(low: float, high: float) -> float:
    """Returns how wide an interval is, relative to its middle."""
    return 2 * (high - low) / (high + low)
