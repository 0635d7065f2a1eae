"""What the users of one worker share, whichever target they fire at."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from gevent.event import Event

from convload.load.pacing.closed import ClosedPacing
from convload.load.pacing.protocol import Pacing
from convload.load.pacing.schedules import AlternatingTargets
from convload.plan.plan import Plan

if TYPE_CHECKING:
    from convload.load.target import Target


logger = logging.getLogger(__name__)


class Share(msgspec.Struct, frozen=True):
    """Which part of a run is a worker's: its number among `workers`; `run_id` tells this run from all others."""

    worker: int
    workers: int
    run_id: str


class Session:
    """One worker's part of a run.

    Attributes:
        plan: the plan of the run.
        share: which part of it.
        pacing: when users start; where there is none, as under the stock `locust` command, Locust decides.
        targets: what is fired at: one, or two that are compared; `alternation` then says whose window it is.
        no_retries: set when no conversation may be tried again, which wakes those that wait for it.
        task_errors: what the tester's code raised, and how often.
        preparing: users that see to a connection and a token before they take an arrival.
        on_note: is told what a reader of the reports must know, once.
        on_failed_start: is called with a user and what its `on_start` raised, before anything was sent.
    """

    def __init__(self, plan: Plan, share: Share, pacing: Pacing | None = None) -> None:
        self.plan = plan
        self.share = share
        self.paced = pacing is not None
        self.pacing: Pacing = pacing or ClosedPacing(plan, share.worker, share.workers)
        self.targets: Sequence[Target] = ()
        self.alternation: AlternatingTargets | None = None
        self.no_retries = Event()
        self.task_errors: Counter[str] = Counter()
        self.on_failed_start: Callable[[object, Exception], None] = self.task_raised
        self.on_note: Callable[[str], None] = logger.warning
        self.preparing = 0
        self._users = 0

    @property
    def built(self) -> int:
        """Create payloads built so far."""
        return sum(target.payloads.built for target in self.targets)

    def next_user(self) -> int:
        """Returns a number that no other user of the run has."""
        self._users += 1
        return self.share.worker + (self._users - 1) * self.share.workers

    def task_raised(self, user: object, error: Exception) -> None:
        """Counts what the tester's code raised, and logs it once with its traceback."""
        what = f"{type(error).__name__}: {error}"
        if what not in self.task_errors:
            logger.error("a task of %s raised", type(user).__name__, exc_info=error)
        self.task_errors[what] += 1
