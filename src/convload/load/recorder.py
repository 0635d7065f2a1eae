"""Takes the results of requests as they come, and turns them into cells of histograms once a second.

Three borders are crossed here, each by a swap of one reference:

    user ── record ──▶ rows ── take ──▶ cells ── Reporter ──▶ interval ──▶ coordinator
           µs: packed   │  seconds: NumPy, with breaths between cells
                        └ by (step, variant, outcome, target): the rows of these requests, as bytes

**Who may change what.** All of it runs in one thread; a greenlet gives way only where it waits. `record` waits for
nothing, so it is atomic: its row is in one place or in none. `take` puts an empty dictionary in the place of
the full one before anything else, and from then on nobody but itself has the full one; it may give way between cells as
often as it likes, and what is recorded meanwhile is in the new dictionary, for the next call.

**Why nothing is lost or counted twice.** Each result is added to the one dictionary there is, each dictionary is taken
once, and a cell's phase and stage are chosen by masks that part its rows: `warmup`, `measure` and `cleanup` are
disjoint and cover the line, also where a run was stopped in its warm-up (`measure_until_s` before `measure_from_s`);
stages begin one behind the other, and what is due before the first or behind the last belongs to it. So the counts of
the cells add up to the calls of `record`: `creates_recorded`, which every report shows beside built, sent and received.

**Why the instants and not the times are kept.** Phase and stage go by `due`, and the end of the measured part may be
moved while the request is in flight; only when a second is over is it decided.

**Why packed bytes.** A list of numbers and results costs three times as much to fill, to read and to give back, and the
processor's caches hold less of everything else meanwhile. Memory is what one second brings, 41 bytes a request; the
error samples are bounded for the whole run.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from convload.contract.outcomes import OK
from convload.contract.steps import CREATE, RETRY
from convload.load.client.reading import telling_headers
from convload.load.client.redaction import known
from convload.load.client.tracing import Tracing
from convload.load.sampling import Mask, Result, Rows, Sampler, pack_row, rows_of
from convload.plan.retry import RETRIED
from convload.plan.schedule import StageMark, Times
from convload.results.histogram import Histogram
from convload.results.runlog import Backoff, Cell, ErrorSample, RequestSample

__all__ = ["MAX_SAMPLES_A_KIND", "FailedAttempt", "Recorder", "Records", "Result"]

_Key = tuple[str, str, str, str]
"""Step, variant, outcome, and one of two targets or ""."""

MAX_SAMPLES_A_KIND = 20
"""Error samples that a worker keeps of each (step, outcome): enough to see the cause, never a flood."""

LONGEST_HEADER = 200
"""Letters of a header that a sample keeps."""


class FailedAttempt(msgspec.Struct, frozen=True, gc=False):
    """An attempt that failed under a retry policy, and what followed; see `runlog.Backoff`."""

    outcome: str
    fate: str
    retry_after: str
    due_s: float
    waited_s: float


class Records(Protocol):
    """Where the results of requests go."""

    def record(self, result: Result) -> None:
        """Takes one finished request."""

    def record_failed_attempt(self, attempt: FailedAttempt) -> None:
        """Takes what followed a failed attempt."""


class Recorder:
    """Keeps each second's requests of one worker.

    A request belongs to the phase in which it was due: `warmup` before `measure_from_s`, `cleanup` from
    `measure_until_s` on, else `measure`. `creates_recorded` counts those of the steps `counted`.
    """

    def __init__(
        self, worker: int, counted: tuple[str, ...] = (CREATE,), seed: int = 0, tracing: Tracing | None = None
    ) -> None:
        self._worker = worker
        self._tracing = tracing or Tracing()
        self._sampler = Sampler(worker, seed, self._tracing)
        self._counted = counted
        self._failures: dict[tuple[str, str, str], list[float]] = {}
        self._rows: dict[_Key, bytearray] = {}
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

    def record(self, result: Result, target: str = "") -> None:
        """Takes one finished request; costs a fraction of a microsecond."""
        key = (result.step, result.variant, result.outcome, target)
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = bytearray()
        rows += pack_row(
            result.due_s, result.sent_s, result.done_s, result.first_s, result.index, result.new_connection
        )
        if result.outcome != OK:
            self._sample(result)

    def record_failed_attempt(self, attempt: FailedAttempt) -> None:
        """Takes what followed a failed attempt."""
        key = (attempt.outcome, attempt.fate, attempt.retry_after)
        self._failures.setdefault(key, []).extend((attempt.due_s, attempt.waited_s))

    def _sample(self, result: Result) -> None:
        kind = (result.step, result.outcome)
        if self._sampled[kind] < MAX_SAMPLES_A_KIND:
            self._sampled[kind] += 1
            t_s = round(result.done_s - self.started_s, 6)
            what = (result.step, result.variant, result.outcome, known.redact(result.detail), result.index)
            headers = {name: known.redact(value)[:LONGEST_HEADER] for name, value in telling_headers(result.head)}
            trace_id = self._tracing.trace_id(result.index)
            self._samples.append(ErrorSample(t_s, *what, self._worker, trace_id, headers))

    def take_samples(self) -> list[RequestSample]:
        """Returns the requests that were worth keeping whole among those that `take` has returned."""
        return self._sampler.take()

    def take(self, breathe: Callable[[], object] = lambda: None) -> tuple[list[Cell], list[ErrorSample]]:
        """Returns what has come since the last call, and begins anew.

        The work takes milliseconds, in which no request would be sent in time. So `breathe` is called between two
        cells, a fraction of a millisecond apart; what is recorded meanwhile belongs to the next call.
        """
        taken, self._rows = self._rows, {}
        samples, self._samples = self._samples, []
        cells = []
        for key, packed in taken.items():
            cells += self._cells(key, rows_of(packed))
            breathe()
        self.creates_recorded += sum(cell.count for cell in cells if cell.step in self._counted)
        return cells, samples

    def _cells(self, key: _Key, rows: Rows) -> list[Cell]:
        due, sent, done = (np.ascontiguousarray(rows[name]) for name in ("due_s", "sent_s", "done_s"))
        step, variant, outcome, target = key
        if outcome == OK:
            response_s = done - (sent if step == RETRY else due)
            self._sampler.look(step, variant, rows, response_s, lambda: self._measured(due), self.started_s)
        times = {"service": done - sent}
        # In the closed model all three are the same, and a retry's due instant is that of its conversation.
        if step != RETRY and bool((due < sent).any()):
            times |= {"response": done - due, "lateness": sent - due}
        times_us = {name: _us(seconds) for name, seconds in times.items()}
        return [
            Cell(
                step,
                variant,
                phase,
                outcome,
                int(within.sum()),
                **{name: Histogram.of(each_us[within]) for name, each_us in times_us.items()},
                stage=stage,
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
        yield "measure", self._measured(due)
        yield "cleanup", (due >= self.measure_until_s) & (due >= self.measure_from_s)

    def _measured(self, due: Times) -> Mask:
        return (due >= self.measure_from_s) & (due < self.measure_until_s)

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
        self.record_failed_attempt = recorder.record_failed_attempt
        self._target = target

    def record(self, result: Result) -> None:
        """Takes one finished request."""
        self._record(result, self._target)


def _us(seconds: Times) -> npt.NDArray[np.int64]:
    return np.rint(seconds * 1e6).astype(np.int64)
