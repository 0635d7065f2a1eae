"""Runs a plan: starts mock, coordinator and workers as child processes, and sees to it that none is left."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import msgspec

from convload import machine
from convload.errors import ConvloadError, UsageError
from convload.load.processes.messages import AddStages, Command, Failure, Finish, Job, Listening, Setup, Stop, ToParent
from convload.mock.process import MockProcess, start_mock
from convload.plan.plan import MOCK, Plan
from convload.plan.schedule import Stage
from convload.results.runlog import FILE_NAME, Aborted, Ledger, Note, Record, RunLogWriter
from convload.run import ceiling
from convload.run.folder import has_started, new_folder, remove_unless_started, started_unix_s
from convload.run.inputs import manifest_of, read_inputs

POLL_S = 0.1
END_TIMEOUT_S = 10.0
"""After this a child that was told to end is killed."""

LOOPBACK = "127.0.0.1"
ANY_ADDRESSES = {"0.0.0.0": LOOPBACK, "::": "::1"}
"""What stands for all addresses of this machine, and where its own workers then find the coordinator."""

JOIN_WITHIN_S = 60.0
"""For the workers of this machine to connect: a process of Python with Locust takes a second or two to start."""

COORDINATOR_ALONE_S = 10.0
"""After the end of all workers the coordinator has noticed it; after this it hangs."""

LAST_WORDS_S = 1.0
"""For the coordinator to tell of a failed set-up itself, after which a worker ends too."""


class Interrupted:
    """Counts Ctrl-C and SIGTERM while it is installed: once asks for an orderly end, twice for a quick one."""

    def __init__(self) -> None:
        self.count = 0

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.count += 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals over until the block ends."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Joining(msgspec.Struct, frozen=True):
    """How workers of other machines take part: `expected` of them, beyond those that the run starts itself."""

    host: str
    port: int
    expected: int
    within_s: float
    on_listening: Callable[[int], None]
    """Is told the port."""


class Controls(Protocol):
    """What may be done to a run while it goes on; its log tells how it goes.

    Attributes:
        folder: the run folder, whose log grows.
    """

    folder: Path

    def add(self, stages: Sequence[Stage]) -> None:
        """Lets stages follow the last one, or begin at once where it is over; the log tells when they start."""

    def finish(self) -> None:
        """Ends a run that is held open with the stages that it has."""

    def abort(self, condition: str, text: str) -> None:
        """Stops the run early, for a condition of its plan; `text` has the figures."""

    def note(self, text: str) -> None:
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
        with interrupted.listening(), ExitStack() as children:
            environment = _environment(plan)
            mock = children.enter_context(start_mock(plan.mock, env=environment)) if plan.target == MOCK else None
            target = mock.url if mock else plan.target
            setup = Setup(
                plan=msgspec.to_builtins(plan),
                worker=0,
                workers=plan.workers,
                run_id=secrets.token_hex(4),
                target=target,
                target_b=plan.target_b or "",
                ca_pem=inputs.ca_pem,
                payload_files=inputs.payload_files,
                locustfile=inputs.locustfile,
                replay=inputs.replay,
                held_open=steering is not None and steering.held_open,
            )
            log = RunLogWriter(folder / FILE_NAME)
            children.callback(log.close)
            # Of workers on other machines nothing is known here.
            limit = None if joining else ceiling.known(ceiling.path(), ceiling.here(), plan.workers)
            manifest = manifest_of(plan, target, inputs)
            log.write(msgspec.structs.replace(manifest, ceiling=limit, baseline=baseline))
            family = _Children(children, environment, folder, setup, mock, log, interrupted)
            family.see_through(on_progress, joining, steering)
    except ConvloadError:
        remove_unless_started(folder)
        raise
    return folder


def _environment(plan: Plan) -> dict[str, str]:
    """Returns the children's environment; for the embedded mock credentials are made up where there are none."""
    # What the user has set himself counts.
    environment = machine.SINGLE_THREADED | dict(os.environ)
    if plan.target == MOCK and not plan.credentials_file:
        for name in ("CONVLOAD_CLIENT_ID", "CONVLOAD_CLIENT_SECRET"):
            # Empty is what a pipeline gives for a secret that it does not have.
            environment[name] = environment.get(name) or secrets.token_hex(16)
    return environment


class _Children:
    """The coordinator and the workers of one run, from their start to their end."""

    def __init__(
        self,
        children: ExitStack,
        environment: dict[str, str],
        folder: Path,
        setup: Setup,
        mock: MockProcess | None,
        log: RunLogWriter,
        interrupted: Interrupted,
    ) -> None:
        self._children = children
        self._environment = environment
        self._setup = setup
        self.folder = folder
        self._mock = mock
        self._log = log
        self._interrupted = interrupted
        self._stopped = False
        self._workers: list[subprocess.Popen[bytes]] = []
        self._alone_since_s: float | None = None
        self._started = False
        self._died_s: float | None = None

    def see_through(
        self, on_progress: Callable[[Path], None], joining: Joining | None, steering: Steering | None
    ) -> None:
        """Starts the processes and waits until the coordinator has ended."""
        self._coordinator = self._start("convload.load.processes.coordinator", stdout=subprocess.PIPE)
        host, port, within_s = (
            (joining.host, joining.port, joining.within_s) if joining else (LOOPBACK, 0, JOIN_WITHIN_S)
        )
        job = Job(self._setup, str(self.folder / FILE_NAME), within_s, host, port)
        self._command(job)
        listening = self._hear()
        if listening is None:
            raise UsageError("the coordinator could not be started; what it printed above says why")
        if joining is not None:
            joining.on_listening(listening.port)
        nearest = ANY_ADDRESSES.get(host, host)
        for _ in range(self._setup.workers - (joining.expected if joining else 0)):
            worker = self._start("convload.load.processes.worker", nearest, str(listening.port), "--until-stdin-closes")
            self._workers.append(worker)
        while self._coordinator.poll() is None:
            self._look_around()
            self._require_workers()
            on_progress(self.folder)
            if steering is not None and not self._stopped:
                steering.look(self)
            time.sleep(POLL_S)
        self._hear()
        if status := self._coordinator.returncode:
            how = _how_it_ended(status)
            self._note(f"the coordinator {how}; nothing was recorded after that", invalidates=True)
        counts_all = self._mock is not None and not self._setup.target_b
        if counts_all and self._mock is not None and self._mock.exit_status() is None:
            create = self._mock.stats()["create"]
            self._write(Ledger(received=create["received"], accepted=create["accepted"]))

    def _start(self, module: str, *arguments: str, stdout: int | None = None) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C reaches this process alone, which then ends the run in good order.
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=stdout,
            env=self._environment,
            start_new_session=True,
        )
        self._children.callback(_end, child)
        return child

    def add(self, stages: Sequence[Stage]) -> None:
        """See Controls."""
        self._command(AddStages(list(stages)))

    def finish(self) -> None:
        """See Controls."""
        self._command(Finish())

    def abort(self, condition: str, text: str) -> None:
        """See Controls."""
        self._stopped = True
        self._write(Aborted(self._elapsed_s(), condition, text))
        self._command(Stop())

    def note(self, text: str) -> None:
        """See Controls."""
        self._note(text)

    def _command(self, command: Command | Job) -> None:
        self._say(command.encode() + b"\n")

    def _say(self, words: bytes) -> None:
        try:
            assert self._coordinator.stdin is not None  # noqa: S101 -- it was started with a pipe
            self._coordinator.stdin.write(words)
            self._coordinator.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; what it said last tells why

    def _hear(self) -> Listening | None:
        """Returns the coordinator's next message, None when it has ended without one.

        Raises:
            ConvloadError: it tells of a failed set-up.
        """
        assert self._coordinator.stdout is not None  # noqa: S101 -- it was started with a pipe
        line = self._coordinator.stdout.readline()
        match msgspec.json.decode(line, type=ToParent) if line else None:
            case Failure() as failure:
                raise failure.error()
            case message:
                return message

    def _look_around(self) -> None:
        if self._interrupted.count > 1:
            self._note("interrupted twice: ended at once", interrupted=True)
            self._coordinator.kill()
        elif self._interrupted.count and not self._stopped:
            self._stop("interrupted: stopped before its planned end", interrupted=True)
        elif self._mock is not None and self._mock.exit_status() is not None and not self._stopped:
            self._stop(f"the embedded mock ended in the middle of the run ({self._mock_end()})", invalidates=True)
        elif self._coordinator_hangs():
            self._note("the coordinator did not end when all workers had ended; it was killed", invalidates=True)
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
            raise UsageError(f"a worker {_how_it_ended(dead.returncode)} before the run began; see what it printed")

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
        self._note(why, interrupted=interrupted, invalidates=invalidates)
        self._command(Stop())

    def _note(self, text: str, *, interrupted: bool = False, invalidates: bool = False) -> None:
        self._write(Note(self._elapsed_s(), text, invalidates=invalidates, interrupted=interrupted))

    def _elapsed_s(self) -> float:
        """Returns seconds since the workers began, as all records count them; 0 before that."""
        started_s = started_unix_s(self.folder)
        return 0.0 if started_s is None else round(max(0.0, time.time() - started_s), 3)

    def _write(self, record: Record) -> None:
        try:
            self._log.write(record)
        except OSError as error:
            raise UsageError(f"{self.folder / FILE_NAME}: cannot be written: {error.strerror}") from error


def _how_it_ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ends a child: first by the end of its input, then by signals; returns when it is reaped."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    child.terminate()
    child.send_signal(signal.SIGCONT)  # one that was stopped takes no other signal before
    try:
        child.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
