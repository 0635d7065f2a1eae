"""Measures a live target at a number of users: each trial of the closed search is a run of its own."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from convload.capacity.objective import in_flight_of_others, measured, why_none_succeeds
from convload.capacity.trials import SETTLING_SHARE, EndedError
from convload.contract.steps import CONSUMER_TOKEN, CREATE
from convload.errors import ConvloadError
from convload.judging.gates import judge
from convload.judging.generator import is_generator_limit, limits_of_trial
from convload.plan.gate import Gate
from convload.plan.plan import Plan
from convload.results import runlog
from convload.results.capacity_result import Outcome, Trial
from convload.results.run import Run
from convload.run.children import Interrupted
from convload.run.execution import execute


class ClosedMeasurer:
    """Makes trials with so many users; each run lies in a folder of its own below `folder`."""

    def __init__(self, plan: Plan, folder: Path, gates: Sequence[Gate], stopping: Interrupted) -> None:
        self._plan, self._folder, self._gates, self._stopping = plan, folder, gates, stopping
        self._began_s = time.monotonic()
        self._made = 0

    @property
    def took_s(self) -> float:
        """The time since the search began."""
        return time.monotonic() - self._began_s

    def warm(self, users: float, duration_s: float) -> None:
        """Runs so many users, whose figures nobody looks at."""
        plan = msgspec.structs.replace(
            self._plan, users=round(users), warmup_s=0.0, duration_s=duration_s, conversations=None, gates=[]
        )
        self._run(plan, "00-warming")

    def trial(self, rate: float, duration_s: float) -> Trial:
        """Runs `rate` users; the first fifth is left out of the figures."""
        if self._stopping.count:
            raise EndedError
        self._made += 1
        users = round(rate)
        settling_s = SETTLING_SHARE * duration_s
        plan = msgspec.structs.replace(
            self._plan,
            users=users,
            warmup_s=settling_s,
            duration_s=duration_s - settling_s,
            conversations=None,
            gates=[gate.text for gate in self._gates],
            independent=True,  # how far trials scatter is weighed by the search, over all of them
        )
        began_s = self.took_s
        folder = self._run(plan, f"{self._made:02d}-{users}-users")
        return self._judged(runlog.read(folder), users, duration_s, began_s)

    def _run(self, plan: Plan, name: str) -> Path:
        try:
            return execute(plan, self._folder / name, lambda _: None, interrupted=self._stopping)
        except ConvloadError:
            if self._made <= 1:
                raise
            raise EndedError from None  # the target was there before: what was found until then is kept

    def cool_down(self, at_most_s: float) -> bool:  # noqa: ARG002 -- the seam's; users that have gone leave no backlog
        """Returns that the target is at rest: between two runs nobody asks anything."""
        return True

    def _judged(self, log: runlog.RunLog, users: int, duration_s: float, at_s: float) -> Trial:
        found = Run(log)
        if found.interrupted:
            raise EndedError
        results = judge(found, self._gates)
        figures = found.totals.figures(CREATE)
        if self._made == 1 and not figures.ok:
            token = found.totals.figures(CONSUMER_TOKEN)
            load = f"with {users:,} user{'s' * (users != 1)}"
            raise why_none_succeeds(load, figures, token, self._plan.consumers)
        limits = limits_of_trial(found.plan.validity)
        is_limit = is_generator_limit(found.measured_health, figures.all_lateness, limits, found.plan.most_users)
        trial = measured(Trial(rate=users, duration_s=duration_s, outcome="pass", at_s=at_s), found, results)
        outcome: Outcome = "generator" if is_limit else "fail" if trial.broke else "pass"
        length_s = found.window.length_s or 1.0
        return msgspec.structs.replace(
            trial,
            outcome=outcome,
            achieved_per_s=found.summary.achieved_rate,
            goodput_per_s=figures.ok / length_s,
            in_flight_mean=max(0.0, users - in_flight_of_others(found.totals, length_s)),
        )
