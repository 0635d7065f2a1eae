"""What a run measured, in figures: the records of summary.json."""

from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np

from convload.contract.steps import RETRY
from convload.results.health import Health
from convload.results.histogram import Statistics, milliseconds
from convload.results.retries import Retries
from convload.results.runlog import ORDINARY, SAMPLES_A_STEP, SLOW, RequestSample

FORMAT = "convload/summary/1"


class Requests(msgspec.Struct, frozen=True):
    """The figures of one step or variant; but for `failed_response_ms`, times are of successful requests.

    `unsupported` says why a percentile is missing from the times of successful requests, `failed_unsupported` from
    those of failed ones.
    """

    count: int
    ok: int
    errors: dict[str, int]
    response_ms: Statistics
    service_ms: Statistics
    lateness_ms: Statistics
    unsupported: dict[str, str]
    failed_response_ms: Statistics
    failed_unsupported: dict[str, str]


class KeptRequest(msgspec.Struct, frozen=True):
    """One request as it was: instants in seconds since the start, lengths of time in milliseconds.

    `first_byte_ms` is from sent to the first byte of the answer.
    """

    index: int
    variant: str
    due_s: float
    sent_s: float
    done_s: float
    response_ms: float
    service_ms: float
    first_byte_ms: float
    new_connection: bool
    worker: int
    trace_id: str

    @classmethod
    def of(cls, sample: RequestSample) -> "KeptRequest":
        """Returns what was kept of a request."""
        begun_s = sample.sent_s if sample.step == RETRY else sample.due_s
        return cls(
            index=sample.index,
            variant=sample.variant,
            due_s=sample.due_s,
            sent_s=sample.sent_s,
            done_s=sample.done_s,
            response_ms=milliseconds(1e6 * (sample.done_s - begun_s)),
            service_ms=milliseconds(1e6 * (sample.done_s - sample.sent_s)),
            first_byte_ms=milliseconds(1e6 * max(sample.first_byte_s - sample.sent_s, 0.0)),
            new_connection=sample.new_connection,
            worker=sample.worker,
            trace_id=sample.trace_id,
        )


class KeptRequests(msgspec.Struct, frozen=True):
    """Requests of a step that were kept whole: the slowest first, and `ordinary` ones drawn by chance, as they came."""

    slowest: list[KeptRequest]
    ordinary: list[KeptRequest]

    @classmethod
    def of(cls, samples: Sequence[RequestSample]) -> "KeptRequests":
        """Takes those of the run out of those that its workers sent while each looked for its own."""
        highest = {
            kind: sorted((one for one in samples if one.kind == kind), key=lambda one: -one.score)[:SAMPLES_A_STEP]
            for kind in (SLOW, ORDINARY)
        }
        by_chance = sorted(highest[ORDINARY], key=lambda one: one.due_s)
        return cls([*map(KeptRequest.of, highest[SLOW])], [*map(KeptRequest.of, by_chance)])


class StageRequests(msgspec.Struct, frozen=True):
    """The create requests that were due in one measured stage; `duration_s` ends where the run was cut short.

    `offered_rate` counts arrivals that came due, `achieved_rate` requests that were sent while the stage lasted:
    a stage that cannot keep up falls behind here, whatever is made up for later.
    """

    from_rate: float
    to_rate: float
    duration_s: float
    offered_rate: float | None
    achieved_rate: float | None
    count: int
    ok: int
    errors: dict[str, int]
    response_ms: Statistics
    service_ms: Statistics
    lateness_ms: Statistics
    unsupported: dict[str, str]


class RequestCounts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Create requests over the whole run, all phases and workers: payloads built, sent, results recorded.

    In the open model `offered` counts the arrivals that were due and `unsent` those never sent. With a retry policy
    `sent` and `recorded` count attempts, `retried` those that were not the first of their payload, so built + retried
    = sent. A 0 of these three is left out of summary.json.
    """

    built: int
    sent: int
    recorded: int
    offered: int = 0
    unsent: int = 0
    retried: int = 0

    @property
    def begun(self) -> int:
        """Conversations whose first attempt was sent."""
        return self.sent - self.retried


class Received(msgspec.Struct, frozen=True):
    """Create requests as the mock counted them, embedded or on this machine."""

    received: int
    accepted: int


class Generator(msgspec.Struct, frozen=True):
    """What the load generator itself used, over the measured time.

    `cpu_share` is the mean of the busiest worker (1 is a whole core: it can give no more),
    `cpu_share_highest` the highest of any interval, `cpu_share_sum` the mean of all workers together; None
    where nothing was measured. `memory_bytes` adds up the highest of each worker. `lateness_p99_ms` is of all
    create requests, failed ones too. `files_free_lowest` is None where it was not watched.

    `ceiling_per_s` is the rate of requests that as many workers of this machine were measured to generate, on the day
    `ceiling_measured`, and `requests_per_s` what they made, all steps together; `ceiling_share` is the one over the
    other. None where it is not known; `ceiling_at_least` where the measuring ended below it.
    """

    cpu_share: float | None
    cpu_share_highest: float | None
    cpu_share_sum: float | None
    memory_bytes: int
    lateness_p99_ms: float | None
    hub_delay_highest_ms: float
    files_free_lowest: int | None
    sockets_waiting_highest: int
    requests_per_s: float | None = None
    ceiling_per_s: float | None = None
    ceiling_share: float | None = None
    ceiling_measured: str | None = None
    ceiling_at_least: bool = False

    @classmethod
    def of(cls, health: Health, **others: Any) -> Self:
        """Returns what some intervals show, with what is known from elsewhere."""
        lengths_s, cpu_s = health.sums(health.lengths_s), health.sums(health["cpu_share"] * health.lengths_s)
        shares = np.divide(cpu_s, lengths_s, out=np.zeros_like(cpu_s), where=lengths_s > 0)
        files_free = health["files_free"]
        return cls(
            cpu_share=round(float(shares.max()), 3) if len(health) else None,
            cpu_share_highest=round(float(health["cpu_share"].max()), 3) if len(health) else None,
            cpu_share_sum=round(float(shares.sum()), 3) if len(health) else None,
            hub_delay_highest_ms=round(float(health["hub_delay_ms"].max(initial=0.0)), 3),
            # No worker can run with no file left from its start to its end, so 0 throughout means: not watched.
            files_free_lowest=int(files_free.min()) if files_free.any() else None,
            sockets_waiting_highest=int(health["sockets_waiting"].max(initial=0)),
            **others,
        )


class Summary(msgspec.Struct, frozen=True):
    """What a run measured. Times in milliseconds, rates per second; `duration_s` is the measured time.

    In the open model `offered_rate` is of the arrivals that came due in the measured time, `achieved_rate` of the
    create requests sent in it. In the closed model there is no offered rate, and the achieved one counts the
    measured requests. `users` of the open model is the most that may be in flight. With a retry policy these rates
    count conversations, and `retries` says how many requests each took; it is None without one. The windows of two
    targets in turns are no `stages`: they would be dozens.
    """

    plan: str
    target: str
    account: str
    started: str
    model: str
    seed: int
    workers: int
    arrivals: str | None
    users: int | None
    consumers: str
    mix: Any
    duration_s: float
    warmup_s: float
    offered_rate: float | None
    achieved_rate: float | None
    unsent: int
    backlog_highest: int
    in_flight_highest: int
    steps: dict[str, Requests]
    variants: dict[str, Requests]
    stages: dict[str, StageRequests]
    retries: Retries | None
    counts: RequestCounts
    ledger: Received | None
    left_open: int
    generator: Generator
    notes: list[str]


NEAR_CEILING = 0.8
"""From this share on a run is near enough to the ceiling for the generator to show in its figures."""


def near_ceiling(share: float | None) -> str | None:
    """Says that a run used so much of the ceiling that it may show; None where it did not."""
    if share is None or share <= NEAR_CEILING:
        return None
    return (
        f"the run made {100 * share:.0f} % of the requests that this machine was measured to generate: "
        "the generator itself may show in the times; take more workers or machines"
    )
