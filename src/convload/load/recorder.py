"""Takes the results of requests as they come, and turns them into cells of histograms once a second."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE, RETRY
from convload.plan.retry import RETRIED
from convload.plan.schedule import StageMark, Times
from convload.results.histogram import Histogram
from convload.results.runlog import Backoff, Cell, ErrorSample

Mask = npt.NDArray[np.bool_]

_Key = tuple[str, str, str, str]
"""Step, variant, outcome, and one of two targets or ""."""


MAX_SAMPLES_A_KIND = 20
"""Error samples that a worker keeps of each (step, outcome): enough to see the cause, never a flood."""

_TOKEN = re.compile(r"[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


class Request(msgspec.Struct, frozen=True, gc=False):
    """One finished request. All `*_s` are readings of `time.monotonic`; in the closed model due = sent.

    `index` is that of the payload, -1 where there is none. `detail` may quote the target.
    """

    step: str
    outcome: str
    due_s: float
    sent_s: float
    done_s: float
    variant: str = ""
    index: int = -1
    detail: str = ""
    answer_bytes: int = 0

    @property
    def counts_from_s(self) -> float:
        """When its time begins: a retry's own, whose due instant is that of its conversation."""
        return self.sent_s if self.step == RETRY else self.due_s


class Failure(msgspec.Struct, frozen=True, gc=False):
    """An attempt that failed under a retry policy, and what followed; see `runlog.Backoff`."""

    outcome: str
    fate: str
    retry_after: str
    due_s: float
    waited_s: float


class Records(Protocol):
    """Where the results of requests go."""

    def record(self, request: Request) -> None:
        """Takes one finished request."""

    def record_failure(self, failure: Failure) -> None:
        """Takes what followed a failed attempt."""


class Recorder:
    """Keeps each second's requests of one worker.

    A request belongs to the phase in which it was due: `warmup` before `measure_from_s`, `cleanup` from
    `measure_until_s` on, else `measure`. `creates_recorded` counts those of the steps `counted`.
    """

    def __init__(self, worker: int, counted: tuple[str, ...] = (CREATE,)) -> None:
        self._worker = worker
        self._counted = counted
        self._failures: dict[tuple[str, str, str], list[float]] = {}
        self._times: dict[_Key, list[float]] = {}
        self._samples: list[ErrorSample] = []
        self._sampled: Counter[tuple[str, str]] = Counter()
        self.started_s = time.monotonic()
        self.stages: list[StageMark] = []
        self.measure_from_s = 0.0
        self.measure_until_s = float("inf")
        self.creates_recorded = 0

    def of_target(self, target: str) -> "Records":
        """Returns where the results of one of two targets go."""
        return _OfTarget(self, target)

    def record(self, request: Request, target: str = "") -> None:
        """Takes one finished request; costs a fraction of a microsecond."""
        key = (request.step, request.variant, request.outcome, target)
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = []
        times += (request.due_s, request.sent_s, request.done_s)
        if request.outcome != OK:
            self._sample(request)

    def record_failure(self, failure: Failure) -> None:
        """Takes what followed a failed attempt."""
        key = (failure.outcome, failure.fate, failure.retry_after)
        self._failures.setdefault(key, []).extend((failure.due_s, failure.waited_s))

    def _sample(self, request: Request) -> None:
        kind = (request.step, request.outcome)
        self._sampled[kind] += 1
        if self._sampled[kind] <= MAX_SAMPLES_A_KIND:
            t_s = round(request.done_s - self.started_s, 6)
            sample = ErrorSample(
                t_s,
                request.step,
                request.variant,
                request.outcome,
                redact(request.detail),
                request.index,
                self._worker,
            )
            self._samples.append(sample)

    def take(self, breathe: Callable[[], object] = lambda: None) -> tuple[list[Cell], list[ErrorSample]]:
        """Returns what has come since the last call, and begins anew.

        The work takes milliseconds, in which no request would be sent in time. So `breathe` is called between two
        cells, a fraction of a millisecond apart; what is recorded meanwhile belongs to the next call.
        """
        times, self._times = self._times, {}
        samples, self._samples = self._samples, []
        cells = []
        for key, rows in times.items():
            cells += self._cells(key, rows)
            breathe()
        self.creates_recorded += sum(cell.count for cell in cells if cell.step in self._counted)
        return cells, samples

    def _cells(self, key: _Key, rows: list[float]) -> list[Cell]:
        due, sent, done = np.array(rows).reshape(-1, 3).T
        service_us = _us(done - sent)
        timed = key[0] != RETRY and bool((due < sent).any())
        response_us, lateness_us = (_us(done - due), _us(sent - due)) if timed else (None, None)
        step, variant, outcome, target = key
        return [
            Cell(
                step,
                variant,
                phase,
                outcome,
                int(within.sum()),
                Histogram.of(service_us[within]).encode(),
                "" if response_us is None else Histogram.of(response_us[within]).encode(),
                "" if lateness_us is None else Histogram.of(lateness_us[within]).encode(),
                stage,
            )
            for phase, mask in self._by_phase(due)
            for stage, within in self._by_stage(target, due, mask)
            if within.any()
        ]

    def take_backoffs(self) -> list[Backoff]:
        """Returns what followed the attempts that failed since the last call, and begins anew."""
        failures, self._failures = self._failures, {}
        backoffs = []
        for (outcome, fate, retry_after), rows in failures.items():
            due, waited = np.array(rows).reshape(-1, 2).T
            for phase, within in self._by_phase(due):
                if count := int(within.sum()):
                    waits = Histogram.of(_us(waited[within])).encode() if fate == RETRIED else ""
                    backoffs.append(Backoff(phase, outcome, fate, retry_after, count, waits))
        return backoffs

    def _by_phase(self, due: Times) -> Iterator[tuple[str, Mask]]:
        yield "warmup", due < self.measure_from_s
        yield "measure", (due >= self.measure_from_s) & (due < self.measure_until_s)
        yield "cleanup", (due >= self.measure_until_s) & (due >= self.measure_from_s)

    def _by_stage(self, target: str, due: Times, mask: Mask) -> Iterator[tuple[str, Mask]]:
        """Divides requests by the stage they were due in; a closed load has none, but for windows.

        A request of a closed load takes its target a moment before it is sent, and a window may end meanwhile. So only
        the stages of its own target are looked at.
        """
        stages = [mark for mark in self.stages if mark.target == target]
        if not stages:
            yield "", mask
            return
        starts_s = np.array([mark.starts_s for mark in stages]) + self.started_s
        stage = np.maximum(np.searchsorted(starts_s, due, side="right") - 1, 0)
        for position in np.unique(stage[mask]):
            yield stages[position].name, mask & (stage == position)


class _OfTarget:
    """Marks results with their target."""

    def __init__(self, recorder: Recorder, target: str) -> None:
        self._record = recorder.record
        self.record_failure = recorder.record_failure
        self._target = target

    def record(self, request: Request) -> None:
        """Takes one finished request."""
        self._record(request, self._target)


def _us(seconds: Times) -> npt.NDArray[np.int64]:
    return np.rint(seconds * 1e6).astype(np.int64)


def redact(text: str) -> str:
    """Replaces what has the form of a token, should a target echo one."""
    return _TOKEN.sub("[token]", text)
