"""Joins the coordinator of another machine for one run."""

import logging
import signal
import socket
import time

import gevent

from convload.addresses import write_address
from convload.errors import ExitCode, SetupFailedError, UsageError
from convload.load.processes.worker import Worker

TRY_EVERY_S = 0.5
TRY_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0


def join(host: str, port: int, within_s: float) -> None:
    """Works for the coordinator at that address until its run is over; SIGINT and SIGTERM end it before in good order.

    Raises:
        ConvloadError: nobody listens there within that time, or this worker cannot take part.
    """
    logging.basicConfig(level=logging.WARNING, format="convload worker: %(message)s")
    _await_listener(host, port, time.monotonic() + within_s)
    try:
        with gevent.Timeout(ANSWER_TIMEOUT_S):
            worker = Worker(host, port)
    except gevent.Timeout:
        raise UsageError(
            f"{write_address(host, port)}: something listens there and does not answer as `convload run` does"
        ) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, worker.leave)
    failure = worker.join()
    if failure.exit_code:
        raise SetupFailedError(ExitCode(failure.exit_code), *failure.problems)


def _await_listener(host: str, port: int, deadline_s: float) -> None:
    while (why := _try_to_connect(host, port)) is not None:
        if time.monotonic() + TRY_EVERY_S > deadline_s:
            raise UsageError(
                f"{write_address(host, port)}: nobody listens there ({why}). Start the run first: "
                f"convload run --bind HOST:{port} --expect-workers N"
            )
        time.sleep(TRY_EVERY_S)


def _try_to_connect(host: str, port: int) -> str | None:
    """Returns why nobody can be reached, None when somebody can."""
    try:
        socket.create_connection((host, port), TRY_TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None
