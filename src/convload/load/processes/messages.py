"""What the processes of a run say to each other: workers and coordinator over Locust's channel, parent by pipes."""

from typing import Any

import msgspec

from convload.errors import ConvloadError, ExitCode, SetupFailedError
from convload.load.processes.rules import Rules
from convload.plan.schedule import Loss, Stage
from convload.results.cells import CellKey, Cells
from convload.results.packing import Packed
from convload.results.runlog import Interval, Note

CHANNEL = "convload.message"
"""The one kind of Locust's messages that all of ours are; each carries a tag that says which it is."""


START_DELAY_S = 0.3
"""From the message that names the instant of the start to that instant, so that it has reached every worker."""

MOST_PROBLEMS, MOST_CHARACTERS = 10, 1_000
"""Of a failure: with every character escaped it still fits the pipe to the parent, which holds 64 KiB."""


class ProcessMessage(msgspec.Struct, frozen=True, tag=True):
    """What is sent; its tag is the name of its class."""

    def encode(self) -> bytes:
        """Returns it as JSON without a line break, so that one a line can be sent through a pipe."""
        return msgspec.json.encode(self)


# -- both ways --


class SetupFailure(ProcessMessage, frozen=True):
    """Why a set-up stopped: worker → coordinator → parent, or coordinator → worker that cannot take part."""

    exit_code: ExitCode
    problems: list[str]

    @classmethod
    def of(cls, error: ConvloadError) -> "SetupFailure":
        """Returns what other processes are told of an error."""
        return cls(error.exit_code, [text[:MOST_CHARACTERS] for text in error.problems[:MOST_PROBLEMS]])

    def error(self) -> SetupFailedError:
        """Returns it as what is raised where it came to."""
        return SetupFailedError(self.exit_code, *self.problems)


class Stop(ProcessMessage, frozen=True):
    """Parent → coordinator: end the run now; coordinator → workers: start nothing more, finish what is in flight."""


class Finish(ProcessMessage, frozen=True):
    """Parent → coordinator → workers: a run that is held open ends with the stages it has."""


# -- worker → coordinator --


class Hello(ProcessMessage, frozen=True):
    """Here I am. Only now may it be spoken to: Locust loses a message whose listener is not registered yet.

    The version decides: a worker of another one would build other payloads or count otherwise. The `ticket` is what the
    parent gave to a worker that it started, "" for one from elsewhere.
    """

    version: str
    ticket: str = ""


class Ready(ProcessMessage, frozen=True):
    """It is set up."""


class Pong(ProcessMessage, frozen=True):
    """The ping's own time, and when it came by the two clocks of the worker: the one that nobody sets, and the date."""

    sent_s: float
    at_s: float
    at_unix_s: float


class Measured(ProcessMessage, frozen=True):
    """The results of a second or less: an interval without cells, and these packed."""

    interval: Interval
    keys: tuple[CellKey, ...] = ()
    counts: list[int] = []
    times: str = ""

    @classmethod
    def of(cls, interval: Interval) -> "Measured":
        """Returns what is sent of an interval."""
        cells = Cells.of(interval.cells)
        return cls(msgspec.structs.replace(interval, cells=[]), cells.keys, cells.counts, cells.times().pack(level=1))

    def whole(self) -> Interval:
        """Returns the interval with its cells; raises RunLogError where they are damaged."""
        cells = Cells(self.keys, self.counts, Packed.of(self.times))
        return msgspec.structs.replace(self.interval, cells=Cells(self.keys, self.counts, cells.times()))


class Noted(ProcessMessage, frozen=True):
    """What the run log is to say of this worker."""

    note: Note


class Leaving(ProcessMessage, frozen=True):
    """Somebody ends this worker; what is in flight will still be reported."""


# -- coordinator → worker --


class Setup(ProcessMessage, frozen=True):
    """All that a worker needs, so that its machine needs convload alone.

    `target` is the URL that the plan's target stands for, `target_b` that of the other one, "" without;
    `payload_files` maps paths to texts; `replay` is the text of the recorded starts, "" without. A run that is
    `held_open` goes on behind its last stage until `Finish` comes.
    """

    plan: dict[str, Any]
    worker: int
    workers: int
    run_id: str
    target: str
    payload_files: dict[str, str]
    locustfile: str
    replay: str = ""
    target_b: str = ""
    held_open: bool = False
    grace_s: float = 0.0
    """How long the channel may be cut before the worker is given up."""
    made_up_credentials: dict[str, str] = {}
    """Variables for the embedded mock, which open no door elsewhere; real credentials never travel."""


class Ping(ProcessMessage, frozen=True):
    """Before the start: what does your clock say? By the coordinator's, which nobody sets, it is `sent_s`."""

    sent_s: float


class Start(ProcessMessage, frozen=True):
    """When the first user may fire, by `time.monotonic` of the worker that receives it."""

    at_s: float


class More(ProcessMessage, frozen=True):
    """The load goes on with these stages; the first begins at `starts_s`.

    In the closed model they say for how long the users go on; their rates mean nothing. Where it `replaces`, they take
    the place of all that was still to come then, and in the closed model say how many users there are.
    """

    stages: list[Stage]
    starts_s: float
    replaces: bool = False

    @property
    def ends_s(self) -> float:
        """When the last of them ends."""
        return self.starts_s + sum(stage.duration_s for stage in self.stages)


class TakeOver(ProcessMessage, frozen=True):
    """Another worker is lost; some of its arrivals are yours now."""

    loss: Loss


class GivenUp(ProcessMessage, frozen=True):
    """You were silent for too long, others have your arrivals: end at once."""


# -- parent and its children --


class Admission(ProcessMessage, frozen=True):
    """Parent → worker, the first line of its standard input: what opens the channel, proves whose it is, limits it.

    The channel is that of the coordinator at `host` and `port`. `credentials` are the variables that hold who we are to
    the target.
    """

    host: str
    port: int
    key: str
    ticket: str
    rules: Rules
    credentials: dict[str, str] = {}


class Job(ProcessMessage, frozen=True):
    """Parent → coordinator, the first line of its standard input.

    It is to listen on `host`, at a free port if `port` is 0, and the workers have `join_within_s` to come: those that
    the parent starts, one for each of the `tickets`, and from elsewhere what is left of all.
    """

    setup: Setup
    run_log: str
    key: str
    tickets: list[str]
    join_within_s: float = 60.0
    host: str = "127.0.0.1"
    port: int = 0
    grace_s: float = 0.0
    """How long a worker from elsewhere may be silent before it is given up."""

    least_workers: int = 0
    """How many are enough when the time to come is over; 0: all."""


class AddStages(ProcessMessage, frozen=True):
    """Parent → coordinator: let these follow the last stage, or begin at once where it is over."""

    stages: list[Stage]


class ReplaceStages(ProcessMessage, frozen=True):
    """Parent → coordinator: let these take the place of what is still to come; with none the load ends."""

    stages: list[Stage]


class Listening(ProcessMessage, frozen=True):
    """Coordinator → parent, the first line: where workers join. At the end may come a `SetupFailure`."""

    port: int


ToCoordinator = Hello | Ready | SetupFailure | Pong | Measured | Noted | Leaving
ToWorker = Setup | SetupFailure | Ping | Start | More | Finish | TakeOver | Stop | GivenUp
ToParent = Listening | SetupFailure
Command = Stop | AddStages | ReplaceStages | Finish
"""Parent → coordinator, one a line, behind the job."""
