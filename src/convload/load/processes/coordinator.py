"""The coordinator process: hands the plan to the workers, starts and ends the run, writes the run log."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import locust
import msgspec
from gevent.event import Event
from gevent.os import make_nonblocking, nb_read
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc.protocol import Message
from locust.runners import STATE_INIT

from convload import __version__
from convload.addresses import write_address
from convload.errors import ConvloadError, ExitCode, SetupFailedError, UsageError
from convload.load.processes import messages
from convload.load.processes.clocks import Clocks
from convload.load.processes.locustfile import load_users
from convload.load.processes.losses import Losses
from convload.load.processes.messages import (
    AddStages,
    Command,
    Finish,
    Hello,
    Job,
    Listening,
    More,
    Ping,
    Pong,
    Ready,
    Start,
)
from convload.load.processes.silence import Hearing
from convload.plan.plan import Plan, marks
from convload.plan.schedule import Stage
from convload.results.runlog import Ended, Extended, Interval, Note, Record, RunLogWriter, StageAdded, Started

SETUP_TIMEOUT_S = 300.0
"""For all workers to be set up, a large pool of consumers included."""

START_DELAY_S = 0.3
"""From the message to the start, so that it has reached every worker."""

SETUP_SILENT_S = 15.0
"""For a worker to be given up while it is set up, which may keep it from its heartbeat for some seconds."""

SILENT_S = 3.5
"""For a worker to be given up in the run. It is heard twice a second or so: by a heartbeat and by an interval."""

TAKE_OVER_DELAY_S = 0.2
"""From the message to the first arrival taken over, so that it has reached the others."""

EXCHANGES = 5
EXCHANGE_EVERY_S = 0.05
EXCHANGES_TIMEOUT_S = 2.0

ENDING_SLACK_S = 15.0
"""Beyond the planned end and drain, before a silent worker is given up."""

EXPECTED_SERVICE_S = 0.02
"""Of a quick target: by Little's law rate × this is how many users an open load needs at once. It begins with these,
and a slower target makes it grow; too many at the start would all connect at once."""

FIRST_USERS_A_WORKER = 10

POLL_S = 0.05

logger = logging.getLogger(__name__)


class Coordinator:
    """Runs one job over Locust's master runner; the run log is open for appending.

    Raises:
        UsageError: it cannot listen where it is to.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._plan = msgspec.convert(job.setup.plan, Plan)
        self._log = RunLogWriter(Path(job.run_log))
        self._unwritten: deque[Record] = deque()
        self._environment = Environment(events=locust.events, user_classes=load_users(job.setup.locustfile))
        self._runner = self._listen()
        self._losses = Losses(self._plan, job.setup)
        self._ends_s = self._schedule_ends_s = self._plan.ends_after_s
        if job.setup.held_open:
            self._ends_s = None
        self._clocks = Clocks()
        self._hearing = Hearing()
        self._numbers: dict[str, int] = {}
        self._ready: dict[str, Ready] = {}
        self._finished: dict[str, int] = {}
        self._lost: set[str] = set()
        self._leaving: set[str] = set()
        self._started_unix_s = 0.0
        self._stopping = Event()
        self.port: int = self._runner.server.port

    def _listen(self) -> Any:
        host, port = self._job.host, self._job.port
        try:
            runner = self._environment.create_master_runner(host, port)
        except (RPCError, SystemExit) as error:  # Locust ends the process where the port is taken
            raise UsageError(
                f"--bind {write_address(host, port)}: cannot be listened on, is it free and of this machine?"
            ) from error
        runner.register_message(messages.HELLO, self._on_hello)
        runner.register_message(messages.READY, self._on_ready)
        runner.register_message(messages.PONG, self._on_pong)
        runner.register_message(messages.INTERVAL, self._on_interval)
        runner.register_message(messages.NOTE, self._on_note)
        runner.register_message(messages.LEAVING, self._on_leaving)
        self._environment.events.heartbeat_sent.add_listener(self._on_heartbeat)
        return runner

    # -- the workers' messages --

    def _on_heartbeat(self, client_id: str, **_: Any) -> None:
        self._hearing.heard(client_id)

    def _on_hello(self, msg: Any, **_: Any) -> None:
        hello = msgspec.json.decode(msg.data, type=Hello)
        if msg.node_id not in self._numbers and len(self._numbers) == self._job.setup.workers:
            self._refuse(msg.node_id, f"the run has its {len(self._numbers)} workers already")
            return
        number = self._numbers.setdefault(msg.node_id, len(self._numbers))
        self._hearing.heard(msg.node_id)
        if hello.version != __version__:
            problem = f"worker {number}: has convload {hello.version}; the coordinator has {__version__}"
            self._ready[msg.node_id] = self._refuse(msg.node_id, problem)
            return
        self._send(messages.SETUP, msgspec.structs.replace(self._job.setup, worker=number), msg.node_id)

    def _refuse(self, node: str, problem: str) -> Ready:
        refusal = Ready(int(ExitCode.USAGE), [problem])
        self._send(messages.REFUSED, refusal, node)
        return refusal

    def _on_ready(self, msg: Any, **_: Any) -> None:
        self._ready[msg.node_id] = msgspec.json.decode(msg.data, type=Ready)

    def _on_pong(self, msg: Any, **_: Any) -> None:
        self._clocks.note(msg.node_id, msgspec.json.decode(msg.data, type=Pong))

    def _on_interval(self, msg: Any, **_: Any) -> None:
        if msg.node_id not in self._numbers or msg.node_id in self._lost:
            return  # the log has said what of it is missing, and others may have its share
        interval = msgspec.json.decode(msg.data, type=Interval)
        self._hearing.heard(msg.node_id)
        self._losses.note(interval)
        self._write(interval)
        if interval.last:
            self._finished[msg.node_id] = interval.left_open

    def _on_note(self, msg: Any, **_: Any) -> None:
        if msg.node_id in self._numbers and msg.node_id not in self._lost:
            self._write(msgspec.json.decode(msg.data, type=Note))

    def _on_leaving(self, msg: Any, **_: Any) -> None:
        node = msg.node_id
        if node not in self._numbers or node in self._lost or node in self._leaving:
            return
        self._leaving.add(node)
        number, at_s = self._numbers[node], self._elapsed_s()
        outcome = self._hand_over(number)
        self._write(Note(at_s, f"worker {number} was interrupted at {at_s:.1f} s; {outcome}", invalidates=True))

    def _send(self, kind: str, message: msgspec.Struct, node: str) -> None:
        self._runner.send_message(kind, msgspec.json.encode(message), node)

    def _tell_workers(self, kind: str) -> None:
        for node in self._numbers:
            self._runner.send_message(kind, None, node)

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
        self._tell_workers("quit")
        gevent.sleep(POLL_S)
        self._runner.greenlet.kill(block=True, timeout=1)

    def _listen_to_parent(self) -> None:
        """Does what the parent says, which says itself why in the log; stops the run when the parent is gone."""
        unread = b""
        while part := nb_read(0, 65536):
            *lines, unread = (unread + part).split(b"\n")
            for line in lines:
                self._obey(msgspec.json.decode(line, type=Command))
        if not self._stopping.is_set():
            text = "interrupted: the process that started the run is gone"
            self._write(Note(self._elapsed_s(), text, interrupted=True))
            self._stop()

    def _obey(self, command: Command) -> None:
        match command:
            case AddStages(stages):
                self._add(stages)
            case Finish():
                self._losses.finish()
                self._ends_s = self._schedule_ends_s
                self._tell_workers(messages.FINISH)
            case _:
                self._stop()

    def _add(self, stages: list[Stage]) -> None:
        if self._stopping.is_set():
            return
        soonest_s = self._elapsed_s() + START_DELAY_S + self._clocks.round_trip_s()
        more = More(stages, max(self._schedule_ends_s or 0.0, soonest_s))
        self._losses.go_on(more)
        self._schedule_ends_s = more.ends_s
        if not self._job.setup.held_open:
            self._ends_s = more.ends_s
        for node in self._taking_part():
            self._send(messages.MORE, more, node)
        if self._plan.model == "closed":
            self._write(Extended(self._elapsed_s(), more.ends_s))
        else:
            for mark in marks(more.stages, more.starts_s):
                self._write(StageAdded(self._elapsed_s(), mark))

    def _stop(self) -> None:
        self._stopping.set()
        self._tell_workers(messages.STOP)

    def _wait_until_ready(self) -> None:
        expected, join_within_s = self._job.setup.workers, self._job.join_within_s
        self._wait(lambda: len(self._numbers) == expected, join_within_s, lambda: f"{len(self._numbers)} connected")
        self._wait(lambda: len(self._ready) == expected, SETUP_TIMEOUT_S, lambda: f"{len(self._ready)} were set up")
        failed = [ready for ready in self._ready.values() if ready.exit_code]
        if failed:
            problems = dict.fromkeys(problem for ready in failed for problem in ready.problems)
            raise SetupFailedError(ExitCode(failed[0].exit_code), *problems)

    def _wait(self, reached: Callable[[], bool], timeout_s: float, how_many: Callable[[], str]) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not reached():
            if self._stopping.is_set():
                raise SetupFailedError(ExitCode.INTERRUPTED, "interrupted before the run began")
            if time.monotonic() > deadline_s:
                raise UsageError(f"workers: of {self._job.setup.workers} only {how_many()} within {timeout_s:g} s")
            if any(ready.exit_code for ready in self._ready.values()):
                return
            if gone := self._silent(SETUP_SILENT_S):
                raise UsageError(f"worker {self._numbers[gone[0]]}: went silent while it was set up")
            gevent.sleep(POLL_S)

    def _silent(self, limit_s: float) -> list[str]:
        """Returns the workers that take part and were not heard for so long."""
        self._hearing.look()
        return [node for node in self._taking_part() if self._hearing.silent_s(node) > limit_s]

    def _taking_part(self) -> list[str]:
        return [node for node in self._numbers if node not in self._finished and node not in self._lost]

    def _measure_clocks(self) -> None:
        for _ in range(EXCHANGES):
            for node in self._numbers:
                self._send(messages.PING, Ping(time.time()), node)
            gevent.sleep(EXCHANGE_EVERY_S)
        deadline_s = time.monotonic() + EXCHANGES_TIMEOUT_S
        while len(self._clocks) < len(self._numbers) and time.monotonic() < deadline_s:
            gevent.sleep(POLL_S)

    def _start(self) -> None:
        self._measure_clocks()
        self._started_unix_s = time.time() + START_DELAY_S + self._clocks.round_trip_s()
        offsets_ms = [round(1000 * self._clocks.offset_s(node), 3) for node in self._numbers]
        self._write(Started(self._started_unix_s, self._job.setup.workers, offsets_ms))
        for node in self._numbers:
            self._send(messages.START, Start(self._started_unix_s + self._clocks.offset_s(node)), node)
        if self._plan.model == "closed":
            gevent.sleep(self._started_unix_s - time.time())
        gevent.spawn(self._spawn_users)

    def _spawn_users(self) -> None:
        users = self._plan.users if self._plan.model == "closed" else self._first_users()
        self._runner.start(users, users / self._plan.ramp_s if self._plan.ramp_s else float(users))
        # In its state "running" Locust deals all users out anew when workers come or go: it would stop users in the
        # middle of a request. Who takes over is decided here alone.
        self._runner.update_state(STATE_INIT)

    def _first_users(self) -> int:
        """Returns how many users an open load begins with; it grows as it needs.

        Nobody knows what a run that is held open will need, and users that are added in the middle of a load come late.
        """
        if self._job.setup.held_open:
            return self._plan.max_in_flight
        rates = [max(stage.from_rate, stage.to_rate) for stage in self._plan.resolved_stages()] or [0.0]
        expected = int(max(rates) * EXPECTED_SERVICE_S)
        return min(max(expected, FIRST_USERS_A_WORKER * self._job.setup.workers), self._plan.max_in_flight)

    def _wait_until_finished(self) -> None:
        slack_s = 2 * self._plan.drain_s + ENDING_SLACK_S
        while self._taking_part():
            gevent.sleep(POLL_S)
            self._give_up(self._silent(SILENT_S), "")
            if self._ends_s is not None and self._elapsed_s() > self._ends_s + slack_s:
                self._give_up(self._taking_part(), "it sent no last interval in time; ")

    def _give_up(self, nodes: list[str], why: str) -> None:
        self._lost.update(nodes)  # first, so that none of them inherits from another
        for node in nodes:
            self._account_for(node, why)
        if nodes and self._plan.on_lost_worker == "stop" and not self._stopping.is_set():
            self._stop()

    def _account_for(self, node: str, why: str) -> None:
        number, at_s = self._numbers[node], self._elapsed_s()
        outcome = self._hand_over(number)
        self._write(self._losses.record(number, at_s, why, outcome))
        self._runner.send_message(messages.GIVEN_UP, None, node)
        # Locust would note it only later, and take it back when it is heard again.
        self._runner.handle_message(node, Message("quit", None, node))

    def _hand_over(self, number: int) -> str:
        """Gives a worker's share to those who are left, if anybody is to have it; returns what was done with it."""
        nodes = {} if self._stopping.is_set() else self._survivors()
        from_s = self._elapsed_s() + TAKE_OVER_DELAY_S
        given, outcome = self._losses.hand_over(number, list(nodes), from_s)
        for survivor, taken in given.items():
            self._send(messages.TAKE_OVER, taken, nodes[survivor])
        return outcome

    def _survivors(self) -> dict[int, str]:
        return {self._numbers[node]: node for node in self._taking_part() if node not in self._leaving}

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
    """Runs `python -m convload.load.processes.coordinator`; prints its port, at the end how it went, as JSON lines."""
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
