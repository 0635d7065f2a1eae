"""Runs a plan: starts mock, coordinator and workers as child processes, and sees to it that none is left."""

import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from convload import machine
from convload.errors import ConvloadError, TargetError, UsageError
from convload.load.processes.keys import new_key
from convload.load.processes.messages import AddStages, Admission, Finish, Job, ReplaceStages, Setup, Stop
from convload.load.processes.rules import Rules
from convload.mock.process import CountedCreates, MockProcess, ask_for_creates, start_mock
from convload.plan.plan import MOCK, Plan, host_allowed
from convload.plan.schedule import Stage
from convload.plan.sources import WORKER_KEY
from convload.results.runlog import FILE_NAME, Aborted, Manifest, MockLedger, Note, Record
from convload.results.writing import RunLogWriter, begin, release, reserve
from convload.run import ceiling
from convload.run.children import Interrupted, Processes, describe_end
from convload.run.files import has_started, manifest_of, new_folder, read_inputs, remove_unless_started, started_unix_s

logger = logging.getLogger(__name__)

POLL_S = 0.1
LOOPBACK = "127.0.0.1"
ANY_ADDRESSES = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 -- to be compared with
"""What stands for all addresses of this machine, and where its own workers then find the coordinator."""

JOIN_WITHIN_S = 60.0
"""For the workers of this machine to connect: a process of Python with Locust takes a second or two to start."""

COORDINATOR_ALONE_S = 10.0
"""After the end of all workers the coordinator has noticed it; after this it hangs."""

LAST_WORDS_S = 1.0
"""For the coordinator to tell of a failed set-up itself, after which a worker ends too."""


class Joining(msgspec.Struct, frozen=True):
    """How workers of other machines take part: `expected` of them, beyond those that the run starts itself.

    They have the same `key`; a run that is only tried dry needs none.
    """

    host: str
    port: int
    key: str
    expected: int
    within_s: float
    grace_s: float
    on_listening: Callable[[int], None]
    """Is told the port."""

    least: int = 0
    """How many of them are enough when the time is over; 0: all."""


class Controls(Protocol):
    """What may be done to a run while it goes on; its log tells how it goes.

    Attributes:
        folder: the run folder, whose log grows.
    """

    folder: Path

    def add(self, stages: Sequence[Stage]) -> None:
        """Lets stages follow the last one, or begin at once where it is over; the log tells when they start."""

    def replace(self, stages: Sequence[Stage]) -> None:
        """Lets stages take the place of all that is still to come; with none the load ends."""

    def finish(self) -> None:
        """Ends a run that is held open with the stages that it has."""

    def abort(self, condition: str, text: str) -> None:
        """Stops the run early, for a condition of its plan; `text` has the figures."""

    def stop(self, text: str) -> None:
        """Stops the run early, because somebody wants it."""

    def note(self, text: str, *, invalidates: bool = False) -> None:
        """Writes into the log what a reader of the reports must know."""


class Steering(Protocol):
    """Decides in the parent, from the growing run log, how a run goes on.

    Attributes:
        held_open: whether the run goes on behind its last stage until `finish` is called.
    """

    held_open: bool

    def look(self, controls: Controls) -> None:
        """Is called about ten times a second."""


def execute(
    plan: Plan,
    out: Path | None,
    on_progress: Callable[[Path], None],
    joining: Joining | None = None,
    steering: Steering | None = None,
    baseline: dict[str, Any] | None = None,
    interrupted: Interrupted | None = None,
) -> Path:
    """Runs the plan to its end and returns the run folder; `on_progress` is called again and again meanwhile.

    With `joining` that many of the plan's workers come from elsewhere; `steering` decides how the run goes on.
    `baseline` is kept in the manifest. Where the run is one of many, `interrupted` counts Ctrl-C for all of them.

    Raises:
        ConvloadError: the set-up failed; nothing is left behind, neither process nor folder.
    """
    inputs = read_inputs(plan)
    folder = new_folder(plan, out)
    interrupted = interrupted or Interrupted()
    try:
        with interrupted.listening(), ExitStack() as stack:
            made_up = _made_up_credentials(plan)
            environment = machine.SINGLE_THREADED | dict(os.environ) | made_up  # what the user has set himself counts
            environment.pop(WORKER_KEY, None)
            # First of all, since they take the longest to load, and beside each other and the mock.
            processes = Processes(stack, environment, plan.workers - (joining.expected if joining else 0))
            mock = stack.enter_context(start_mock(plan.mock, env=environment)) if plan.target == MOCK else None
            target = mock.url if mock else plan.target
            setup = Setup(
                plan=msgspec.to_builtins(plan),
                worker=0,
                workers=plan.workers,
                run_id=secrets.token_hex(4),
                target=target,
                target_b=plan.target_b or "",
                payload_files=inputs.payload_files,
                locustfile=inputs.locustfile,
                replay=inputs.replay,
                held_open=steering is not None and steering.held_open,
                made_up_credentials=made_up,
            )
            # Of workers on other machines nothing is known here.
            limit = None if joining else ceiling.known(ceiling.path(), ceiling.here(), plan.workers)
            manifest = manifest_of(plan, target, inputs)
            log = _begin(folder, msgspec.structs.replace(manifest, ceiling=limit, baseline=baseline))
            stack.callback(log.close)
            reserve(folder / FILE_NAME)
            stack.callback(release, folder / FILE_NAME)
            count = partial(ask_for_creates, target, inputs.ca_pem, verify=plan.verify_tls)
            counted = count() if mock is None and _may_be_mock(plan, joining) else None
            counting = (count, counted) if counted else None
            run = _Run(processes, folder, setup, mock, log, interrupted, counting)
            run.start(joining, Rules.of_run(plan, inputs.locustfile, inputs.ca_pem))
            run.steer_to_end(on_progress, steering)
            run.check_end()
    except ConvloadError:
        remove_unless_started(folder)
        raise
    return folder


def _begin(folder: Path, manifest: Manifest) -> RunLogWriter:
    """Opens a run log that has its first line; raises UsageError where it cannot be written."""
    try:
        begin(folder / FILE_NAME, manifest)
        return RunLogWriter(folder / FILE_NAME)
    except OSError as error:
        raise UsageError(f"{folder / FILE_NAME}: cannot be written: {error.strerror}") from error


def _may_be_mock(plan: Plan, joining: Joining | None) -> bool:
    """Whether to ask if the target is a mock: not a service of somebody else, nor one that other machines reach."""
    from_elsewhere = joining is not None and not host_allowed(joining.host, [])
    return host_allowed(urlsplit(plan.target).hostname or "", []) and not plan.target_b and not from_elsewhere


def _made_up_credentials(plan: Plan) -> dict[str, str]:
    """Returns the variables that the embedded mock and its workers need and the user has not set."""
    if plan.target != MOCK or plan.credentials_file:
        return {}
    # Empty is what a pipeline gives for a secret that it does not have.
    names = (name for name in ("CONVLOAD_CLIENT_ID", "CONVLOAD_CLIENT_SECRET") if not os.environ.get(name))
    return {name: secrets.token_hex(16) for name in names}


class _Run:
    """The processes of one run from their start to their end; it is itself the `Controls` of what steers it."""

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        setup: Setup,
        mock: MockProcess | None,
        log: RunLogWriter,
        interrupted: Interrupted,
        counting: tuple[Callable[[], CountedCreates | None], CountedCreates] | None,
    ) -> None:
        self.folder = folder
        self._counting = counting
        self._processes = processes
        self._setup = setup
        self._mock = mock
        self._log = log
        self._interrupted = interrupted
        self._coordinator, self._workers = processes.coordinator, processes.workers
        self._stopped = False
        self._started = False
        self._began_s: float | None = None
        self._died_s: float | None = None
        self._alone_since_s: float | None = None

    def start(self, joining: Joining | None, rules: Rules) -> None:
        """Admits the workers of this machine when the coordinator listens, which waits for all others."""
        key = joining.key if joining else new_key()
        tickets = [secrets.token_hex(16) for _ in self._workers]
        job = Job(self._setup, str(self.folder / FILE_NAME), key, tickets, JOIN_WITHIN_S, LOOPBACK)
        if joining is not None:
            where = {"join_within_s": joining.within_s, "host": joining.host, "port": joining.port}
            where["grace_s"] = joining.grace_s
            where["least_workers"] = joining.least and len(tickets) + joining.least
            job = msgspec.structs.replace(job, **where)
        port = self._coordinator.listen(job)
        if joining is not None:
            joining.on_listening(port)
        nearest = ANY_ADDRESSES.get(job.host, job.host)
        for worker, ticket in zip(self._workers, tickets, strict=True):
            self._processes.admit(worker, Admission(nearest, port, key, ticket, rules))

    def steer_to_end(self, on_progress: Callable[[Path], None], steering: Steering | None) -> None:
        """Looks after the processes until the coordinator has ended."""
        while self._coordinator.status() is None:
            self._elapsed_s()
            self._look_around()
            self._require_workers()
            on_progress(self.folder)
            if steering is not None and not self._stopped:
                steering.look(self)
            time.sleep(POLL_S)

    def check_end(self) -> None:
        """Writes how the coordinator ended, if not well, and what the mock has counted.

        Raises:
            ConvloadError: the set-up had failed.
        """
        if self._began_s is not None:
            with suppress(OSError):  # of which the coordinator has told
                self._log.mend(self._elapsed_s())
        self._coordinator.check_end()
        if status := self._coordinator.status():
            how = describe_end(status)
            self._write_note(f"the coordinator {how}; nothing was recorded after that", invalidates=True)
        # Of two targets the mock sees half of the requests.
        if self._mock is not None and not self._setup.target_b and self._mock.exit_status() is None:
            create = self._mock.stats()["create"]
            self._write(MockLedger(received=create["received"], accepted=create["accepted"]))
        elif self._counting is not None:
            count, before = self._counting
            if (after := count()) is None:
                self._write_note(
                    "the mock that answered before the run answers no longer; what it counted is not known"
                )
            else:
                received, accepted = after.received - before.received, after.accepted - before.accepted
                self._write(MockLedger(max(received, 0), max(accepted, 0), shared=True))

    def add(self, stages: Sequence[Stage]) -> None:
        """See Controls."""
        self._coordinator.send(AddStages(list(stages)))

    def replace(self, stages: Sequence[Stage]) -> None:
        """See Controls."""
        self._coordinator.send(ReplaceStages(list(stages)))

    def stop(self, text: str) -> None:
        """See Controls."""
        if not self._stopped:
            self._stop(text, interrupted=True)

    def finish(self) -> None:
        """See Controls."""
        self._coordinator.send(Finish())

    def abort(self, condition: str, text: str) -> None:
        """See Controls."""
        self._stopped = True
        self._write(Aborted(self._elapsed_s(), condition, text))
        self._coordinator.send(Stop())

    def note(self, text: str, *, invalidates: bool = False) -> None:
        """See Controls."""
        self._write_note(text, invalidates=invalidates)

    def _look_around(self) -> None:
        if self._interrupted.count > 1:
            self._write_note("interrupted twice: ended at once", interrupted=True)
            self._coordinator.kill()
        elif self._interrupted.count and not self._stopped:
            self._stop("interrupted: stopped before its planned end", interrupted=True)
        elif self._mock is not None and self._mock.exit_status() is not None and not self._stopped:
            if self._began_s is None:
                what = f"the embedded mock ended in the set-up ({self._mock_end()})"
                raise TargetError(what, *self._mock.last_words())
            self._stop(f"the embedded mock ended in the middle of the run ({self._mock_end()})", invalidates=True)
        elif self._coordinator_hangs():
            self._write_note("the coordinator did not end when all workers had ended; it was killed", invalidates=True)
            self._coordinator.kill()

    def _require_workers(self) -> None:
        """Ends the set-up where a worker of this machine died in it; once the run goes on, the coordinator sees to it.

        Raises:
            UsageError: one did.
        """
        dead = next((worker for worker in self._workers if worker.poll() is not None), None)
        if self._started or dead is None:
            return
        self._started = has_started(self.folder)
        self._died_s = self._died_s or time.monotonic()
        if not self._started and time.monotonic() - self._died_s > LAST_WORDS_S:
            raise UsageError(f"a worker {describe_end(dead.returncode)} before the run began; see what it printed")

    def _coordinator_hangs(self) -> bool:
        are_all_here = len(self._workers) == self._setup.workers
        if are_all_here and all(worker.poll() is not None for worker in self._workers):
            self._alone_since_s = self._alone_since_s or time.monotonic()
        return self._alone_since_s is not None and time.monotonic() - self._alone_since_s > COORDINATOR_ALONE_S

    def _mock_end(self) -> str:
        status = self._mock.exit_status() if self._mock else None
        return f"signal {-status}" if status is not None and status < 0 else f"status {status}"

    def _stop(self, why: str, *, interrupted: bool = False, invalidates: bool = False) -> None:
        self._stopped = True
        self._write_note(why, interrupted=interrupted, invalidates=invalidates)
        self._coordinator.send(Stop())

    def _write_note(self, text: str, *, interrupted: bool = False, invalidates: bool = False) -> None:
        self._write(Note(self._elapsed_s(), text, invalidates=invalidates, interrupted=interrupted))

    def _elapsed_s(self) -> float:
        """Returns seconds since the workers began, as all records count them; 0 before that.

        The log has the date of that instant. It is read as soon as it is there: later somebody may have set the clock.
        """
        if self._began_s is None and (started_s := started_unix_s(self.folder)) is not None:
            self._began_s = time.monotonic() - (time.time() - started_s)
        return 0.0 if self._began_s is None else round(max(0.0, time.monotonic() - self._began_s), 3)

    def _write(self, record: Record) -> None:
        """Writes a record; where there is no room for it the log lacks its end too, and so no verdict follows."""
        try:
            self._log.write(record)
        except OSError as error:
            logger.warning("%s: cannot be written: %s; lost is %s", self.folder / FILE_NAME, error.strerror, record)
