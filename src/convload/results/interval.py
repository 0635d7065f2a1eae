"""What one worker measured in a second or less."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from convload.results.cells import Cell, Coded, Count

LONGEST_RUN_S = 5_000_000.0
"""Nearly two months. What claims to be later is damage: reports keep a row for each second up to the last."""

Seconds = Annotated[float, Meta(ge=0, le=LONGEST_RUN_S)]


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
    """One failed request, enough to show its payload again: redacted, capped per kind.

    `headers` are those of the answer that help to find the cause; earlier versions kept none.
    """

    t_s: float
    step: str
    variant: str
    outcome: str
    detail: str
    index: int = -1
    worker: int = 0
    trace_id: str = ""
    headers: dict[str, str] = {}


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


class Own(msgspec.Struct, frozen=True, gc=False):
    """What stays of one worker's own creates where its results are added to those of others.

    `lateness` is a histogram of all that were measured, empty where they were sent on time; `slowest_us` the longest
    of their responses. `creates` counts those of all phases.
    """

    lateness: Coded = ""
    slowest_us: Count = 0
    creates: Count = 0


class Interval(msgspec.Struct, frozen=True, gc=False, tag="interval", tag_field="record"):
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

    Where the results of several workers are added up, each has its `own`, and one of them the cells of all; its
    `hub_delays` are those of all, weighed with their creates.
    """

    worker: Count
    n: Annotated[int, Meta(ge=0, le=int(LONGEST_RUN_S))]
    from_s: Seconds
    to_s: Seconds
    cells: Annotated[Sequence[Cell], Meta(max_length=10_000)]
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
    files_free: Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)] = 0
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
    own: Own | None = None
