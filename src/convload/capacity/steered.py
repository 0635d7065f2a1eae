"""Makes the loads that a search asks for with one long-lived set of workers: each is a stage of one run.

The run goes on in the main thread, which hears of Ctrl-C; the search runs in a thread of its own and asks for one load
after the other. Between two loads nothing is sent.
"""

from queue import Empty, SimpleQueue

import msgspec

from convload.capacity.trials import EndedError
from convload.plan.schedule import Stage, StageMark
from convload.results.runlog import FILE_NAME, GrowingLog, Interval, Record, RunLog, StageAdded, Started, WorkerLost
from convload.run.execution import Controls

GRACE_S = 1.5
"""For what a load has in flight to be answered; what is not by then counts as left over."""


class StageLog(msgspec.Struct, frozen=True):
    """What the log says of a load that was held: all of the run so far, and when its last stage was."""

    log: RunLog
    mark: StageMark


class SteeredLoads:
    """Holds loads in a run that is held open, one at a time."""

    held_open = True

    def __init__(self) -> None:
        self._wanted: SimpleQueue[list[Stage] | None] = SimpleQueue()
        self._done: SimpleQueue[StageLog | None] = SimpleQueue()
        self._records: list[Record] = []
        self._tail: GrowingLog | None = None
        self._now: list[Stage] = []

    # -- in the thread of the search --

    def hold(self, stages: list[Stage]) -> StageLog:
        """Holds a load and returns what was measured; the name of its last stage must be new.

        Raises:
            EndedError: the run has ended.
        """
        self._wanted.put(stages)
        stage = self._done.get()
        if stage is None:
            self._done.put(None)  # for whoever asks again
            raise EndedError
        return stage

    def finish(self) -> None:
        """Lets the run end."""
        self._wanted.put(None)

    # -- in the thread of the run --

    def look(self, controls: Controls) -> None:
        """Adds the stages that are asked for, and hands over what has come of them."""
        self._tail = self._tail or GrowingLog(controls.folder / FILE_NAME)
        self._records += self._tail.read()
        if not any(isinstance(record, Started) for record in self._records):
            return
        if not self._now:
            self._begin(controls)
        elif (mark := self._mark(self._now[-1].name)) is not None and self._is_over(mark):
            self._now = []
            self._done.put(StageLog(RunLog.growing(self._records), mark))

    def end(self) -> None:
        """Tells the search that the run has ended, now and whenever it asks again."""
        self._done.put(None)

    def _begin(self, controls: Controls) -> None:
        try:
            stages = self._wanted.get_nowait()
        except Empty:
            return
        if stages is None:
            controls.finish()
        else:
            self._now = stages
            controls.add(stages)

    def _mark(self, name: str) -> StageMark | None:
        marks = (record.mark for record in self._records if isinstance(record, StageAdded))
        return next((mark for mark in marks if mark.name == name), None)

    def _is_over(self, mark: StageMark) -> bool:
        """Says whether all workers have reported a stage and answered what is in flight, or had time enough."""
        ends_s = mark.starts_s + mark.duration_s
        latest = {record.worker: record for record in self._records if isinstance(record, Interval)}
        for lost in (record for record in self._records if isinstance(record, WorkerLost)):
            latest.pop(lost.worker, None)
        known_s = min((interval.to_s for interval in latest.values()), default=0.0)
        is_empty = not any(interval.in_flight or interval.backlog for interval in latest.values())
        return known_s >= ends_s and (is_empty or known_s >= ends_s + GRACE_S)
