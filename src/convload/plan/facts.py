"""What readers of a run need of its frozen plan, as the run log holds it."""

from typing import Any

import msgspec

from convload.plan.limits import ValidityLimits
from convload.plan.retry import RetryPolicy

OPEN, CLOSED = "open", "closed"


REPLAY = "replay"


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
    retry: RetryPolicy = RetryPolicy()
    validity: ValidityLimits = ValidityLimits()
    gates: list[str] = []
    baseline_gates: list[str] = []
    confidence: float = 0.99
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
