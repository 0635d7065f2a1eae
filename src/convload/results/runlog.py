"""The run log: one JSON record a line, the manifest first, then what each worker measured each second."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from convload.errors import MissingRunError, RunLogError
from convload.plan.schedule import StageMark, cut
from convload.results import together
from convload.results.cells import MEASURE, Cell, Count
from convload.results.health import Merged, intervals_of
from convload.results.interval import (
    LONGEST_RUN_S,
    ORDINARY,
    SAMPLES_A_STEP,
    SLOW,
    Backoff,
    ErrorSample,
    Interval,
    RequestSample,
    Seconds,
)
from convload.results.together import Together

__all__ = [  # what a reader of logs looks for here beside what stands here
    "LONGEST_RUN_S",
    "MEASURE",
    "ORDINARY",
    "SAMPLES_A_STEP",
    "SLOW",
    "Backoff",
    "Cell",
    "ErrorSample",
    "Interval",
    "RequestSample",
    "Together",
]

FORMAT = "convload/run/2"
READABLE = ("convload/run/1", FORMAT)
"""Version 1 has an `interval` for each worker and second in place of `together`."""

FILE_NAME = "run.jsonl"


class KnownCeiling(msgspec.Struct, frozen=True):
    """The highest rate of requests that this machine was measured to generate, as a run's manifest keeps it.

    `measured` is ISO 8601 in UTC. `cores` is how many there are: beyond them more workers give no more. `at_least`:
    no rate was found that was too high, or other work disturbed the one that was.
    """

    rate_per_s: Annotated[float, Meta(gt=0)]
    workers: Annotated[int, Meta(ge=1)]
    cores: Annotated[float, Meta(gt=0)]
    measured: str
    at_least: bool = False

    def of_workers(self, workers: int) -> float:
        """Returns the rate for another number of workers: each core is worth as much as the measured ones."""
        most = max(self.cores, 1.0)
        return self.rate_per_s * min(workers, most) / min(self.workers, most)


class Manifest(msgspec.Struct, frozen=True, tag="manifest", tag_field="record"):
    """What was run, with what, on what; the first line.

    `started` is ISO 8601 in UTC. `plan` is the frozen plan as plain data and holds no secrets. `ceiling` is what this
    machine was measured to generate, None where nobody knows. `baseline` is what the gates need of the run that they
    compare with, as `judging.baseline` writes and reads it. `inputs` are the sha256 of the files that the run read:
    `payloads/…`, `locustfile`, `replay`; earlier versions wrote none. `origin` is commit, branch and build of a
    pipeline.
    """

    format: str
    started: str
    plan: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]
    target: str
    notes: list[str] = []
    stages: list[StageMark] = []
    ceiling: KnownCeiling | None = None
    baseline: dict[str, Any] | None = None
    inputs: dict[str, str] = {}
    origin: dict[str, str] = {}


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="record"):
    """All workers are set up and fire from `at_unix_s` on; every `*_s` below counts from that instant.

    `clock_offsets_ms` says how far each worker's clock was ahead of the coordinator's; the start allowed for it.
    """

    at_unix_s: float
    workers: int
    clock_offsets_ms: list[float] = []


class WorkerLost(msgspec.Struct, frozen=True, tag="worker_lost", tag_field="record"):
    """A worker that did not send its last interval.

    Its results end at `silent_from_s`; `arrivals` of its share were due from then until others took it over, or until
    `at_s` where nobody did, and nobody knows what became of them.
    """

    worker: Count
    at_s: float
    why: str
    silent_from_s: float = 0.0
    arrivals: Count = 0


class StageAdded(msgspec.Struct, frozen=True, tag="stage_added", tag_field="record"):
    """A stage that was decided on while the run went on; it follows those that were known before."""

    at_s: float
    mark: StageMark


class StagesCut(msgspec.Struct, frozen=True, tag="stages_cut", tag_field="record"):
    """From `to_s` on the load is another than was planned: of the stages known so far nothing follows."""

    at_s: float
    to_s: Seconds


class Extended(msgspec.Struct, frozen=True, tag="extended", tag_field="record"):
    """The planned end of a closed load was moved to `to_s` while the run went on."""

    at_s: float
    to_s: float


class Aborted(msgspec.Struct, frozen=True, tag="aborted", tag_field="record"):
    """The run was stopped early because one of the plan's `abort_when` conditions held; `text` has the figures."""

    at_s: float
    condition: str
    text: str


class Note(msgspec.Struct, frozen=True, tag="note", tag_field="record"):
    """Something a reader must know. `invalidates`: the run supports no verdict because of it."""

    at_s: float
    text: str
    invalidates: bool = False
    interrupted: bool = False


class MockLedger(msgspec.Struct, frozen=True, tag="ledger", tag_field="record"):
    """What the mock counted in the run: create requests that reached it, and those it accepted.

    `shared`: it was started on its own, so others may have sent some of them.
    """

    received: int
    accepted: int
    shared: bool = False


class Ended(msgspec.Struct, frozen=True, tag="ended", tag_field="record"):
    """The run came to its end; a log without it was cut off."""

    at_s: float
    left_open: int = 0


_Event = StageAdded | StagesCut | Extended | WorkerLost | Aborted | Note | MockLedger
Record = Manifest | Started | Interval | Together | _Event | Ended

_decoder = msgspec.json.Decoder(Record)


class GrowingLog:
    """Reads a run log that is still growing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Record]:
        """Returns the records that have come since the last call; a line that is not whole yet waits for the next.

        What is no record is left out, as is what others cut off the file: who reads it whole in the end tells of it.
        """
        try:
            with self._path.open("rb") as log:
                self._offset = min(self._offset, os.fstat(log.fileno()).st_size)
                log.seek(self._offset)
                *lines, _ = log.read().split(b"\n")
        except OSError:
            return []
        self._offset += sum(len(line) + 1 for line in lines)
        return list(intervals_of(list(_Reader([]).read(lines))))  # all of them first: the rows come piece by piece


class RunLog(msgspec.Struct, frozen=True):
    """A run log read back: the manifest, the other records in order, and what is wrong with the file."""

    manifest: Manifest
    records: list[Record]
    damage: list[str]

    @classmethod
    def growing(cls, records: Sequence[Record]) -> "RunLog":
        """Returns the log of a run that goes on; the first of the records is its manifest."""
        manifest, *others = records
        assert isinstance(manifest, Manifest)  # noqa: S101 -- the first record of every log
        return cls(manifest, others, [])

    @property
    def stages(self) -> list[StageMark]:
        """The stages of an open load, planned ones and those that were added, in the order of time."""
        found = list(self.manifest.stages)
        for record in self.records:
            if isinstance(record, StagesCut):
                found = cut(found, record.to_s)
            elif isinstance(record, StageAdded):
                found.append(record.mark)
        return found

    @property
    def is_cut(self) -> bool:
        """Whether somebody let the load end before its planned end, or go on in another way: its stages tell how."""
        return any(isinstance(record, StagesCut) for record in self.records)

    @property
    def workers(self) -> int:
        """How many workers shared the load: all of the plan, or those that came in time; 0 where it never started."""
        return next((record.workers for record in self.records if isinstance(record, Started)), 0)

    @property
    def aborted(self) -> Aborted | None:
        """Why the run was stopped early, if a condition of its plan did it."""
        return next((record for record in self.records if isinstance(record, Aborted)), None)


def read(path: Path) -> RunLog:
    """Reads a run log; what is no record is left out and named in `damage`.

    Raises:
        MissingRunError: there is no such file.
        RunLogError: it has no manifest, or another format version.
    """
    path = path / FILE_NAME if path.is_dir() else path
    damage: list[str] = []
    try:
        with path.open("rb") as lines:
            records = list(_Reader(damage).read(lines))
    except OSError as error:
        raise MissingRunError(f"{path}: cannot be read: {error.strerror}") from error
    if not records or not isinstance(records[0], Manifest) or any(text.startswith("line 1 ") for text in damage):
        raise RunLogError(f"{path}:1: is no run log: the first line must be a manifest of format {FORMAT}")
    if records[0].format not in READABLE:
        raise RunLogError(f"{path}:1: has format {records[0].format!r}; this version reads {FORMAT!r}")
    if not any(isinstance(record, Ended) for record in records):
        damage.append("the run log has no end: the run was cut off")
    return RunLog(records[0], [record for record in records[1:] if not isinstance(record, Manifest)], damage)


BATCH_CHARACTERS = 1 << 20
"""Of what workers are of themselves, read at once."""


class _Reader:
    """Reads lines of a run log, seconds of the workers many at once."""

    def __init__(self, damage: list[str]) -> None:
        self._damage = damage
        self._table = together.new_table()
        self._waiting: list[tuple[str, Together]] = []

    def read(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Yields what is a record, and notes what is none."""
        characters = 0
        for number, line in enumerate(lines, 1):
            if not line.strip(b"\n"):
                continue
            what = "is no record" if line.endswith(b"\n") else "was cut off"
            damaged = f"line {number} of the run log {what} and is left out"
            try:
                record = _decoder.decode(line)
            # msgspec's errors are ValueErrors, and so is text that is not UTF-8; nested too deeply is neither
            except (ValueError, RecursionError):
                yield from self._merged()
                self._damage.append(damaged)
                continue
            is_other = not isinstance(record, Together) or record.columns != self._columns
            if is_other or characters > BATCH_CHARACTERS:
                yield from self._merged()
                characters = 0
            if isinstance(record, Together):
                self._waiting.append((damaged, record))
                characters += len(record.workers)
            else:
                yield record
        yield from self._merged()

    @property
    def _columns(self) -> tuple[str, ...]:
        return self._waiting[0][1].columns if self._waiting else ()

    def _merged(self) -> Iterator[Merged]:
        waiting, self._waiting = self._waiting, []
        try:
            yield from together.read([record for _, record in waiting], self._table) if waiting else ()
        except RunLogError:
            for damaged, record in waiting:
                try:
                    yield from together.read([record], self._table)
                except RunLogError:
                    self._damage.append(damaged)
