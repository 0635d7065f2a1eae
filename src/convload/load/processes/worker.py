"""A worker process: runs users, and sends what they measured to the coordinator once a second."""

import gc
import logging
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import convload.load.processes.patching  # noqa: F401 -- before Locust, whose import patches  # isort: skip
import gevent
import locust
import msgspec
from gevent.event import Event
from locust.env import Environment

from convload import __version__
from convload.addresses import write_address
from convload.errors import ConvloadError, ExitCode, TargetError, UsageError
from convload.load import stock
from convload.load.client.origin import tls_context
from convload.load.client.tracing import Tracing
from convload.load.conversation import close_left_open
from convload.load.pacing.closed import ClosedPacing
from convload.load.pacing.open import OpenPacing
from convload.load.pacing.protocol import Pacing
from convload.load.pacing.schedules import ONE_CLASS, AlternatingTargets, Schedule, users_of_one
from convload.load.processes import messages
from convload.load.processes.channel import Sockets, await_listener, is_refused, secure
from convload.load.processes.line import Line
from convload.load.processes.members import Silences
from convload.load.processes.messages import CHANNEL, More, ProcessMessage, Setup, SetupFailure, ToWorker
from convload.load.processes.parent import Parent
from convload.load.processes.reporting import Reporter
from convload.load.processes.rules import Rules
from convload.load.processes.setup import failure_in_file, load_users, raise_file_limit
from convload.load.recorder import Recorder
from convload.load.session import Session, Share
from convload.load.target import Target
from convload.load.users import ConversationUser
from convload.payloads.catalogue import Catalogue
from convload.plan.plan import MOCK, Plan, marks
from convload.plan.schedule import Loss, cut
from convload.results.measured import attempt_steps
from convload.results.runlog import Interval, Note

POLL_S = 0.02
LAST_RESULTS_S = 1.0
"""For users that the end cuts off to say what became of their requests."""

WATCH_S = 0.25
COORDINATOR_SILENT_S = 6.0
"""The coordinator answers every heartbeat, one a second. After this long without, nobody takes the results."""

COORDINATOR = "coordinator"
LAST_WORDS_S = 0.5
"""For the last messages of a worker that leaves to be on their way."""

ANSWER_TIMEOUT_S = 10.0
REFUSALS = 2
"""Handshakes that fail until the key is to blame; one may fail because the connection broke."""


class Worker:
    """Listens to one coordinator and does one run."""

    def __init__(self, host: str, port: int, rules: Rules, ticket: str = "") -> None:
        self._rules = rules
        self._grace_s = 0.0
        self._environment = Environment(events=locust.events)
        self._runner = self._environment.create_worker_runner(host, port)
        self._line = Line(lambda data: self._runner.send_message(CHANNEL, data))
        self._runner.register_message(CHANNEL, self._on_message)
        self._silences = Silences()
        self._silences.end(COORDINATOR)
        self._environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        self._ended = Event()
        self._started = self._leaving = False
        self._unsent = 0
        self._notes: set[str] = set()
        self._failure: SetupFailure | None = None
        self._send(messages.Hello(__version__, ticket))

    def join(self) -> SetupFailure | None:
        """Works until the coordinator says quit; returns why this worker could not take part, if it could not."""
        gevent.spawn(self._watch_coordinator)
        self._runner.greenlet.join()
        self._runner.client.close(linger=0)  # or the process might wait for ever for a coordinator that is gone
        return self._failure

    def leave(self) -> None:
        """Ends this worker before the run's end: at once, or when what is in flight has been reported."""
        if self._leaving or not self._started:
            _leave("interrupted", ExitCode.INTERRUPTED)
        self._leaving = True
        self._send(messages.Leaving())
        self._stop()

    def _send(self, message: ProcessMessage) -> None:
        self._line.send(message.encode())

    # -- the coordinator's messages --

    def _on_message(self, msg: Any, **_: Any) -> None:
        """Does what a message asks, before the next one is read; only what takes long goes its own way."""
        match self._read(msg.data):
            case Setup() as setup:
                gevent.spawn(self._answer_setup, setup)
            case messages.Ping(sent_s):
                self._send(messages.Pong(sent_s, time.monotonic(), time.time()))
            # At once: stages that are added or taken over count from the start, whose message may come just before.
            case messages.Start(at_s):
                self._start(at_s)
            case More() as more:
                self._go_on(more)
            case messages.TakeOver(loss):
                gevent.spawn(self._take_over, loss)
            case messages.Finish():
                self._finish()
            case messages.Stop():
                self._stop()
            case messages.GivenUp():
                _leave("the coordinator did not hear of this worker for too long and gave its share to others")
            case SetupFailure() as refusal:
                self._failure = refusal
                gevent.spawn(self._runner.greenlet.kill)

    def _read(self, data: bytes | None) -> ToWorker | None:
        try:
            message = self._line.take(data)
            return None if message is None else _messages.decode(message)
        except (ValueError, RecursionError):
            self._runner.client.dropped["a message of no kind that coordinators send"] += 1
            return None

    def _on_heartbeat(self, **_: Any) -> None:
        self._silences.end(COORDINATOR)
        self._line.repeat()
        self._runner.last_heartbeat_timestamp = None  # else Locust ends it when somebody sets the date of the machine

    def _answer_setup(self, setup: Setup) -> None:
        try:
            self._set_up(setup)
        except ConvloadError as error:
            self._failure = SetupFailure.of(error)
        except Exception as error:
            logging.getLogger(__name__).exception("the set-up of a worker failed")
            self._failure = SetupFailure(ExitCode.USAGE, [f"worker: {type(error).__name__}: {error}"])
        self._send(self._failure or messages.Ready())

    def _set_up(self, setup: Setup) -> None:
        plan = self._rules.apply(
            msgspec.convert(setup.plan, Plan),
            [setup.target, *filter(None, [setup.target_b])],
            setup.locustfile,
            setup.made_up_credentials,
        )
        raise_file_limit(plan, setup.workers)
        os.environ.update(setup.made_up_credentials)
        self._setup, self._grace_s = setup, setup.grace_s
        tracing = Tracing(plan.traced, setup.run_id)
        self._recorder = Recorder(setup.worker, attempt_steps(plan.retry), plan.seed, tracing)
        self._number = setup.worker
        self._environment.user_classes = load_users(setup.locustfile, plan.locustfile)
        pacing = self._make_pacing(plan, setup)
        self._session = Session(plan, Share(setup.worker, setup.workers, setup.run_id), pacing)
        self._session.on_note = self._note
        self._session.targets = list(self._targets(setup))
        for target in self._session.targets:
            target.payloads.require_mixes(getattr(user, "mix", "") for user in self._environment.user_classes)
            target.open(stock.needed_credentials(plan), os.environ)
        self._session.on_failed_start = self._call_off
        setattr(self._environment, stock.ATTRIBUTE, self._session)
        # What set-up made stays for the whole run: the collector need not look at it again.
        gc.collect()
        gc.freeze()

    def _call_off(self, user: object, error: Exception) -> None:
        if self._failure is None:
            where = f", in on_start of {type(user).__name__}"
            self._failure = SetupFailure.of(failure_in_file(error, self._session.plan.locustfile, where))
            self._send(self._failure)
        self._stop()

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.add(text)
            at_s = round(time.monotonic() - self._recorder.started_s, 3)
            self._send(messages.Noted(Note(at_s, f"worker {self._number}: {text}")))

    def _targets(self, setup: Setup) -> Iterator[Target]:
        session, plan, recorder = self._session, self._session.plan, self._recorder
        context = tls_context(self._rules.ca_pem, verify=plan.verify_tls)
        catalogue = Catalogue.from_files(setup.payload_files, samples=0)  # who sent them has tried them
        records = recorder.of_target("A") if setup.target_b else recorder
        yield Target(session, setup.target, context, catalogue, records, lookup=plan.lookup)
        if setup.target_b:
            # Only the embedded mock is found by a look-up that the plan did not ask for.
            lookup = plan.lookup and plan.target != MOCK
            yield Target(session, setup.target_b, context, catalogue, recorder.of_target("B"), lookup=lookup)

    def _make_pacing(self, plan: Plan, setup: Setup) -> Pacing:
        if plan.model == "closed":
            return ClosedPacing(plan, setup.worker, setup.workers)
        classes = [one for one in self._environment.user_classes if issubclass(one, ConversationUser)]
        weights = {one.__name__: float(one.weight or 1) for one in classes} or ONE_CLASS
        self._schedule = Schedule(plan, setup.workers, setup.replay, weights)
        ends_s = math.inf if setup.held_open else self._schedule.ends_s
        arrivals = self._schedule.arrivals(setup.worker)
        return OpenPacing(arrivals, ends_s, users_of_one(plan, setup.workers), self._grow)

    def _start(self, at_s: float) -> None:
        self._started = True
        plan, pacing, recorder = self._session.plan, self._session.pacing, self._recorder
        recorder.started_s = at_s
        recorder.measure_from_s = recorder.started_s + (plan.warmup_s or 0.0)
        recorder.stages = marks(plan.resolved_stages())
        if self._setup.target_b:
            self._session.alternation = AlternatingTargets(recorder.stages, recorder.started_s)
        pacing.start(recorder.started_s)
        recorder.measure_until_s = pacing.stop_s
        gevent.spawn(self._see_through)

    def _see_through(self) -> None:
        """Reports until the end of the run, and then the rest."""
        reporter = Reporter(self._number, self._recorder, self._session, self._send_interval)
        reporting = gevent.spawn(reporter.report_until, self._ended)
        self._conduct()
        self._ended.set()
        reporting.join()
        self._send_notes()
        reporter.report(last=True, unsent=self._unsent)
        if self._leaving:
            gevent.sleep(LAST_WORDS_S)
            _leave("interrupted; what was in flight has been reported", ExitCode.INTERRUPTED)

    def _send_interval(self, interval: Interval) -> None:
        self._send(messages.Measured.of(interval))

    def _stop(self) -> None:
        self._session.no_retries.set()
        self._session.pacing.stop()

    def _take_over(self, loss: Loss) -> None:
        plan, pacing = self._session.plan, self._session.pacing
        assert isinstance(pacing, OpenPacing)  # noqa: S101 -- the closed model has no arrivals to take over
        raise_file_limit(plan, len(loss.survivors), strict=False)
        self._schedule.losses.append(loss)
        pacing.take_over(self._schedule.inherited(self._number), users_of_one(plan, len(loss.survivors)))

    def _go_on(self, more: More) -> None:
        pacing = self._session.pacing
        if isinstance(pacing, OpenPacing):
            if more.replaces:
                pacing.cut(more.starts_s)
            self._note_stages(more)
            self._schedule.add(more.stages, more.starts_s, replaces=more.replaces)
            pacing.go_on(self._schedule.arrivals(self._number, -1), math.inf if self._setup.held_open else more.ends_s)
        else:
            pacing.end_at(more.ends_s)
            if more.replaces and more.stages and isinstance(pacing, ClosedPacing):
                self._note_stages(more)
                pacing.change_users(more.stages[0].users, more.starts_s, self._grow_any)
        self._recorder.measure_until_s = pacing.stop_s

    def _note_stages(self, more: More) -> None:
        stages = cut(self._recorder.stages, more.starts_s) if more.replaces else self._recorder.stages
        self._recorder.stages = stages + marks(more.stages, more.starts_s)

    def _grow_any(self, count: int) -> None:
        """Starts users of the closed model, of classes by their weights."""
        classes = self._environment.user_classes
        names = random.choices([one.__name__ for one in classes], [one.weight or 1 for one in classes], k=count)  # noqa: S311 -- which users come
        self._runner.spawn_users(dict(Counter(names)))

    def _finish(self) -> None:
        self._session.pacing.end_at(self._schedule.ends_s)
        self._recorder.measure_until_s = self._session.pacing.stop_s

    # -- the run --

    def _conduct(self) -> None:
        """Waits for the end of the run and leaves nothing behind: no request unrecorded, no conversation open."""
        pacing = self._session.pacing
        while not pacing.stopped.is_set() and (left_s := pacing.stop_s - time.monotonic()) > 0:
            pacing.stopped.wait(min(left_s, WATCH_S))  # the end may be moved meanwhile
        # Before its planned end; a wait that times out may wake a little early. A run that ends by its number of
        # conversations is measured until the last of them is over: some users may be idle long before.
        if pacing.stopped.is_set() and not pacing.used_up:
            self._recorder.measure_until_s = min(self._recorder.measure_until_s, time.monotonic())
        deadline_s = time.monotonic() + self._session.plan.drain_s
        if self._session.plan.model == "closed":
            pacing.stop()
        while (pacing.busy or pacing.backlog) and time.monotonic() < deadline_s and not self._is_hopeless(pacing):
            gevent.sleep(POLL_S)
        self._session.no_retries.set()
        self._unsent = pacing.settle()
        self._runner.user_greenlets.kill(block=True, timeout=LAST_RESULTS_S)
        close_left_open(self._session.targets, deadline_s)

    def _is_hopeless(self, pacing: Pacing) -> bool:
        """Whether arrivals wait and will wait for ever: the run was stopped, so nobody takes them."""
        return pacing.stopped.is_set() and not pacing.busy

    def _grow(self, user_class: str, count: int) -> None:
        self._runner.spawn_users({user_class: count})

    def _send_notes(self) -> None:
        at_s = round(time.monotonic() - self._recorder.started_s, 3)
        raised = self._session.task_errors
        notes = [f"a task raised {error} ({count} times)" for error, count in raised.items()]
        if dropped := sum(self._runner.client.dropped.values()):
            self._note(f"{dropped:,} messages of the coordinator could not be read")
        if self._session.pacing.dry:
            notes.append(f"worker {self._number} stopped early: {self._session.pacing.dry}")
        for text in notes:
            self._send(messages.Noted(Note(at_s, text, invalidates=True)))
        if isinstance(self._session.pacing, OpenPacing) and not self._session.pacing.precise:
            text = f"worker {self._number} has no timerfd: users were woken by a timer of 1 ms grain"
            self._send(messages.Noted(Note(at_s, text)))

    def _watch_coordinator(self) -> None:
        while (silent_s := self._silences.length_s(COORDINATOR)) < COORDINATOR_SILENT_S + self._grace_s:
            gevent.sleep(WATCH_S)
            self._silences.look()
            if silent_s > COORDINATOR_SILENT_S and is_refused(self._runner.master_host, self._runner.master_port):
                break  # it has ended, where one that is only out of reach refuses nobody
        _leave("the coordinator is gone")


_messages: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)


def _leave(why: str, exit_code: ExitCode = ExitCode.INCONCLUSIVE) -> None:
    sys.stderr.write(f"convload worker: {why}\n")
    sys.stderr.flush()
    os._exit(int(exit_code))


def _leave_with_parent(parent: Parent) -> None:
    """Ends the process some seconds after the pipe to its parent closes: time enough for a last interval."""
    for _ in parent.commands():
        pass
    gevent.sleep(COORDINATOR_SILENT_S)
    _leave("the process that started it is gone")


def join(host: str, port: int, key: str, rules: Rules, within_s: float) -> None:
    """Works for the coordinator on another machine until its run is over; SIGINT and SIGTERM end it in good order.

    Raises:
        ConvloadError: nobody listens there within that time, or this worker cannot take part.
    """
    logging.basicConfig(level=logging.WARNING, format="convload worker: %(message)s")
    await_listener(host, port, time.monotonic() + within_s)
    worker = _connect(host, port, rules, secure(key))
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, worker.leave)
    if (failure := worker.join()) is not None:
        raise failure.error()


def _connect(host: str, port: int, rules: Rules, sockets: Sockets) -> Worker:
    connecting = gevent.spawn(Worker, host, port, rules)
    deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
    while not connecting.ready() and sockets.refused < REFUSALS and time.monotonic() < deadline_s:
        gevent.sleep(POLL_S)
    if connecting.ready():
        worker: Worker = connecting.get()
        return worker
    connecting.kill()
    if sockets.refused:
        raise TargetError(
            f"{write_address(host, port)}: the key was refused; the run and its workers need the same one"
        )
    raise UsageError(f"{write_address(host, port)}: something listens there and does not answer as `convload run` does")


def main() -> None:
    """Runs `python -m convload.load.processes.worker`, for the parent whose first line admits it."""
    logging.basicConfig(level=logging.WARNING, format="convload worker: %(message)s")
    parent = Parent()
    admission = parent.read_first(messages.Admission)
    gevent.spawn(_leave_with_parent, parent)
    os.environ.update(admission.credentials)
    secure(admission.key)
    Worker(admission.host, admission.port, admission.rules, admission.ticket).join()


if __name__ == "__main__":
    main()
