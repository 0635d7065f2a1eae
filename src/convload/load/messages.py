"""What the processes of a run say to each other: workers and coordinator over Locust's channel, parent by pipes."""

from typing import Any

import msgspec

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


class Hello(msgspec.Struct, frozen=True):
    """The version decides: a worker of another one would build other payloads or count otherwise."""

    version: str


class Setup(msgspec.Struct, frozen=True):
    """All that a worker needs, so that its machine needs convload alone.

    `target` is the URL that the plan's target stands for; `payload_files` maps paths to texts; `replay` is the text
    of the recorded starts, "" without.
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


class Ready(msgspec.Struct, frozen=True):
    """No problems: ready. Else what stopped the set-up, and the exit code it means."""

    exit_code: int = 0
    problems: list[str] = []


class Start(msgspec.Struct, frozen=True):
    """When the first user may fire, by the wall clock."""

    at_unix_s: float


class Job(msgspec.Struct, frozen=True):
    """Parent → coordinator, the first line of its standard input."""

    setup: Setup
    run_log: str


class Listening(msgspec.Struct, frozen=True):
    """Coordinator → parent, the first line: where workers join. At the end may come a `Ready` with problems."""

    port: int
