"""What the processes of a run say to each other: workers and coordinator over Locust's channel, parent by pipes."""

from typing import Any

import msgspec

from convload.plan.schedule import Stage

HELLO = "convload.hello"
"""Worker → coordinator: here I am, with my version. Only now may it be spoken to: Locust loses a message
whose listener is not registered yet."""

SETUP = "convload.setup"
"""Coordinator → worker: the plan and the files of the run."""

READY = "convload.ready"
"""Worker → coordinator: set up, or why not."""

START = "convload.start"
"""Coordinator → workers: the instant of the start."""

INTERVAL = "convload.interval"
"""Worker → coordinator: a second's results, as an encoded `runlog.Interval`."""

NOTE = "convload.note"
"""Worker → coordinator: a `runlog.Note` for the run log."""

STOP = "convload.stop"
"""Coordinator → workers: start no more conversations, finish those in flight."""

REFUSED = "convload.refused"
"""Coordinator → worker: you cannot take part, as a `Ready` that says why."""

PING = "convload.ping"
"""Coordinator → worker, before the start: what does your clock say?"""

PONG = "convload.pong"
"""Worker → coordinator: this."""

TAKE_OVER = "convload.take_over"
"""Coordinator → worker: these arrivals of another one are yours now."""

GIVEN_UP = "convload.given_up"
"""Coordinator → worker: you were silent for too long, others have your arrivals; end at once."""

MORE = "convload.more"
"""Coordinator → worker: the load goes on, with these stages."""

FINISH = "convload.finish"
"""Coordinator → worker: no more stages will come."""

LEAVING = "convload.leaving"
"""Worker → coordinator: somebody ends me; what is in flight will still be told."""


class Hello(msgspec.Struct, frozen=True):
    """The version decides: a worker of another one would build other payloads or count otherwise."""

    version: str


class Setup(msgspec.Struct, frozen=True):
    """All that a worker needs, so that its machine needs convload alone.

    `target` is the URL that the plan's target stands for, `target_b` that of the other one, "" without;
    `payload_files` maps paths to texts; `replay` is the text of the recorded starts, "" without. A run that is
    `held_open` goes on behind its last stage until it is told that no more will come.
    """

    plan: dict[str, Any]
    worker: int
    workers: int
    run_id: str
    target: str
    ca_pem: str
    payload_files: dict[str, str]
    locustfile: str
    replay: str = ""
    target_b: str = ""
    held_open: bool = False


class Ready(msgspec.Struct, frozen=True):
    """No problems: ready. Else what stopped the set-up, and the exit code it means."""

    exit_code: int = 0
    problems: list[str] = []


class Start(msgspec.Struct, frozen=True):
    """When the first user may fire, by the clock of the worker that is told so."""

    at_unix_s: float


class Ping(msgspec.Struct, frozen=True):
    """By the coordinator's clock."""

    sent_unix_s: float


class Pong(msgspec.Struct, frozen=True):
    """The ping's own time, and the worker's clock when it came."""

    sent_unix_s: float
    at_unix_s: float


class Cut(msgspec.Struct, frozen=True):
    """Of the arrivals that are due from `from_s` on, each `survivors`-th, beginning with number `position`."""

    from_s: float
    position: int
    survivors: int


class Share(msgspec.Struct, frozen=True):
    """Arrivals that the schedule dealt to one worker; each cut leaves a part of what the ones before have left."""

    worker: int
    cuts: list[Cut] = []


class TakeOver(msgspec.Struct, frozen=True):
    """What a worker gets of a lost one's arrivals, and how many workers the run now has."""

    shares: list[Share]
    workers: int


class More(msgspec.Struct, frozen=True):
    """Stages that were decided on while the run goes on; the first begins at `starts_s`.

    In the closed model they say for how long the users go on; their rates mean nothing.
    """

    stages: list[Stage]
    starts_s: float

    @property
    def ends_s(self) -> float:
        """When the last of them ends."""
        return self.starts_s + sum(stage.duration_s for stage in self.stages)


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Parent → coordinator: end the run now."""


class AddStages(msgspec.Struct, frozen=True, tag="add"):
    """Parent → coordinator: let these follow the last stage, or begin at once where it is over."""

    stages: list[Stage]


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """Parent → coordinator: a run that is held open ends with the stages it has."""


Command = Stop | AddStages | Finish
"""One a line, behind the job."""


class Job(msgspec.Struct, frozen=True):
    """Parent → coordinator, the first line of its standard input.

    It is to listen on `host`, at a free port if `port` is 0, and the workers have `join_within_s` to come.
    """

    setup: Setup
    run_log: str
    join_within_s: float = 60.0
    host: str = "127.0.0.1"
    port: int = 0


class Listening(msgspec.Struct, frozen=True):
    """Coordinator → parent, the first line: where workers join. At the end may come a `Ready` with problems."""

    port: int
