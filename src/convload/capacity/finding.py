"""Finds the capacity of a target: one run that is held open, with the search beside it; or runs of rising users."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from convload.capacity.closed import ClosedMeasurer
from convload.capacity.concurrency import search_concurrency
from convload.capacity.live import LiveMeasurer, probe_rate
from convload.capacity.objective import decay_per_s
from convload.capacity.overload import FACTORS, OverloadTrial, falls_short, judge_overload
from convload.capacity.posterior import Tail
from convload.capacity.result import conclude, conclude_saturation, interrupted
from convload.capacity.search import Search, search
from convload.capacity.steered import SteeredLoads
from convload.capacity.trials import EndedError, SearchSettings
from convload.errors import ConvloadError
from convload.plan.gate import Gate
from convload.plan.plan import Plan
from convload.results import runlog
from convload.results.capacity_result import CapacityResult, Trial
from convload.results.run import Run
from convload.results.runlog import FILE_NAME
from convload.run.children import Interrupted
from convload.run.execution import execute
from convload.run.files import new_folder, remove_unless_started

FIRST_S = 1.0
"""The run begins with so much of next to no load; what is measured comes behind it."""

BEYOND_S = 5.0
RECOVERY_S = 20.0
NORMAL_SHARE = 0.5
"""Of the capacity: a load under which a target is at ease."""

OVERLOAD_S = 80.0
"""What the loads beyond capacity take, with the pauses between them, the start of the run and its reports."""

ENOUGH_FOR_OVERLOAD = 2.0
"""Times that: with a smaller budget all of it goes into the search."""


class SearchPlan(msgspec.Struct, frozen=True):
    """What is wanted of a target: the objective, how to search, and whether to look beyond the capacity.

    `warm_s` is how long the first load is held before the search begins; the budget does not count it.
    """

    gates: list[Gate]
    settings: SearchSettings
    overload: bool
    warm_s: float = 0.0

    @property
    def objective(self) -> list[str]:
        """The gates as they were written."""
        return [gate.text for gate in self.gates]


def find(
    plan: Plan,
    out: Path | None,
    wanted: SearchPlan,
    on_trial: Callable[[Trial], None],
    on_progress: Callable[[Path], None],
    on_interval: Callable[[float, float], None],
) -> tuple[Path, CapacityResult]:
    """Searches to the end and returns the run folder and what was found; an interrupted search tells what it found.

    Raises:
        ConvloadError: the set-up failed, or the target answers nothing well.
    """
    loads = SteeredLoads()
    finding = SearchThread(plan, wanted, loads, on_trial, on_interval)
    probe = probe_rate(wanted.settings.start_rate)
    # How far trials scatter is weighed by the search, over all of them: none is long enough to know it by itself.
    held = msgspec.structs.replace(
        plan, rate=probe, duration_s=FIRST_S, warmup_s=0.0, gates=wanted.objective, independent=True
    )
    thread = threading.Thread(target=finding.work, name="search", daemon=True)
    thread.start()
    try:
        folder = execute(held, out, on_progress, steering=loads)
    finally:
        loads.end()
        thread.join()
    found = finding.result()
    return folder, interrupted(found) if Run(runlog.read(folder)).interrupted else found


def find_closed(
    plan: Plan, out: Path | None, wanted: SearchPlan, on_trial: Callable[[Trial], None]
) -> tuple[Path, CapacityResult]:
    """Searches the number of users at which throughput stops growing; each trial is a run in the folder.

    Raises:
        ConvloadError: the set-up failed; nothing is left behind.
        EndedError: interrupted within the first trial.
    """
    folder = new_folder(plan, out)
    stopping = Interrupted()  # counts Ctrl-C within the runs and between two of them
    measurer = ClosedMeasurer(plan, folder, wanted.gates, stopping)
    try:
        with stopping.listening():
            if wanted.warm_s:
                measurer.warm(wanted.settings.start_rate, wanted.warm_s)
            saturation = search_concurrency(measurer, wanted.settings, time.monotonic, on_trial)
    except ConvloadError:
        remove_unless_started(folder)
        (folder / FILE_NAME).unlink(missing_ok=True)
        raise
    (folder / FILE_NAME).unlink()  # each trial has a log of its own
    if not saturation.trials:
        raise EndedError
    found = warmed(conclude_saturation(saturation, wanted.objective, wanted.settings, measurer.took_s), wanted)
    return folder, interrupted(found) if stopping.count else found


def warmed(found: CapacityResult, wanted: SearchPlan) -> CapacityResult:
    """Adds what was done before the search."""
    if not wanted.warm_s:
        return found
    note = f"The target was kept warm at the load of the first trial for {wanted.warm_s:g} s before the search."
    return msgspec.structs.replace(found, warmed_s=wanted.warm_s, notes=[*found.notes, note])


class SearchThread:
    """The thread of the search."""

    def __init__(
        self,
        plan: Plan,
        wanted: SearchPlan,
        loads: SteeredLoads,
        on_trial: Callable[[Trial], None],
        on_interval: Callable[[float, float], None],
    ) -> None:
        self._plan, self._wanted, self._loads = plan, wanted, loads
        self._tell = on_trial, on_interval
        self._measurer = LiveMeasurer(loads, plan, wanted.gates, probe_rate(wanted.settings.start_rate))
        self._found: CapacityResult | None = None
        self._error: BaseException | None = None

    def work(self) -> None:
        """Searches, looks beyond what was found, and lets the run end."""
        try:
            self._measurer.look_at_rest()
            if self._wanted.warm_s:
                self._measurer.warm(self._wanted.settings.start_rate, self._wanted.warm_s)
                self._measurer.look_at_rest()
            made = search(self._measurer, self._settings(), time.monotonic, *self._tell)
            self._found = conclude(made, self._wanted.objective)
            self._found = self._look_beyond(made, self._found)
        except EndedError:
            pass  # what was found until then is kept
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the main thread is to raise it
            self._error = error
        finally:
            self._loads.finish()

    def result(self) -> CapacityResult:
        """Returns what was found.

        Raises:
            ConvloadError: the target answers nothing well.
            EndedError: the run ended before anything was found.
        """
        if self._error is not None:
            raise self._error
        if self._found is None:
            raise EndedError
        return warmed(self._found, self._wanted)

    def _settings(self) -> SearchSettings:
        tail = Tail(decay_per_s(self._wanted.gates), float(self._plan.arrivals == "poisson"))
        settings = msgspec.structs.replace(self._wanted.settings, tail=tail)
        if not self._goes_beyond():
            return settings
        return msgspec.structs.replace(settings, budget_s=settings.budget_s - OVERLOAD_S)

    def _goes_beyond(self) -> bool:
        return self._wanted.overload and self._wanted.settings.budget_s >= ENOUGH_FOR_OVERLOAD * OVERLOAD_S

    def _look_beyond(self, made: Search, found: CapacityResult) -> CapacityResult:
        """Offers the capacity and more of it, lets the load fall, and watches the target recover."""
        bounds = found.capacity_per_s
        if not self._goes_beyond() or not (bounds.low and bounds.high) or made.end == "broken":
            return found
        capacity = (bounds.low + bounds.high) / 2
        ease = NORMAL_SHARE * capacity
        seen, trials = list[OverloadTrial](), list[Trial]()
        normal, _ = self._measurer.beyond(ease, NORMAL_SHARE, BEYOND_S)
        for factor in FACTORS:
            one, trial = self._measurer.beyond(factor * capacity, factor, BEYOND_S)
            seen.append(one)
            trials.append(trial)
            if not self._measurer.cool_down(self._wanted.settings.cool_down_s):
                break
        after_ms = self._measurer.after(FACTORS[-1] * capacity, BEYOND_S, ease, RECOVERY_S)
        overload = judge_overload(seen, after_ms, normal.accepted_p50_ms or self._measurer.rest_ms)
        again = conclude(made, self._wanted.objective, trials, falls_short(seen))
        return msgspec.structs.replace(again, overload=overload)
