"""The coordinator process: hands the plan to the workers, starts and ends the run, writes the run log."""

import logging
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import gevent
import locust
import msgspec
from gevent.event import Event
from gevent.os import make_nonblocking, nb_read
from locust.env import Environment
from locust.runners import STATE_MISSING

from convload import __version__
from convload.errors import ConvloadError, ExitCode, SetupFailedError, UsageError
from convload.load import messages
from convload.load.locustfile import load_users
from convload.load.messages import Hello, Job, Listening, Ready, Start
from convload.plan import Plan
from convload.results.runlog import Ended, Interval, Note, Record, RunLogWriter, Started, WorkerLost

JOIN_TIMEOUT_S = 60.0
"""For all workers to connect: a process of Python with Locust takes a second or two to start."""

SETUP_TIMEOUT_S = 300.0
"""For all workers to be set up, a large pool of consumers included."""

START_DELAY_S = 0.3
"""From the message to the start, so that it has reached every worker."""

ENDING_SLACK_S = 15.0
"""Beyond the planned end and drain, before a silent worker is given up."""

EXPECTED_SERVICE_S = 0.05
"""Of a healthy target: by Little's law rate × this is how many users an open load needs at once."""

POLL_S = 0.05

logger = logging.getLogger(__name__)


class Coordinator:
    """Runs one job over Locust's master runner; the run log is open for appending."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._plan = msgspec.convert(job.setup.plan, Plan)
        self._log = RunLogWriter(Path(job.run_log))
        self._unwritten: deque[Record] = deque()
        self._environment = Environment(events=locust.events, user_classes=load_users(job.setup.locustfile))
        self._runner = self._environment.create_master_runner("127.0.0.1", 0)
        self._runner.register_message(messages.HELLO, self._on_hello)
        self._runner.register_message(messages.READY, self._on_ready)
        self._runner.register_message(messages.INTERVAL, self._on_interval)
        self._runner.register_message(messages.NOTE, self._on_note)
        self._numbers: dict[str, int] = {}
        self._ready: dict[str, Ready] = {}
        self._finished: dict[str, int] = {}
        self._lost: set[str] = set()
        self._started_unix_s = 0.0
        self._stopping = Event()
        self.port: int = self._runner.server.port

    # -- the workers' messages --

    def _on_hello(self, msg: Any, **_: Any) -> None:
        hello = msgspec.json.decode(msg.data, type=Hello)
        number = self._numbers.setdefault(msg.node_id, len(self._numbers))
        if hello.version != __version__:
            problem = f"worker {number}: has convload {hello.version}; the coordinator has {__version__}"
            self._ready[msg.node_id] = Ready(int(ExitCode.USAGE), [problem])
            return
        setup = msgspec.structs.replace(self._job.setup, worker=number)
        self._runner.send_message(messages.SETUP, msgspec.json.encode(setup), msg.node_id)

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready[msg.node_id] = msgspec.json.decode(msg.data, type=Ready)

    def _on_interval(self, msg: Any, **_: Any) -> None:
        interval = msgspec.json.decode(msg.data, type=Interval)
        self._write(interval)
        if interval.last:
            self._finished[msg.node_id] = interval.left_open

    def _on_note(self, msg: Any, **_: Any) -> None:
        self._write(msgspec.json.decode(msg.data, type=Note))

    def _write(self, record: Record) -> None:
        """Writes a record; while the disk is full, keeps it and tries again with the next one."""
        self._unwritten.append(record)
        try:
            while self._unwritten:
                self._log.write(self._unwritten[0])
                self._unwritten.popleft()
        except OSError as error:
            logger.warning("the run log cannot be written (%s); results wait in memory", error.strerror)

    # -- the run --

    def run(self) -> None:
        """Does the whole run.

        Raises:
            ConvloadError: the set-up of the workers failed.
        """
        gevent.spawn(self._listen_to_parent)
        self._wait_until_ready()
        self._start()
        self._wait_until_finished()
        self._write(Ended(self._elapsed_s(), left_open=sum(self._finished.values())))
        self._log.close()
        if self._unwritten:
            logger.error("%d records of the run log could not be written", len(self._unwritten))

    def quit(self) -> None:
        """Ends the workers and the runner."""
        for node in self._numbers:
            self._runner.send_message("quit", None, node)
        gevent.sleep(POLL_S)
        self._runner.greenlet.kill(block=True, timeout=1)

    def _listen_to_parent(self) -> None:
        """Stops the run when the parent says so, which then says why in the log, or when it is gone."""
        if not nb_read(0, 1024):
            text = "interrupted: the process that started the run is gone"
            self._write(Note(self._elapsed_s(), text, interrupted=True))
        self._stopping.set()
        self._runner.send_message(messages.STOP)

    def _wait_until_ready(self) -> None:
        expected = self._job.setup.workers
        self._wait(lambda: len(self._numbers) == expected, JOIN_TIMEOUT_S, "workers: not all of them connected")
        self._wait(lambda: len(self._ready) == expected, SETUP_TIMEOUT_S, "workers: not all of them were set up")
        failed = [ready for ready in self._ready.values() if ready.exit_code]
        if failed:
            problems = dict.fromkeys(problem for ready in failed for problem in ready.problems)
            raise SetupFailedError(ExitCode(failed[0].exit_code), *problems)

    def _wait(self, reached: Any, timeout_s: float, what: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not reached():
            if self._stopping.is_set():
                raise SetupFailedError(ExitCode.INTERRUPTED, "interrupted before the run began")
            if time.monotonic() > deadline_s:
                raise UsageError(f"{what} within {timeout_s:g} s")
            if any(ready.exit_code for ready in self._ready.values()):
                return
            gevent.sleep(POLL_S)

    def _start(self) -> None:
        self._started_unix_s = time.time() + START_DELAY_S
        self._write(Started(self._started_unix_s, self._job.setup.workers))
        self._runner.send_message(messages.START, msgspec.json.encode(Start(self._started_unix_s)))
        if self._plan.model == "closed":
            gevent.sleep(self._started_unix_s - time.time())
        users = self._plan.users if self._plan.model == "closed" else self._first_users()
        spawn_rate = users / self._plan.ramp_s if self._plan.ramp_s else float(users)
        gevent.spawn(self._runner.start, users, spawn_rate)

    def _first_users(self) -> int:
        """Returns how many users an open load begins with; it grows as it needs."""
        rates = [max(stage.from_rate, stage.to_rate) for stage in self._plan.resolved_stages()] or [0.0]
        expected = int(max(rates) * EXPECTED_SERVICE_S)
        return min(max(expected, self._job.setup.workers), self._plan.max_in_flight)

    def _wait_until_finished(self) -> None:
        ends_s = self._plan.ends_after_s
        limit_s = None if ends_s is None else ends_s + 2 * self._plan.drain_s + ENDING_SLACK_S
        while len(self._finished) + len(self._lost) < len(self._numbers):
            gevent.sleep(POLL_S)
            late = limit_s is not None and self._elapsed_s() > limit_s
            for node, number in self._numbers.items():
                if node not in self._finished and node not in self._lost and (late or self._is_gone(node)):
                    self._lost.add(node)
                    why = "sent no last interval in time" if late else "does not answer any more"
                    self._write(WorkerLost(number, self._elapsed_s(), why))

    def _is_gone(self, node: str) -> bool:
        client = self._runner.clients.get(node)
        return client is None or client.state == STATE_MISSING

    def _elapsed_s(self) -> float:
        return round(time.time() - self._started_unix_s, 3) if self._started_unix_s else 0.0


def _read_job() -> Job:
    line = b""
    while not line.endswith(b"\n"):
        part = nb_read(0, 65536)
        if not part:
            raise UsageError("the coordinator is started by `convload run`, which gives it a job")
        line += part
    return msgspec.json.decode(line, type=Job)


def main() -> None:
    """Runs `python -m convload.load.coordinator`; prints its port, and at the end how it went, as JSON lines."""
    logging.basicConfig(level=logging.WARNING, format="convload coordinator: %(message)s")
    logging.getLogger("locust").setLevel(logging.ERROR)  # it warns of any start of many users at once
    make_nonblocking(0)
    coordinator = None
    try:
        coordinator = Coordinator(_read_job())
        _tell(Listening(coordinator.port))
        coordinator.run()
    except ConvloadError as error:
        _tell(Ready(int(error.exit_code), list(error.problems)))
    finally:
        if coordinator is not None:
            coordinator.quit()


def _tell(message: msgspec.Struct) -> None:
    os.write(1, msgspec.json.encode(message) + b"\n")


if __name__ == "__main__":
    main()
