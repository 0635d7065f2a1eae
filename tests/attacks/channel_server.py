"""Locust's master behind our channel, as a process of its own: prints its port, each greeting, and what it dropped."""

import json
import sys

import locust
from gevent.event import Event
from locust.env import Environment

from convload.load.processes.channel import secure


def say(words: dict[str, object]) -> None:
    """Writes a line for the test."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the key from standard input; ends when somebody greets it with "end"."""
    secure(sys.stdin.readline().strip())
    environment = Environment(events=locust.events)
    runner = environment.create_master_runner("127.0.0.1", 0)
    ended = Event()

    def greet(msg: object, **_: object) -> None:
        greeting = (getattr(msg, "data", b"") or b"").decode()
        say({"greeting": greeting, "dropped": dict(runner.server.dropped), "refused": runner.server.refused.count})
        if greeting == "end":
            ended.set()

    runner.register_message("convload.hello", greet)
    say({"port": runner.server.port})
    ended.wait()


main()
