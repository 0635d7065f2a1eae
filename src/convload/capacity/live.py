"""Measures a live target for a search: holds a load, judges it, and waits until the target is at rest again."""

from collections.abc import Sequence

import msgspec

from convload.capacity import objective
from convload.capacity.objective import percentile_ms
from convload.capacity.overload import OverloadTrial
from convload.capacity.steered import StageLog, SteeredLoads
from convload.capacity.trials import SETTLING_SHARE
from convload.contract.outcomes import OK
from convload.contract.steps import CONSUMER_TOKEN, CREATE
from convload.judging.gate_result import FAIL, PASS, GateResult
from convload.judging.gates import judge
from convload.judging.generator import is_generator_limit, limits_of_trial
from convload.plan.gate import Gate
from convload.plan.plan import Plan
from convload.plan.schedule import Stage, StageMark
from convload.results.capacity_result import Outcome, Trial
from convload.results.health import Health
from convload.results.measured import Figures
from convload.results.run import Run
from convload.results.runlog import Interval, RunLog
from convload.results.window import EDGE_S, Window, is_whole, length_s, middle_s

CONFIDENCE = 0.95
"""Of the judgement of one trial. The search weighs all of them together, so no single one need be surer."""

PROBE_S = 1.0
PROBE_SHARE = 0.1
LEAST_PROBE_PER_S, MOST_PROBE_PER_S = 5.0, 50.0
FIRST_PROBE_S = 3.0
REST_FACTOR, REST_SLACK_MS = 3.0, 5.0
"""A target is at rest again when a probe's median is at most this far above the one before the search: a probe has a
handful of samples, and a backlog worth waiting for makes it many times longer."""

NAME_OF_STATUS = {"rate_limited": "429", "http_503": "503"}


class LiveMeasurer:
    """Makes trials at a live target.

    `loads` holds them in the run of `plan`; `probe_per_s` is the rate that tells whether the target is at rest.
    """

    def __init__(self, loads: SteeredLoads, plan: Plan, gates: Sequence[Gate], probe_per_s: float) -> None:
        self._loads, self._plan, self._gates, self._probe_per_s = loads, plan, gates, probe_per_s
        self._held = 0
        self.rest_ms = 0.0

    def look_at_rest(self) -> None:
        """Learns how the target answers when there is next to no load.

        Raises:
            TargetError: it answers nothing well.
        """
        median_ms, done = self._probe(FIRST_PROBE_S)
        if median_ms is None:
            load = f"at {self._probe_per_s:g}/s, next to no load"
            token = figures_of(done, CONSUMER_TOKEN)
            raise objective.why_none_succeeds(load, figures_of(done), token, self._plan.consumers)
        self.rest_ms = median_ms

    def warm(self, rate: float, duration_s: float) -> None:
        """Holds a rate whose figures nobody looks at, and waits for what it leaves behind."""
        self._loads.hold([Stage(rate, rate, duration_s, self._name("warming the target"), warmup=True)])

    def trial(self, rate: float, duration_s: float) -> Trial:
        """Holds a rate; its first fifth is left out of the figures."""
        name = self._name("trial")
        settling_s = SETTLING_SHARE * duration_s
        settling = Stage(rate, rate, settling_s, f"{name} settling", warmup=True)
        done = self._loads.hold([settling, Stage(rate, rate, duration_s - settling_s, name)])
        return judged(done, self._plan, self._gates, rate, duration_s)

    def cool_down(self, at_most_s: float) -> bool:
        """Probes with next to no load until the target answers as it did before the search."""
        waited_s = 0.0
        while True:
            median_ms, done = self._probe(PROBE_S)
            waited_s += PROBE_S
            is_normal = median_ms is not None and median_ms <= REST_FACTOR * self.rest_ms + REST_SLACK_MS
            if is_normal and not left_over(done):
                return True
            if waited_s >= at_most_s:
                return False

    def beyond(self, rate: float, factor: float, duration_s: float) -> tuple[OverloadTrial, Trial]:
        """Holds a rate at or beyond the capacity; returns what became of it, and the same as a trial.

        Nothing counts until the target had time to fill: what it has in flight is no backlog.
        """
        name = self._name("beyond capacity")
        settling = Stage(rate, rate, SETTLING_SHARE * duration_s, f"{name} settling", warmup=True)
        done = self._loads.hold([settling, Stage(rate, rate, duration_s, name)])
        figures = figures_of(done)
        seen = OverloadTrial(
            factor=factor,
            offered_per_s=rate,
            count=figures.count,
            ok=figures.ok,
            in_time=round(goodput(parts_of(done.log, done.mark)) * duration_s),
            duration_s=duration_s,
            statuses={NAME_OF_STATUS.get(kind, kind): count for kind, count in figures.errors.items()},
            accepted_p50_ms=percentile_ms(figures, 50),
            accepted_p99_ms=percentile_ms(figures, 99),
        )
        return seen, judged(done, self._plan, self._gates, rate, duration_s)

    def after(self, high: float, high_s: float, low: float, low_s: float) -> list[float | None]:
        """Overloads the target, then lets the rate fall; returns the median response of each second from then on."""
        name = self._name("recovering")
        stages = [Stage(high, high, high_s, f"{name} from", warmup=True), Stage(low, low, low_s, name)]
        done = self._loads.hold(stages)
        return medians_by_second(done.log, done.mark)

    def _probe(self, duration_s: float) -> tuple[float | None, StageLog]:
        name = self._name("at rest")
        done = self._loads.hold([Stage(self._probe_per_s, self._probe_per_s, duration_s, name, warmup=True)])
        return percentile_ms(figures_of(done), 50), done

    def _name(self, what: str) -> str:
        self._held += 1
        return f"{self._held} {what}"


def probe_rate(start_rate: float) -> float:
    """Returns a rate that is next to no load: a tenth of where the search begins, within reason."""
    return min(MOST_PROBE_PER_S, max(LEAST_PROBE_PER_S, PROBE_SHARE * start_rate))


def judged(done: StageLog, plan: Plan, gates: Sequence[Gate], rate: float, duration_s: float) -> Trial:
    """Judges one load by its stage of the run log."""
    found = Run(done.log, done.mark.name)
    results = judge(found, gates, confidence=CONFIDENCE)
    figures, parts = found.totals.figures(CREATE), parts_of(done.log, done.mark)
    limits, health = limits_of_trial(plan.validity), Health.of(parts)
    is_limit = is_generator_limit(health, figures.all_lateness, limits, plan.max_in_flight)
    pending, others = pending_of(parts), objective.in_flight_of_others(found.totals, done.mark.duration_s)
    grown = objective.growth(pending, figures.count)
    arrived_per_s = found.totals.flows[""].offered_rate
    trial = Trial(rate=rate, duration_s=duration_s, outcome="pass", at_s=done.mark.starts_s)
    trial = objective.measured(trial, found, results)
    allowed, response_s = objective.allowed_share(gates), (trial.response_p50_ms or 0.0) / 1000
    return msgspec.structs.replace(
        trial,
        outcome="generator" if is_limit else _outcome(results),
        strain=max([grown.strain, *objective.strains(results, gates)]),
        growing=grown.growing,
        arrived_per_s=arrived_per_s,
        achieved_per_s=found.totals.flows[""].achieved_rate,
        goodput_per_s=goodput(parts),
        in_flight_mean=max(0.0, sum(pending) / len(pending) - others) if pending else None,
        overloaded=objective.overloaded(
            ok_by_second(parts), arrived_per_s or rate, allowed, trial.error_share or 0.0, response_s
        ),
    )


def _outcome(results: Sequence[GateResult]) -> Outcome:
    outcomes = {result.outcome for result in results}
    if FAIL in outcomes:
        return "fail"
    return "pass" if outcomes == {PASS} else "undecided"


def figures_of(done: StageLog, step: str = CREATE) -> Figures:
    """Returns the figures of the requests of a step that were due in one stage."""
    return Run(done.log, done.mark.name).totals.figures(step)


def parts_of(log: RunLog, mark: StageMark) -> list[Interval]:
    """Returns the intervals that lie in a stage."""
    within = Window(mark.starts_s + EDGE_S, mark.starts_s + mark.duration_s - EDGE_S)
    return [part for parts in Run(log).workers.values() for part in parts if within.overlaps(part)]


def pending_of(parts: Sequence[Interval]) -> list[int]:
    """Returns what was in flight or waited, about every tenth of a second, all workers together."""
    series = ([count for part in of_one for count in part.pending] for of_one in _by_worker(parts))
    return [sum(counts) for counts in zip(*series, strict=False)]


def ok_by_second(parts: Sequence[Interval]) -> list[float]:
    """Returns the create requests that succeeded in each whole second of a stage, all workers together."""
    whole = _by_worker(list(filter(is_whole, parts)))
    return [sum(_goodput([part]) for part in at_once) for at_once in zip(*whole, strict=False)]


def goodput(parts: Sequence[Interval]) -> float:
    """Returns the create requests that succeeded while a stage lasted, per second: what is answered later is none."""
    return sum(map(_goodput, _by_worker(parts)))


def _by_worker(parts: Sequence[Interval]) -> list[list[Interval]]:
    return [[part for part in parts if part.worker == worker] for worker in {part.worker for part in parts}]


def _goodput(parts: Sequence[Interval]) -> float:
    cells = (cell for part in parts for cell in part.cells)
    ok = sum(cell.count for cell in cells if cell.step == CREATE and cell.outcome == OK)
    all_s = sum(map(length_s, parts))
    return ok / all_s if all_s else 0.0


def left_over(done: StageLog) -> int:
    """Returns how many requests have no answer yet, or are not even sent."""
    return sum(parts[-1].in_flight + parts[-1].backlog for parts in Run(done.log).workers.values())


def medians_by_second(log: RunLog, mark: StageMark) -> list[float | None]:
    """Returns the median response of each second of a stage, by when requests were answered, in ms."""
    whole = int(mark.duration_s)
    found: list[list[Interval]] = [[] for _ in range(whole)]
    for part in (part for parts in Run(log).workers.values() for part in parts):
        second = int(middle_s(part) - mark.starts_s) if part.from_s >= mark.starts_s - EDGE_S else -1
        if 0 <= second < whole:
            found[second].append(part)
    return [_median(log, parts) for parts in found]


def _median(log: RunLog, parts: Sequence[Interval]) -> float | None:
    within = msgspec.structs.replace(log, records=list(parts))
    return percentile_ms(Run(within).totals.figures(CREATE), 50)
