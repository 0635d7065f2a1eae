"""Keeps a few requests of each step whole: the slowest, and some by chance, so that an outlier can be looked at.

Both are the highest of something: of the response time, and of a number that each request draws. So several workers
each keep their own ten, send what is new among them with each interval, and the ten highest of all that was sent are
those of the run: the very slowest, and a sample in which each request is as likely as any other.
"""

import struct
from collections.abc import Callable
from heapq import heappush, heapreplace
from itertools import count

import msgspec
import numpy as np
import numpy.typing as npt

from convload.contract.steps import RETRY
from convload.load.client.tracing import Tracing
from convload.plan.schedule import Times
from convload.results.runlog import ORDINARY, SAMPLES_A_STEP, SLOW, RequestSample


class Result(msgspec.Struct, frozen=True, gc=False):
    """One finished request. All `*_s` are readings of `time.monotonic`; in the closed model due = sent.

    `index` is that of the payload, -1 where there is none. `detail` may quote the target; `head` is that of an answer
    that failed. `first_s` is when the first byte of the answer came, and `new_connection` says that it was the first
    request on its connection.
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
    first_s: float = 0.0
    new_connection: bool = False
    head: bytes = b""

    @property
    def counts_from_s(self) -> float:
        """When its time begins: a retry's own, whose due instant is that of its conversation."""
        return self.sent_s if self.step == RETRY else self.due_s


Rows = npt.NDArray[np.void]
"""What is kept of each result beside its step, variant and outcome."""

pack_row = struct.Struct("=4dq?").pack
_ROW = np.dtype(
    [("due_s", "f8"), ("sent_s", "f8"), ("done_s", "f8"), ("first_s", "f8"), ("index", "i8"), ("new_connection", "?")]
)


def rows_of(packed: bytearray) -> Rows:
    """Returns the rows that `pack_row` has made."""
    return np.frombuffer(packed, _ROW)


Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_NOWHERE = np.empty(0, np.int64), np.empty(0)


class Sampler:
    """Looks at each second's requests of one worker that succeeded.

    Args:
        worker: its number, which decides what is drawn.
        seed: that of the run.
        tracing: knows the ids of traces.
    """

    def __init__(self, worker: int, seed: int = 0, tracing: Tracing | None = None) -> None:
        self._worker, self._tracing = worker, tracing or Tracing()
        self._random = np.random.default_rng([seed, worker])
        self._highest: dict[tuple[str, str], list[tuple[float, int]]] = {}
        self._fresh: dict[int, RequestSample] = {}
        self._numbers = count()

    def look(
        self,
        step: str,
        variant: str,
        rows: Rows,
        response_s: Times,
        measured: Callable[[], Mask],
        started_s: float,
    ) -> None:
        """Takes note of which results of one kind belong to the ten highest of their step so far.

        Mostly none does, and then it costs no more than to see that: by the highest, and by how many can have drawn
        more than the tenth has. `measured` says which of them count.
        """
        for kind in (SLOW, ORDINARY):
            highest = self._highest.setdefault((step, kind), [])
            lowest = highest[0][0] if len(highest) == SAMPLES_A_STEP else 0.0
            places, scores = self._slow(response_s, lowest) if kind == SLOW else self._drawn(len(rows), lowest)
            if len(places):
                counting = np.flatnonzero(measured()[places])
                for at in counting[np.argsort(-scores[counting])][:SAMPLES_A_STEP].tolist():
                    self._keep(
                        self._sample(kind, float(scores[at]), step, variant, rows[places[at]], started_s), highest
                    )

    def _slow(self, response_s: Times, lowest: float) -> tuple[Places, Times]:
        if response_s.max() <= lowest:
            return _NOWHERE
        places = np.flatnonzero(response_s > lowest)
        return places, response_s[places]

    def _drawn(self, size: int, lowest: float) -> tuple[Places, Times]:
        """Draws a number below 1 for each of so many, and returns those above the lowest; others are not even drawn."""
        found = self._random.binomial(size, 1.0 - lowest)
        if not found:
            return _NOWHERE
        return self._random.permutation(size)[:found], self._random.uniform(lowest, 1.0, found)

    def _keep(self, sample: RequestSample, highest: list[tuple[float, int]]) -> None:
        number = next(self._numbers)
        if len(highest) < SAMPLES_A_STEP:
            heappush(highest, (sample.score, number))
        elif sample.score > highest[0][0]:
            _, dropped = heapreplace(highest, (sample.score, number))
            self._fresh.pop(dropped, None)
        else:
            return
        self._fresh[number] = sample

    def _sample(
        self, kind: str, score: float, step: str, variant: str, row: np.void, started_s: float
    ) -> RequestSample:
        due_s, sent_s, done_s, first_s, index, is_new = row.item()
        return RequestSample(
            step=step,
            variant=variant,
            index=index,
            due_s=round(due_s - started_s, 6),
            sent_s=round(sent_s - started_s, 6),
            first_byte_s=round(first_s - started_s, 6),
            done_s=round(done_s - started_s, 6),
            new_connection=bool(is_new),
            worker=self._worker,
            trace_id=self._tracing.trace_id(index),
            kind=kind,
            score=round(score, 9),
        )

    def take(self) -> list[RequestSample]:
        """Returns what has come among the highest since the last call."""
        fresh, self._fresh = self._fresh, {}
        return list(fresh.values())
