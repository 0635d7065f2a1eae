"""The workers of a run as its coordinator knows them: how far each is, its clock, for how long it has been silent."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto

from convload import __version__
from convload.errors import SetupFailedError, UsageError
from convload.load.processes.messages import Hello, Pong, SetupFailure

GAP_S = 1.0
TELL_EVERY_S = 10.0
"""How often a run that waits for workers says who is missing."""

logger = logging.getLogger(__name__)


class Silences:
    """For how long each of some others has said nothing.

    Time in which this process itself did not run counts for nobody: what they said then is still to be read.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s: dict[str, float] = {}
        self._looked_s = clock()

    def end(self, who: str) -> None:
        """Notes that somebody said something now."""
        self._last_s[who] = self._clock()

    def look(self) -> None:
        """Notes that this process runs; to be called several times within `GAP_S`."""
        now_s = self._clock()
        slept_s, self._looked_s = now_s - self._looked_s, now_s
        if slept_s > GAP_S:
            self._last_s = {who: last_s + slept_s for who, last_s in self._last_s.items()}

    def length_s(self, who: str) -> float:
        """Returns for how long somebody has said nothing; 0 for one who never said anything."""
        now_s = self._clock()
        return now_s - self._last_s.get(who, now_s)


class State(Enum):
    """How far a worker is; the head of `coordinator` draws who leads to whom."""

    JOINED = auto()
    READY = auto()
    LEAVING = auto()
    FINISHED = auto()
    LOST = auto()


class Member:
    """One worker. Its clock is taken from the exchange with the smallest round trip.

    Half the round trip is taken as the way there, so the error is at most half the smallest round trip
    (Cristian, "Probabilistic clock synchronization", 1989).
    """

    def __init__(self, node: str, number: int, *, is_ours: bool = True) -> None:
        self.node = node
        self.number = number
        self.is_ours = is_ours
        self.state = State.JOINED
        self.failure: SetupFailure | None = None
        self.left_open = 0
        self._exchange: tuple[float, float, float] | None = None

    @property
    def machine(self) -> str:
        """The name of its machine, with which Locust's names of nodes begin."""
        return self.node.rpartition("_")[0]

    @property
    def takes_part(self) -> bool:
        """Whether results of it are still awaited."""
        return self.state not in {State.FINISHED, State.LOST}

    def note(self, pong: Pong) -> None:
        """Takes an answer that has come now."""
        round_trip_s = time.monotonic() - pong.sent_s
        ahead_s = pong.at_s - (pong.sent_s + round_trip_s / 2)
        found = round_trip_s, ahead_s, pong.at_unix_s - (time.time() - round_trip_s / 2)
        self._exchange = min(found, self._exchange or found)

    @property
    def has_answered(self) -> bool:
        """Whether its clock was measured."""
        return self._exchange is not None

    @property
    def ahead_s(self) -> float:
        """How much its `time.monotonic` is ahead, which counts from its machine's start; 0 where it did not answer."""
        return self._exchange[1] if self._exchange else 0.0

    @property
    def clock_offset_s(self) -> float:
        """How much its date is ahead; 0 where it did not answer."""
        return self._exchange[2] if self._exchange else 0.0

    @property
    def round_trip_s(self) -> float:
        """Its smallest round trip; 0 where it did not answer."""
        return self._exchange[0] if self._exchange else 0.0


class Members:
    """All workers by their nodes, in the order in which they came.

    Args:
        workers: how many take part.
        tickets: one for each that the parent started; the others come from elsewhere.
    """

    def __init__(self, workers: int, tickets: Iterable[str]) -> None:
        self._tickets = set(tickets)
        self._elsewhere = workers - len(self._tickets)
        self._members: dict[str, Member] = {}
        self.refused: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, node: str) -> Member | None:
        """Returns the worker of a node, None where it is not one of this run."""
        return self._members.get(node)

    def admit(self, node: str, hello: Hello) -> Member | None:
        """Returns the worker of a node, which joins now if it may; None where `refused` says why it may not."""
        if (known := self._members.get(node)) is not None:
            return known
        is_ours = hello.ticket in self._tickets
        if hello.version != __version__:
            self.refused[node] = f"a worker has convload {hello.version}; the coordinator has {__version__}"
            return None
        if not is_ours and not self._elsewhere:
            self.refused[node] = "the run has all of its workers already"
            return None
        if is_ours:
            self._tickets.remove(hello.ticket)
        else:
            self._elsewhere -= 1
        return self._members.setdefault(node, Member(node, len(self._members), is_ours=is_ours))

    def await_all(
        self, count: Callable[[], int], expected: int, timeout_s: float, reached: str, enough: int
    ) -> Iterator[None]:
        """Yields until all are so far, or one has failed, or the time is over and enough are; tells who is missing.

        Raises:
            UsageError: the time is over, and they are too few.
        """
        told_s = began_s = time.monotonic()
        while count() < expected and not self.failures():
            if time.monotonic() > told_s + TELL_EVERY_S:
                told_s = time.monotonic()
                logger.warning("%d of %d workers %s; %s", count(), expected, reached, self.describe())
            if time.monotonic() > began_s + timeout_s:
                if 0 < enough <= count():
                    return
                short = f"workers: of {expected} only {count()} {reached} within {timeout_s:g} s; {self.describe()}"
                raise UsageError(short, *dict.fromkeys(self.refused.values()))
            yield

    def unheard(self, silences: Silences, limit_s: float) -> list[Member]:
        """Returns those from elsewhere that have said nothing for longer."""
        return [one for one in self if not one.is_ours and silences.length_s(one.node) > limit_s]

    def drop(self, member: Member) -> str:
        """Frees the place of a worker from elsewhere before anybody has a share, and says so; numbers have no gap."""
        del self._members[member.node]
        self._elsewhere += 1
        for number, one in enumerate(self):
            one.number = number
        return f"a worker of {member.machine} went silent while others were awaited; its place was free again"

    def close(self) -> None:
        """Lets nobody join any more: the run begins with those who are here."""
        self._tickets.clear()
        self._elsewhere = 0

    def describe(self) -> str:
        """Says who is here, those from elsewhere by their machines, and how many are missing."""
        ours = sum(member.is_ours for member in self)
        hosts = sorted(member.machine for member in self if not member.is_ours)
        here = [f"{ours} of this machine"] * bool(ours) + ([f"from elsewhere {', '.join(hosts)}"] if hosts else [])
        missing = [f"{len(self._tickets)} of this machine"] * bool(self._tickets)
        missing += [f"{self._elsewhere} from elsewhere"] * bool(self._elsewhere)
        return f"here: {'; '.join(here) or 'nobody'}; missing: {' and '.join(missing) or 'nobody'}"

    def taking_part(self) -> list[Member]:
        """Returns those whose results are still awaited."""
        return [member for member in self if member.takes_part]

    def count_ready(self) -> int:
        """Returns how many were set up."""
        return sum(member.state != State.JOINED for member in self)

    def require_no_failure(self) -> None:
        """Raises SetupFailedError where a worker cannot take part, with the problems of all."""
        if failures := self.failures():
            problems = dict.fromkeys(problem for failure in failures for problem in failure.problems)
            raise SetupFailedError(failures[0].exit_code, *problems)

    def failures(self) -> list[SetupFailure]:
        """Returns why some cannot take part."""
        return [member.failure for member in self if member.failure is not None]

    def round_trip_s(self) -> float:
        """Returns the longest of their smallest round trips."""
        return max((member.round_trip_s for member in self), default=0.0)
