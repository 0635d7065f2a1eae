"""The coordinator process: hands the plan to the workers, starts and ends the run, writes the run log.

Theory of operation
===================

Three kinds of processes, and who says what to whom (`messages`)::

             Job, AddStages, Finish, Stop              Setup, Ping, Start, More, TakeOver, Stop …
    parent ───────────────────────────────▶ coordinator ─────────────────────────────────────▶ workers
           ◀───────────────────────────────      │      ◀─────────────────────────────────────
             Listening, perhaps SetupFailure          ▼        Hello, Ready, Pong, Measured, Leaving …
                                             run.jsonl

The run goes through five phases, one after the other, in `run`: all join; all are set up; their clocks are measured;
the load goes on; the last results come. Beside it stands a state for each worker::

    Hello ──▶ JOINED ──Ready──▶ READY ──last interval──────────────▶ FINISHED
                │                │ └──Leaving──▶ LEAVING ──the same──▶ FINISHED
                │                └──────┬───────────┘
             silent:                 silent, or no last interval in time
   others are awaited: forgotten        ▼
        else the set-up fails         LOST: GivenUp is sent, others take its arrivals over

**Who may change what.** What a worker says moves its own state forward (`_on_message`), and only `_give_up` makes one
LOST; nothing leads out of FINISHED or LOST. Everything runs in greenlets of one thread, so a change needs no lock;
but sending may let another greenlet run, so each state is changed *before* anything follows from it: whoever is lost
at the same time inherits nothing, and nobody's arrivals are given away twice. The schedule, and who carries which
part of it, are of `Losses` alone. When the run ends is `_ends_s`, which only the parent's commands move.

**Why it cannot hang.** Each phase waits for something that a deadline replaces: `join_within_s`, `SETUP_TIMEOUT_S`,
`EXCHANGES_TIMEOUT_S`; in the load a worker that is silent for `SILENT_S`, or from elsewhere for the grace, is lost, and
so is one that does not finish within the planned end, twice the drain, the grace and `ENDING_SLACK_S`. So everybody
becomes FINISHED or LOST, and then the run is over. A run that is held open has no planned end; there the parent says
`Finish`, or it dies, its pipe closes, and that is a `Stop`. No two processes wait for each other: the parent's words
are read without blocking, and what it is told fits a pipe.

**Why nothing is lost unsaid.** A worker sends its last interval only when its users are gone and what was in flight
is recorded, and ends only when it is told so, which is when everybody is FINISHED or LOST. What is sent comes once and
in order though the way be cut (`line`), so the last interval of a worker says that all came. The intervals of a second
are in the log, added up (`merging`), when the last of them has come or a second after the first; while the disk is full
they wait in memory. What a lost worker did after its last interval nobody knows: the log says for how many arrivals
that holds. Of what it still sends nothing is recorded, since others fire its arrivals by then. The parent writes to the
same log, each record in one piece behind the last one.
A message that cannot be read is noted there too, and makes the run no evidence.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import convload.load.processes.patching  # noqa: F401 -- before Locust, whose import patches  # isort: skip
import gevent
import locust
import msgspec
from gevent.event import Event
from locust.env import Environment
from locust.rpc import protocol

from convload.errors import ConvloadError, ExitCode, SetupFailedError, UsageError
from convload.load.processes import messages
from convload.load.processes.channel import secure
from convload.load.processes.intake import Intake
from convload.load.processes.line import Line
from convload.load.processes.losses import Losses
from convload.load.processes.members import Member, Members, Silences, State
from convload.load.processes.messages import CHANNEL, Hello, Job, More, ProcessMessage, SetupFailure, ToCoordinator
from convload.load.processes.parent import Parent
from convload.load.processes.setup import listen, load_users, measure_clocks, spawn_users
from convload.plan.plan import Plan, marks
from convload.plan.schedule import Stage
from convload.results.merging import Merger
from convload.results.runlog import Ended, Extended, Note, Record, StageAdded, StagesCut, Started
from convload.results.writing import PatientWriter

SETUP_TIMEOUT_S = 300.0
"""For all workers to be set up, a large pool of consumers included."""

SETUP_SILENT_S = 15.0
"""For a worker to be given up while it is set up, which may keep it from its heartbeat for some seconds."""

SILENT_S = 3.5
"""For a worker to be given up in the run. It is heard twice a second or so: by a heartbeat and by an interval."""

TAKE_OVER_DELAY_S = 0.2
"""From the message to the first arrival taken over, so that it has reached the others."""

ENDING_SLACK_S = 15.0  # beyond the planned end and drain, before a silent worker is given up

POLL_S, LAST_WORDS_MS = 0.05, 500

logger = logging.getLogger(__name__)


class Coordinator:
    """Runs one job over Locust's master runner; the run log is open for appending.

    Raises:
        UsageError: it cannot listen where it is to.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._plan = msgspec.convert(job.setup.plan, Plan)
        self._log = PatientWriter(Path(job.run_log), logger.warning)
        self._intake = Intake()
        self._lines: dict[str, Line] = {}
        users = load_users(job.setup.locustfile, self._plan.locustfile)
        self._environment = Environment(events=locust.events, user_classes=users)
        self._runner = listen(self._environment, job.host, job.port)
        self._runner.register_message(CHANNEL, self._on_message)
        self._environment.events.heartbeat_sent.add_listener(self._on_heartbeat)
        self._merger = Merger(self._write, 1000 * self._plan.validity.lateness_p99_ms)
        self._losses = Losses(self._plan, job.setup)
        self._ends_s = self._schedule_ends_s = self._plan.ends_after_s
        if job.setup.held_open:
            self._ends_s = None
        self._members = Members(job.setup.workers, job.tickets)
        self._silences = Silences()
        self._started_s: float | None = None
        self._stopping, self._is_gathering = Event(), job.least_workers > 0
        self.port: int = self._runner.server.port

    # -- the workers' messages --

    def _on_heartbeat(self, client_id: str, **_: Any) -> None:
        self._silences.end(client_id)
        self._line(client_id).repeat()

    def _on_message(self, msg: Any, **_: Any) -> None:
        gevent.sleep(0)  # a second of 2,000 workers takes most of one: all else has its turn between two messages
        member, line = self._members.get(msg.node_id), self._line(msg.node_id)
        data = line.take(msg.data)
        line.repeat()
        if data is None:
            return
        message = self._intake.read(data, is_of_worker=member is not None)
        if isinstance(message, Hello):
            self._welcome(msg.node_id, message)
        elif message is not None and member is not None and member.state != State.LOST:
            self._receive(member, message)

    def _welcome(self, node: str, hello: Hello) -> None:
        member = self._members.admit(node, hello)
        if member is None:
            self._send(node, SetupFailure(ExitCode.USAGE, [self._members.refused[node]]))
            return
        self._silences.end(node)
        if member.state == State.JOINED and not self._is_gathering:
            self._set_up(member)

    def _set_up(self, member: Member) -> None:
        grace_s = 0.0 if member.is_ours else self._job.grace_s
        self._send(member.node, msgspec.structs.replace(self._job.setup, worker=member.number, grace_s=grace_s))

    def _receive(self, member: Member, message: ToCoordinator) -> None:
        match message:
            case messages.Ready() if member.state == State.JOINED:
                member.state = State.READY
            case SetupFailure():
                member.failure = message
            case messages.Pong():
                member.note(message)
            case messages.Noted(note):
                if self._intake.takes_note():
                    self._write(note)
            case messages.Leaving() if member.state == State.READY:
                member.state = State.LEAVING
                at_s = self._elapsed_s()
                what = f"worker {member.number} was interrupted at {at_s:.1f} s; {self._hand_over(member, at_s)}"
                self._write(Note(at_s, what, invalidates=True))
            case messages.Measured() if interval := self._intake.take(message, member.number, self._elapsed_s()):
                self._silences.end(member.node)
                self._losses.note(message.interval)
                self._merger.add(interval)
                if interval.last:
                    member.state, member.left_open = State.FINISHED, interval.left_open
                    self._merger.workers -= 1

    def _send(self, node: str, message: ProcessMessage) -> None:
        self._line(node).send(message.encode())

    def _line(self, node: str) -> Line:
        if node not in self._lines:
            self._lines[node] = Line(lambda data: self._runner.send_message(CHANNEL, data, node))
        return self._lines[node]

    def _send_to_all(self, message: ProcessMessage) -> None:
        for member in self._members:
            self._send(member.node, message)

    def _write(self, record: Record) -> None:
        """Writes a record; while the disk is full it is kept and tried again with the next one, or the run ends."""
        if problem := self._log.write(record):
            logger.warning("the run log cannot be written (%s); results wait in memory", problem)
            if self._plan.on_full == "stop":
                self._stop()

    # -- the run --

    def run(self, commands: Iterator[messages.Command]) -> None:
        """Does the whole run, and meanwhile what the parent says; raises ConvloadError where the set-up failed."""
        gevent.spawn(self._obey_all, commands)
        self._wait_until_ready()
        self._start()
        self._wait_until_finished()
        self._merger.flush(hold_s=0.0)
        server = self._runner.server
        for note in self._intake.notes(self._elapsed_s(), server.dropped, server.refused.count):
            self._write(note)
        for why in dict.fromkeys(self._members.refused.values()):
            self._write(Note(self._elapsed_s(), f"a worker was refused: {why}"))
        self._write(Ended(self._elapsed_s(), left_open=sum(member.left_open for member in self._members)))
        if lost := self._log.end(self._elapsed_s()):
            logger.error("%s", lost)

    def quit(self) -> None:
        """Ends the workers and the runner."""
        for member in self._members:
            self._runner.send_message("quit", None, member.node)
        gevent.sleep(POLL_S)
        self._runner.greenlet.kill(block=True, timeout=1)
        self._runner.server.close(linger=LAST_WORDS_MS)

    def _obey_all(self, commands: Iterator[messages.Command]) -> None:
        """Does what the parent says, which says itself why in the log; stops the run when the parent is gone."""
        for command in commands:
            self._obey(command)
        if not self._stopping.is_set():
            text = "interrupted: the process that started the run is gone"
            self._write(Note(self._elapsed_s(), text, interrupted=True))
            self._stop()

    def _obey(self, command: messages.Command) -> None:
        match command:
            case messages.AddStages(stages):
                self._add(stages)
            case messages.ReplaceStages(stages):
                self._add(stages, replaces=True)
            case messages.Finish():
                self._losses.finish()
                self._ends_s = self._schedule_ends_s
                self._send_to_all(messages.Finish())
            case _:
                self._stop()

    def _add(self, stages: list[Stage], *, replaces: bool = False) -> None:
        if self._stopping.is_set():
            return
        soonest_s = self._elapsed_s() + messages.START_DELAY_S + self._members.round_trip_s()
        starts_s = soonest_s if replaces else max(self._schedule_ends_s or 0.0, soonest_s)
        more = More(stages, starts_s, replaces=replaces)
        self._losses.go_on(more)
        self._schedule_ends_s = more.ends_s
        if not self._job.setup.held_open:
            self._ends_s = more.ends_s
        for member in self._members.taking_part():
            self._send(member.node, more)
        if replaces:
            self._write(StagesCut(self._elapsed_s(), more.starts_s))
        if self._plan.model == "closed" and not replaces:
            self._write(Extended(self._elapsed_s(), more.ends_s))
        else:
            for mark in marks(more.stages, more.starts_s):
                self._write(StageAdded(self._elapsed_s(), mark))

    def _stop(self) -> None:
        self._stopping.set()
        self._send_to_all(messages.Stop())

    def _wait_until_ready(self) -> None:
        self._wait(
            lambda: len(self._members) - len(self._unheard()),
            self._job.join_within_s,
            "connected",
            self._job.least_workers,
        )
        self._begin_with_those_here()
        self._wait(self._members.count_ready, SETUP_TIMEOUT_S, "were set up")
        self._members.require_no_failure()

    def _begin_with_those_here(self) -> None:
        """Divides the load among those who have come; a share depends on their number, so they are set up only now."""
        if not self._is_gathering:
            return
        self._go_without(self._unheard())
        self._is_gathering, here, expected = False, len(self._members), self._job.setup.workers
        if here < expected:
            who = self._members.describe()
            self._write(Note(0.0, f"{here} of {expected} workers came in time and share the load: {who}"))
        self._members.close()
        self._job = msgspec.structs.replace(self._job, setup=msgspec.structs.replace(self._job.setup, workers=here))
        self._losses = Losses(self._plan, self._job.setup)
        list(map(self._set_up, self._members))

    def _wait(self, count: Callable[[], int], timeout_s: float, reached: str, enough: int = 0) -> None:
        """Waits until all workers are so far, in the end for enough of them, or one has failed."""
        for _ in self._members.await_all(count, self._job.setup.workers, timeout_s, reached, enough):
            if self._stopping.is_set():
                raise SetupFailedError(ExitCode.INTERRUPTED, "interrupted before the run began")
            self._go_without(self._silent(SETUP_SILENT_S, self._job.grace_s))
            gevent.sleep(POLL_S)

    def _unheard(self) -> list[Member]:
        return self._members.unheard(self._silences, SILENT_S) if self._is_gathering else []

    def _go_without(self, gone: list[Member]) -> None:
        """Frees the places of workers that died while others were awaited; who has a share already is not replaced."""
        for member in gone:
            if member.is_ours or not self._is_gathering:
                raise UsageError(f"worker {member.number}: went silent while it was set up")
            self._write(Note(0.0, said := self._members.drop(member)))
            self._send(member.node, SetupFailure(ExitCode.USAGE, [said]))

    def _silent(self, ours_s: float, others_s: float) -> list[Member]:
        """Returns the workers that take part and were not heard for so long: ours, and others."""
        self._silences.look()
        limits = ((one, ours_s if one.is_ours else max(ours_s, others_s)) for one in self._members.taking_part())
        return [one for one, limit_s in limits if self._silences.length_s(one.node) > limit_s]

    def _start(self) -> None:
        measure_clocks(self._members, self._send)
        delay_s = messages.START_DELAY_S + self._members.round_trip_s()
        self._started_s = started_s = time.monotonic() + delay_s
        self._merger.workers = len(self._members.taking_part())
        offsets_ms = [round(1000 * member.clock_offset_s, 3) for member in self._members]
        self._write(Started(time.time() + delay_s, self._job.setup.workers, offsets_ms))
        for member in self._members:
            self._send(member.node, messages.Start(started_s + member.ahead_s))
        if self._plan.model == "closed":
            gevent.sleep(max(started_s - time.monotonic(), 0.0))
        gevent.spawn(spawn_users, self._runner, self._plan, self._job.setup)

    def _wait_until_finished(self) -> None:
        slack_s = 2 * self._plan.drain_s + ENDING_SLACK_S + self._job.grace_s
        while self._members.taking_part():
            gevent.sleep(POLL_S)
            self._merger.flush()
            self._members.require_no_failure()  # a run in which no user can start is called off
            self._give_up(self._silent(SILENT_S, self._job.grace_s), "")
            if self._ends_s is not None and self._elapsed_s() > self._ends_s + slack_s:
                self._give_up(self._members.taking_part(), "it sent no last interval in time; ")

    def _give_up(self, members: list[Member], why: str) -> None:
        for member in members:
            member.state = State.LOST  # first, so that none of them inherits from another
        self._merger.workers -= len(members)
        for member in members:
            self._account_for(member, why)
        if members and self._plan.on_lost_worker == "stop" and not self._stopping.is_set():
            self._stop()

    def _account_for(self, member: Member, why: str) -> None:
        at_s, node = self._elapsed_s(), member.node
        outcome = self._hand_over(member, at_s)
        self._write(self._losses.record(member.number, at_s, why, outcome))
        self._send(node, messages.GivenUp())
        # Locust would note it only later, and take it back when it is heard again.
        self._runner.handle_message(node, protocol.Message("quit", None, node))

    def _hand_over(self, member: Member, at_s: float) -> str:
        """Gives a worker's share to those who are left, if anybody is to have it; returns what was done with it."""
        heirs = [] if self._stopping.is_set() else [one for one in self._members if one.state == State.READY]
        from_s = at_s + TAKE_OVER_DELAY_S
        loss, outcome = self._losses.hand_over(member.number, [heir.number for heir in heirs], from_s)
        if loss is not None:
            for heir in heirs:
                self._send(heir.node, messages.TakeOver(loss))
        return outcome

    def _elapsed_s(self) -> float:
        return 0.0 if self._started_s is None else round(time.monotonic() - self._started_s, 3)


def main() -> None:
    """Runs `python -m convload.load.processes.coordinator`; prints its port, at the end how it went, as JSON lines."""
    logging.basicConfig(level=logging.WARNING, format="convload coordinator: %(message)s")
    logging.getLogger("locust").setLevel(logging.ERROR)  # it warns of any start of many users at once
    parent, coordinator = Parent(), None
    try:
        job = parent.read_first(Job)
        secure(job.key)
        coordinator = Coordinator(job)
        parent.answer(messages.Listening(coordinator.port))
        coordinator.run(parent.commands())
    except ConvloadError as error:
        parent.answer(SetupFailure.of(error))
    finally:
        if coordinator is not None:
            coordinator.quit()


if __name__ == "__main__":
    main()
