"""The run log: one JSON record a line, the manifest first, then what each worker measured each second."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from convload.errors import MissingRunError, RunLogError
from convload.plan.schedule import StageMark, cut

FORMAT = "convload/run/1"
FILE_NAME = "run.jsonl"

MEASURE = "measure"
"""The phase of the requests that figures are of."""


LONGEST_RUN_S = 5_000_000.0
"""Nearly two months. What claims to be later is damage: reports keep a row for each second up to the last."""

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0, le=LONGEST_RUN_S)]
Coded = Annotated[str, Meta(max_length=65_536)]
"""A histogram; real ones have some thousand characters."""


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


class Cell(msgspec.Struct, frozen=True):
    """The results of one (step, variant, phase, outcome) in one interval.

    `variant` is empty for steps other than conversation.create. `phase` is "warmup", "measure" or
    "cleanup", decided by the instant a request was due. The histograms are `Histogram.encode()` strings in
    microseconds; in the closed model due = sent, so `response` equals `service` and is left empty, as is
    `lateness`.
    """

    step: str
    variant: str
    phase: str
    outcome: str
    count: Count
    service: Coded
    response: Coded = ""
    lateness: Coded = ""
    stage: str = ""


class Backoff(msgspec.Struct, frozen=True):
    """What followed failed attempts of one kind in one interval; only runs with a retry policy have them.

    `outcome` is of the attempts, `fate` one of `retrying.FATES`; `retry_after` is "" where no answer carried that
    header, else `retrying.HONOURED` or `IGNORED`. `waited` is a histogram of the waits in microseconds, of those that
    were retried. The phase is that of the conversation.
    """

    phase: str
    outcome: str
    fate: str
    retry_after: str
    count: Count
    waited: Coded = ""


class ErrorSample(msgspec.Struct, frozen=True):
    """One failed request, enough to show its payload again: redacted, capped per kind."""

    t_s: float
    step: str
    variant: str
    outcome: str
    detail: str
    index: int = -1
    worker: int = 0
    trace_id: str = ""


SLOW, ORDINARY = "slow", "ordinary"
SAMPLES_A_STEP = 10


class RequestSample(msgspec.Struct, frozen=True):
    """One request that succeeded after the warm-up, whole; times in seconds since the start.

    `kind` is "slow", one of the slowest of its worker and step so far, or "ordinary", drawn by chance; `score` is what
    the ten highest of the run have the highest of: the response time in seconds, or what was drawn. `new_connection`:
    it was the first on its connection; where users do not make ready before they are due, its times have the opening.
    """

    step: str
    variant: str
    index: int
    due_s: float
    sent_s: float
    first_byte_s: float
    done_s: float
    new_connection: bool
    worker: int
    trace_id: str = ""
    kind: str = SLOW
    score: float = 0.0


class Interval(msgspec.Struct, frozen=True, tag="interval", tag_field="record"):
    """What one worker measured between `from_s` and `to_s`; `n` counts up from 0 without gaps.

    `built`, `sent` and `recorded` are create requests since the start of the run: payloads built, requests
    written to a socket or failed on the way there, results recorded. `left_open` counts conversations that could
    not be closed. `cpu_share` is CPU time over wall time.

    In the open model `offered` counts the arrivals that were due so far, `unsent` those among them that were
    never sent (known with the last interval), and `backlog` those that wait for a free user at the end of the interval.
    `pending` are requests in flight and arrivals that wait, about every tenth of a second. The watch on the generator
    itself: `hub_delay_ms` is the longest that the event loop was late in the interval, `files_free` the file
    descriptors left, `sockets_waiting` this machine's sockets in TIME_WAIT. `cpu_wait_share` is the time in which the
    worker could have run and another process did, over wall time. `awaiting` is the highest number of users that waited
    for the target at once: for an answer, a token or a connection. `hub_delays` is a histogram of how late the event
    loop was at each hundredth of a second. From `silent_from_s` to `silent_to_s` none of its requests was answered
    though users waited: the longest such time in the interval, or up to its end. `samples` are those that have
    come among the slowest of their step, and among those drawn by chance. `throttled_share` is the time in which the
    quota of a cgroup held its processes back, over wall time. Earlier versions wrote none of these.
    """

    worker: Count
    n: Annotated[int, Meta(ge=0, le=int(LONGEST_RUN_S))]
    from_s: Seconds
    to_s: Seconds
    cells: Annotated[list[Cell], Meta(max_length=10_000)]
    users: Count
    in_flight: Count
    built: Count
    sent: Count
    recorded: Count
    cpu_share: float
    memory_bytes: Count
    errors: Annotated[list[ErrorSample], Meta(max_length=10_000)] = []
    left_open: Count = 0
    last: bool = False
    offered: Count = 0
    unsent: Count = 0
    backlog: Count = 0
    pending: list[Count] = []
    hub_delay_ms: float = 0.0
    files_free: int = 0
    sockets_waiting: Count = 0
    retried: Count = 0
    backoffs: Annotated[list[Backoff], Meta(max_length=10_000)] = []
    cpu_wait_share: float = 0.0
    awaiting: Count = 0
    hub_delays: Coded = ""
    silent_from_s: Seconds = 0.0
    silent_to_s: Seconds = 0.0
    samples: Annotated[list[RequestSample], Meta(max_length=10_000)] = []
    throttled_share: float = 0.0


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


Record = (
    Manifest | Started | Interval | StageAdded | StagesCut | Extended | WorkerLost | Aborted | Note | MockLedger | Ended
)

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
        return list(_decode(lines, []))


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
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingRunError(f"{path}: cannot be read: {error.strerror}") from error
    damage: list[str] = []
    records = list(_decode(content.split(b"\n"), damage))
    if not records or not isinstance(records[0], Manifest) or not content.startswith(b"{"):
        raise RunLogError(f"{path}:1: is no run log: the first line must be a manifest of format {FORMAT}")
    if records[0].format != FORMAT:
        raise RunLogError(f"{path}:1: has format {records[0].format!r}; this version reads {FORMAT!r}")
    if not any(isinstance(record, Ended) for record in records):
        damage.append("the run log has no end: the run was cut off")
    return RunLog(records[0], [record for record in records[1:] if not isinstance(record, Manifest)], damage)


def _decode(lines: Sequence[bytes], damage: list[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            yield _decoder.decode(line)
        # msgspec's errors are ValueErrors, and so is text that is not UTF-8; nested too deeply is neither
        except (ValueError, RecursionError):
            what = "is no record" if number < len(lines) else "was cut off"
            damage.append(f"line {number} of the run log {what} and is left out")
