"""The bundled user, and beside its results the instants at which each create was due and sent.

Writes them to the file named by BENCH_TIMES: float64, due and sent in turn, readings of `time.monotonic`.
"""

import os
from array import array
from pathlib import Path

from locust import task

from convload.contract.steps import CREATE
from convload.load.recorder import FailedAttempt, Records, Result
from convload.load.users import ConversationUser


class Recording:
    """Passes results on and keeps their instants."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.times = array("d")

    def record(self, result: Result) -> None:
        """Takes one finished request."""
        if result.step == CREATE:
            self.times.extend((result.due_s, result.sent_s))
        self._records.record(result)

    def record_failed_attempt(self, attempt: FailedAttempt) -> None:
        """Passes it on."""
        self._records.record_failed_attempt(attempt)


class CreateConversation(ConversationUser):
    """Opens conversations."""

    def on_start(self) -> None:
        """Puts the recording in place, once for all users of the process."""
        (target,) = self.session.targets
        if not isinstance(target.records, Recording):
            target.records = Recording(target.records)

    def on_stop(self) -> None:
        """Writes what there is; the last user to stop writes all."""
        (target,) = self.session.targets
        assert isinstance(target.records, Recording)
        Path(os.environ["BENCH_TIMES"]).write_bytes(target.records.times.tobytes())

    @task  # type: ignore[untyped-decorator]  # Locust's decorators come without types
    def create(self) -> None:
        """Opens one conversation."""
        self.end_conversation(self.create_conversation())
