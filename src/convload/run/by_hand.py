"""Lets a person change how a run goes on; what was done stands in its log."""

import time
from collections import deque
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from convload.judging.plan_gates import extension_rate
from convload.plan.facts import OPEN
from convload.plan.plan import Plan
from convload.plan.schedule import Stage, StageMark
from convload.results.progress import Progress
from convload.run.execution import Controls
from convload.run.steering import Judging

EXTENSION_S = 60.0

SHORTEST_S = 1.0
"""Of what is left of a stage, for it to be worth ending, and of a run for its load to be worth changing."""

MOST_PER_S, MOST_USERS = 1_000_000.0, 100_000
"""As in a plan."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person asks for; `value` is the rate or the number of users."""

    do: Literal["stop", "end_stage", "extend", "load"]
    value: Annotated[float, Meta(gt=0, le=MOST_PER_S)] = 1.0


class ByHand:
    """Does what it is asked for between the looks of what else steers the run.

    `then` is told when the end was moved; `clock` tells seconds since the epoch.
    """

    def __init__(
        self, plan: Plan, progress: Progress, then: Judging | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.held_open = False
        self._plan, self._progress, self._then, self._clock = plan, progress, then, clock
        self._wishes: deque[Wish] = deque()
        self._changes = 0

    # -- in any thread --

    def refusal(self, wish: Wish) -> str:
        """Says why something cannot be done now, nothing where it can."""
        ends_s, elapsed_s = self._progress.ends_s, self._elapsed_s()
        if wish.do == "stop":
            return ""
        if elapsed_s <= 0:
            return "the run has not begun"
        if self._progress.ended or (ends_s is not None and elapsed_s > ends_s - SHORTEST_S):
            return "the run is at its end"
        if ends_s is None or self._plan.target_b or self._plan.replay:
            return "only a run of a planned duration at one target can be changed while it goes on"
        return self._refusal_of_load(wish) if wish.do == "load" else self._refusal_of_stage(wish, elapsed_s)

    def _refusal_of_load(self, wish: Wish) -> str:
        if not self._plan.interactive:
            return "the load can be changed in an interactive run alone: --interactive"
        if self._plan.model != OPEN and (wish.value != int(wish.value) or wish.value > MOST_USERS):
            return f"users are a whole number up to {MOST_USERS:,}"
        return ""

    def _refusal_of_stage(self, wish: Wish, elapsed_s: float) -> str:
        now = self._progress.stage_at(elapsed_s)
        if wish.do == "end_stage" and (now is None or now.warmup):
            return "the warm-up is of its planned length" if now else "a closed load has no stages"
        return ""

    def ask(self, wish: Wish) -> None:
        """Lets something be done with the next look."""
        self._wishes.append(wish)

    # -- in the thread of the run --

    def look(self, controls: Controls) -> None:
        """Does what was asked for, and lets the other look."""
        while self._wishes:
            wish = self._wishes.popleft()
            if not self.refusal(wish):
                getattr(self, f"_{wish.do}")(controls, wish)
        if self._then is not None:
            self._then.look(controls)

    def _stop(self, controls: Controls, _: Wish) -> None:
        controls.stop("interrupted: stopped by hand before its planned end")

    def _extend(self, controls: Controls, _: Wish) -> None:
        rate = extension_rate(self._progress.marks) if self._plan.model == OPEN else 0.0
        controls.add([Stage(rate, rate, EXTENSION_S, self._name("a minute more"))])
        controls.note(f"extended by {EXTENSION_S:g} s by hand")
        self._move(EXTENSION_S)

    def _end_stage(self, controls: Controls, _: Wish) -> None:
        elapsed_s, marks = self._elapsed_s(), self._progress.marks
        now = next(mark for mark in reversed(marks) if mark.starts_s <= elapsed_s)
        rest = [_stage(mark) for mark in marks if mark.starts_s > elapsed_s]
        left_s = now.starts_s + now.duration_s - elapsed_s
        controls.replace(rest)
        controls.note(f"stage {now.name!r} was ended by hand, {left_s:.0f} s before its planned end")
        self._move(-left_s)

    def _load(self, controls: Controls, wish: Wish) -> None:
        left_s = (self._progress.ends_s or 0.0) - self._elapsed_s()
        if self._plan.model == OPEN:
            stage = Stage(wish.value, wish.value, left_s, self._name(f"{wish.value:g}/s"))
        else:
            users = int(wish.value)
            stage = Stage(0.0, 0.0, left_s, self._name(f"{users} users"), users=users)
        controls.replace([stage])
        text = f"the load was changed by hand: {stage.name}; an exploratory run is no evidence"
        controls.note(text, invalidates=True)

    def _name(self, what: str) -> str:
        self._changes += 1
        return f"by hand {self._changes}: {what}"

    def _move(self, by_s: float) -> None:
        if self._then is not None:
            self._then.move_end(by_s)

    def _elapsed_s(self) -> float:
        started = self._progress.started
        return 0.0 if started is None else self._clock() - started.at_unix_s


def _stage(mark: StageMark) -> Stage:
    return Stage(mark.from_rate, mark.to_rate, mark.duration_s, mark.name, mark.warmup, mark.target, mark.users)
