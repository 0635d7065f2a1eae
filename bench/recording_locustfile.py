"""The bundled user, and beside its results the instants at which each create was due and sent.

Writes them to the file named by BENCH_TIMES: float64, due and sent in turn, readings of `time.monotonic`.
"""

import os
from array import array
from pathlib import Path

from locust import task

from convload.contract.steps import CREATE
from convload.load.recorder import Failure, Records, Request
from convload.load.users import ConversationUser


class Recording:
    """Passes results on and keeps their instants."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.times = array("d")

    def record(self, request: Request) -> None:
        """Takes one finished request."""
        if request.step == CREATE:
            self.times.extend((request.due_s, request.sent_s))
        self._records.record(request)

    def record_failure(self, failure: Failure) -> None:
        """Passes it on."""
        self._records.record_failure(failure)


class CreateConversation(ConversationUser):
    """Opens conversations."""

    def on_start(self) -> None:
        """Puts the recording in place, once for all users of the process."""
        if not isinstance(self.session.records, Recording):
            self.session.records = Recording(self.session.records)

    def on_stop(self) -> None:
        """Writes what there is; the last user to stop writes all."""
        assert isinstance(self.session.records, Recording)
        Path(os.environ["BENCH_TIMES"]).write_bytes(self.session.records.times.tobytes())

    @task  # type: ignore[untyped-decorator]  # Locust's decorators come without types
    def create(self) -> None:
        """Opens one conversation."""
        self.end_conversation(self.create_conversation())
