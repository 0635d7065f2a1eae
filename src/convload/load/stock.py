"""Gives users their session: the worker's under `convload run`, their own under the stock `locust` command."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from gevent.lock import RLock
from locust.exception import StopTest

from convload.contract.outcomes import OK
from convload.errors import ConvloadError, UsageError, why_unread
from convload.load.client import credentials
from convload.load.client.origin import tls_context
from convload.load.client.redaction import known
from convload.load.recorder import FailedAttempt, Result
from convload.load.session import Session, Share
from convload.load.target import Target
from convload.payloads.catalogue import Catalogue, default_folder
from convload.plan.plan import MOCK, Plan, assemble, host_allowed

ATTRIBUTE = "convload_session"
"""Where an Environment of Locust carries the session of its process."""

STRIDE = 1024
"""Under Locust's master a worker does not know how many there are; this many never share a payload."""


_making = RLock()


class OutcomeError(Exception):
    """A request that was not ok, by the name of its outcome: Locust counts errors by their text."""


class LocustRecords:
    """Hands each request to Locust's own statistics and to whoever else listens to its `request` event."""

    def __init__(self, environment: Any) -> None:
        self._fire = environment.events.request.fire

    def record(self, result: Result) -> None:
        """Fires the event."""
        self._fire(
            request_type="POST",
            name=result.step,
            response_time=(result.done_s - result.counts_from_s) * 1000,
            response_length=result.answer_bytes,
            exception=None if result.outcome == OK else OutcomeError(result.outcome),
            context={"variant": result.variant, "index": result.index, "detail": known.redact(result.detail)},
        )

    def record_failed_attempt(self, attempt: FailedAttempt) -> None:
        """Does nothing: Locust has no place for it, and the attempts are requests of their own."""


def session_of(environment: Any) -> Session:
    """Returns the session of this process, making it from the environment under the stock `locust`.

    Raises:
        StopTest: it cannot be made; why is in the log and the exit code is set.
    """
    with _making:
        session = getattr(environment, ATTRIBUTE, None)
        if session is None:
            session = _stock_session(environment)
            setattr(environment, ATTRIBUTE, session)
    return session


def _stock_session(environment: Any) -> Session:
    try:
        return _open_session(environment)
    except ConvloadError as error:
        environment.process_exit_code = int(error.exit_code)
        raise StopTest(str(error)) from error


def _open_session(environment: Any) -> Session:
    plan = assemble(None, os.environ, {"target": environment.host})
    folder = Path(plan.payloads) if plan.payloads else default_folder()
    index = max(getattr(environment.runner, "worker_index", 0), 0)
    session = Session(plan, Share(index, STRIDE, uuid4().hex[:8]))
    context = tls_context(read_ca(plan), verify=plan.verify_tls)
    target = Target(
        session, plan.target, context, Catalogue.read(folder), LocustRecords(environment), lookup=plan.lookup
    )
    target.open(needed_credentials(plan), os.environ)
    session.targets = [target]
    return session


def read_ca(plan: Plan) -> str:
    """Returns the plan's CA certificates, "" for the system's.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        return Path(plan.ca_file).read_text(encoding="utf-8") if plan.ca_file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"ca_file {plan.ca_file}: cannot be read: {why_unread(error)}") from error


def needed_credentials(plan: Plan) -> credentials.Credentials | None:
    """Returns the credentials that a plan's `consumers` call for; a mock on this machine takes made-up ones."""
    if plan.consumers == "none":
        return None
    given = plan.credentials_file or os.environ.get(credentials.CLIENT_ID)
    if not given and plan.target != MOCK and host_allowed(urlsplit(plan.target).hostname or "", []):
        return credentials.Credentials("convload", "convload")
    return credentials.read(plan.credentials_file)
