"""What readers of a run need of its frozen plan, as the run log holds it, its `[validity]` table among it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from convload.plan.retry import RetryPolicy

OPEN, CLOSED = "open", "closed"
REPLAY = "replay"

ReasonName = Literal[
    "log_damaged",
    "not_started",
    "worker_lost",
    "intervals_missing",
    "noted",
    "counts_differ",
    "ledger_differs",
    "too_few_samples",
    "generator_saturated",
    "late",
    "rate_missed",
    "unsent",
    "hub_delay",
    "files_exhausted",
    "ports_exhausted",
    "not_steady",
]
"""The stable names of all reasons; docs/validity.md tells each."""

Share = Annotated[float, Meta(gt=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]


class ValidityLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a run stops being evidence. Each default has its reason beside it; docs/validity.md tells the rules."""

    # A process has one core; the last 5 % are lost to the measuring of CPU time itself.
    cpu_share: Share = 0.95
    # A garbage collection or a burst may fill a second; a fifth of all seconds is the load itself.
    cpu_seconds_share: Share = 0.2
    # In a short run a single second may be a fifth.
    cpu_seconds: Annotated[int, Meta(ge=1)] = 3
    # 50 times what the timer reaches when all is well, and still small beside the times of a service over a network.
    lateness_p99_ms: Positive = 10.0
    # Half of what separates two rates worth telling apart; arrivals at the edges of the window stay well below it.
    rate_deviation: Share = 0.01
    # A stall that is longer shows in the tail of any service worth measuring.
    hub_delay_ms: Positive = 100.0
    # Two stalls in a run are bad luck; they cannot move a p99 of ten seconds or more by themselves.
    hub_delay_intervals: Count = 2
    # Room for name look-ups, logs and the connection to the coordinator; below it, connecting starts to fail.
    files_free: Count = 16
    # With fewer ports left, the kernel searches long for a free one, then refuses.
    ports_share: Share = 0.9
    # A gate or a percentile says itself how many samples it needs; no run says anything with none.
    samples: Annotated[int, Meta(ge=1)] = 1
    # Fewer points hold too little against chance for a test at 1 %.
    trend_seconds: Annotated[int, Meta(ge=10)] = 20
    # A run that is steady is called unsteady once in a hundred at most.
    trend_significance: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01
    # A long run finds the smallest drift significant; a tenth is where it starts to matter.
    trend_change: Positive = 0.1
    # A tenth of a fast target is what a timer or a neighbour on the machine makes.
    trend_change_ms: Annotated[float, Meta(ge=0)] = 0.2
    # Names of reasons that are told but do not invalidate a run.
    waive: list[ReasonName] = []


class PlanFacts(msgspec.Struct, frozen=True):
    """What the results need of the frozen plan in the manifest; other keys are left alone."""

    name: str
    target: str
    account: str
    model: str
    workers: int
    warmup_s: float
    seed: int
    consumers: str
    mix: Any = None
    users: int | None = None
    duration_s: float | None = None
    conversations: int | None = None
    arrivals: str | None = None
    replay: str | None = None
    max_in_flight: int | None = None
    target_b: str | None = None
    source_addresses: list[str] = []
    retry: RetryPolicy = RetryPolicy()
    validity: ValidityLimits = ValidityLimits()
    gates: list[str] = []
    baseline_gates: list[str] = []
    confidence: float = 0.99
    independent: bool = False
    extend_s: float = 0.0
    abort_when: list[str] = []

    @property
    def schedule(self) -> str | None:
        """How arrivals of the open model are spread: even, poisson or replay; None in the closed model."""
        if self.model != OPEN:
            return None
        return REPLAY if self.replay else self.arrivals

    @property
    def most_users(self) -> int | None:
        """How many users there are, or may be: in the open model the most requests in flight."""
        return self.max_in_flight or self.users if self.model == OPEN else self.users
