"""What users ask of a pacing: when to start a conversation, and whether the run goes on."""

from contextlib import AbstractContextManager
from typing import Protocol

from gevent.event import Event

NOW = 0.0
"""The due instant of a conversation that has none but the instant it is sent."""


class Starts(Protocol):
    """When the users of one class start conversations."""

    @property
    def variant(self) -> str:
        """The variant that the arrival just taken names, "" for one of the mix."""

    def take(self) -> float | None:
        """Waits until a user is to start a conversation; returns when it was due, NOW, or None: go home."""

    def taking_part(self) -> AbstractContextManager[None]:
        """Counts a user in while it may start or finish conversations."""


class Pacing(Protocol):
    """When users start conversations, and when they stop.

    Attributes:
        stopped: set when no user may start another.
        used_up: whether that is so because all conversations of the plan have begun.
        stop_s: the planned end, a reading of `time.monotonic`.
        dry: what was used up, if something was.
    """

    stopped: Event
    used_up: bool
    stop_s: float
    dry: str

    @property
    def offered(self) -> int:
        """Arrivals that were due so far; 0 in the closed model."""

    @property
    def backlog(self) -> int:
        """Those among them that wait for a user."""

    @property
    def in_progress(self) -> int:
        """Users that take part."""

    @property
    def busy(self) -> int:
        """Users that hold a conversation, or think."""

    def start(self, started_s: float) -> None:
        """Sets the instant that everything counts from, a reading of `time.monotonic`."""

    def end_at(self, ends_s: float) -> None:
        """Moves the end, in seconds from the start."""

    def of_class(self, name: str, /) -> Starts:
        """Returns what lets the users of a class start."""

    def think_s(self) -> float:
        """Draws the next think time; none in the open model, which has its schedule."""

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the end."""

    def stop(self) -> None:
        """Lets no user start another conversation, and wakes those who wait."""

    def settle(self) -> int:
        """Ends it all and returns how many arrivals were due and never sent."""

    def run_dry(self, why: str) -> None:
        """Stops because something that the plan counts on is used up; `dry` then says what."""
