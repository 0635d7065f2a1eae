"""The child processes of a run: starts them, talks with the coordinator, and sees to it that none is left."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import IO

import msgspec

from convload.errors import UsageError
from convload.load.client.credentials import SECRETS
from convload.load.processes.messages import Admission, Command, Job, Listening, ProcessMessage, SetupFailure, ToParent

END_TIMEOUT_S = 10.0
"""After this a child that was asked to end is killed."""


class Interrupted:
    """Counts Ctrl-C, SIGTERM and a terminal that hangs up: once asks for an orderly end, twice for a quick one.

    Whoever hangs up does it once, however often the shell and the kernel say so, and nobody is there to be in a hurry.
    """

    def __init__(self) -> None:
        self.count = 0
        self._hung_up = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.count += not self.count
            self._hung_up = True
        else:
            self.count += 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals over until the block ends."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` has it
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._hung_up:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the reports are still to be written


class Processes:
    """Coordinator and workers of this machine; they end with the stack, the last one first.

    Each holds a pipe and ends when it closes. Workers wait to be admitted.
    """

    def __init__(self, stack: ExitStack, environment: Mapping[str, str], workers: int) -> None:
        self._stack = stack
        self._environment = {name: value for name, value in environment.items() if name not in SECRETS}
        self._credentials = {name: environment[name] for name in SECRETS if environment.get(name)}
        self.coordinator = CoordinatorProcess(self._start("convload.load.processes.coordinator", subprocess.PIPE))
        self.workers = [self._start("convload.load.processes.worker") for _ in range(workers)]

    def admit(self, worker: "subprocess.Popen[bytes]", admission: Admission) -> None:
        """Lets a worker join the coordinator; it alone is told who we are to the target."""
        _send(worker.stdin, msgspec.structs.replace(admission, credentials=self._credentials))

    def _start(self, module: str, stdout: int | None = None) -> "subprocess.Popen[bytes]":
        # A session of its own: Ctrl-C reaches the parent alone, which then ends the run in good order.
        child = subprocess.Popen(  # noqa: S603 -- a list of ours, and no shell
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=stdout,
            env=self._environment,
            start_new_session=True,
        )
        self._stack.callback(_end, child)
        return child


class CoordinatorProcess:
    """The coordinator, and the two pipes to it: a message a line, both ways."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 -- started with pipes
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout

    def status(self) -> int | None:
        """Returns what it has ended with, negative for a signal; None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def listen(self, job: Job) -> int:
        """Gives it its job; returns the port on which it waits for workers.

        Raises:
            ConvloadError: it cannot listen there, or could not be started.
        """
        self.send(job)
        listening = self._receive()
        if listening is None:
            raise UsageError("the coordinator could not be started; what it printed above says why")
        return listening.port

    def send(self, message: Command | Job) -> None:
        """Sends a message; one that has ended is told nothing, and what it said last says why."""
        _send(self._stdin, message)

    def check_end(self) -> None:
        """Reads what it said in the end.

        Raises:
            ConvloadError: the set-up had failed.
        """
        self._receive()

    def _receive(self) -> Listening | None:
        """Returns its next message, None when it has ended without one."""
        line = self._stdout.readline()
        match msgspec.json.decode(line, type=ToParent) if line else None:
            case SetupFailure() as failure:
                raise failure.error()
            case listening:
                return listening


def _send(pipe: IO[bytes] | None, message: ProcessMessage) -> None:
    assert pipe is not None  # noqa: S101 -- each child is started with one
    with suppress(BrokenPipeError):
        pipe.write(message.encode() + b"\n")
        pipe.flush()


def describe_end(status: int) -> str:
    """Returns how a process with this status has ended."""
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ends a child by signals, and by the end of its input; returns when it is reaped."""
    child.terminate()
    child.send_signal(signal.SIGCONT)  # one that was stopped takes no other signal before
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # what it was still to be told, it can no longer read
                pipe.close()
    try:
        child.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
