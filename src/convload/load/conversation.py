"""The calls of a conversation: each is sent, its answer checked, its result recorded.

A create has one path, with and without a retry policy. Without one its result goes straight to the records. With one it
goes through `_Retried`, which records it as an attempt, has the same payload sent again where the policy says so, and
records the whole at last: `conversation.create` is then one conversation, from when it was due to its last answer,
waits included; its first attempt and the later ones are steps of their own.
"""

import time
from collections.abc import Callable

import msgspec
from gevent import GreenletExit

from convload.contract import sends
from convload.contract.answers import Answer, check_create, check_send
from convload.contract.outcomes import OK, RATE_LIMITED
from convload.contract.steps import CLOSE, CREATE, FIRST, RETRY, SEND
from convload.load.client import calls
from convload.load.client.http import Client
from convload.load.pacing.protocol import NOW
from convload.load.recorder import FailedAttempt, Result
from convload.load.session import OpenConversation, Session
from convload.payloads.payload import Payload
from convload.plan.retry import CUT_OFF, NONE, RETRIED, Decision, decide

UNSURE = {"read_timeout", "reset", "malformed_http", "invalid_json", "contract", "partial", "http_400"}
"""After these outcomes of a create its consumer may have an open conversation whose id nobody knows. The next
create would be refused for that, and so would all that follow; such a consumer is not used again."""

CUT_OFF_BY_THE_END = "cut off by the end of the run"

MAY_SAY_WHEN = {RATE_LIMITED, "http_503"}
"""Outcomes whose answer may carry a Retry-After that concerns a create."""

Record = Callable[[Result], None]


def create(session: Session, client: Client, on_behalf: bytes, due_s: float = NOW, variant: str = "") -> Answer:
    """Creates a conversation with the next payload, in as many attempts as the plan's policy allows.

    `due_s` is when it was due, a reading of `time.monotonic`. `variant` names the payload's kind, "" takes the
    mix's.

    Returns:
        The last answer; but if that is none that is ok, an unclear one before it, after which the consumer may have
        an open conversation.
    """
    payload = session.build(variant)
    if session.plan.retry.policy == NONE:
        return _attempt(session, client, payload, on_behalf, due_s, session.records.record)
    return _Retried(session, client, payload, on_behalf, due_s).create()


def send(session: Session, client: Client, conversation: OpenConversation, text: str) -> Answer:
    """Sends a text message."""
    return _send(session, client, SEND, conversation, sends.message_body(conversation.conversation_id, text))


def close(session: Session, client: Client, conversation: OpenConversation) -> Answer:
    """Closes the conversation."""
    return _send(session, client, CLOSE, conversation, sends.close_body(conversation.conversation_id))


def _send(session: Session, client: Client, step: str, conversation: OpenConversation, body: bytes) -> Answer:
    request = calls.complete(session.send_head, body, conversation.on_behalf)
    return _call(session, client, request, _check_send, session.records.record, step)


def _check_send(status: int, body: bytes) -> Answer:
    return check_send(sends.REQUEST_ID, status, body)


def _attempt(
    session: Session, client: Client, payload: Payload, on_behalf: bytes, due_s: float, record: Record
) -> Answer:
    # Put together for each attempt: the app's token may have been renewed while this conversation waited.
    request = calls.complete(session.create_head, payload.body, payload.headers + on_behalf)
    session.sent += 1
    return _call(
        session,
        client,
        request,
        lambda status, body: check_create(payload.reply_ids, status, body, payload.expect),
        record,
        CREATE,
        payload.variant,
        payload.index,
        due_s,
    )


def _call(
    session: Session,
    client: Client,
    request: bytes,
    check: Callable[[int, bytes], Answer],
    record: Record,
    step: str,
    variant: str = "",
    index: int = -1,
    due_s: float = NOW,
) -> Answer:
    sent_s = time.monotonic()
    session.in_flight += 1
    try:
        exchange = client.exchange(request)
    except GreenletExit:
        # The drain is over. It has waited long enough to be called a time-out, and every request that was sent must
        # be in the results.
        done_s = time.monotonic()
        record(Result(step, "read_timeout", due_s or sent_s, sent_s, done_s, variant, index, CUT_OFF_BY_THE_END))
        raise
    finally:
        session.in_flight -= 1
    failed = exchange.failure
    answer = Answer(failed, exchange.detail) if failed else check(exchange.status, exchange.body)
    sent_s, done_s, size = exchange.sent_s, exchange.done_s, len(exchange.body)
    record(Result(step, answer.outcome, due_s or sent_s, sent_s, done_s, variant, index, answer.detail, size))
    return answer


class _Retried:
    """One conversation on its way to its last answer, under a retry policy.

    All attempts are of the same consumer: that is what a client does that does not know what became of its request,
    and the API, which allows one open conversation a consumer, then shows the duplicate as a refusal.
    """

    def __init__(self, session: Session, client: Client, payload: Payload, on_behalf: bytes, due_s: float) -> None:
        self._session, self._client, self._payload, self._on_behalf = session, client, payload, on_behalf
        self._due_s, self._sent_s = due_s, 0.0
        self._made = 0
        self._last: Result | None = None
        self._unclear: Answer | None = None

    def create(self) -> Answer:
        try:
            answer = self._attempt()
            while answer.outcome != OK and self._waits_after(answer):
                answer = self._attempt()
        finally:
            if self._last is not None:
                self._session.records.record(msgspec.structs.replace(self._last, sent_s=self._sent_s))
        return answer if answer.outcome == OK else self._unclear or answer

    def _attempt(self) -> Answer:
        session = self._session
        session.retried += self._made > 0
        try:
            answer = _attempt(session, self._client, self._payload, self._on_behalf, self._due_s, self._record)
        except GreenletExit:
            self._record_failed_attempt("read_timeout", Decision(CUT_OFF))
            raise
        if answer.outcome in UNSURE:
            self._unclear = answer
        return answer

    def _record(self, result: Result) -> None:
        """Takes what became of an attempt: into the results as such, and to be the last one of the whole."""
        step = RETRY if self._made else FIRST
        if not self._made:
            self._due_s, self._sent_s = result.due_s, result.sent_s
        self._made += 1
        self._last = result
        self._session.records.record(msgspec.structs.replace(result, step=step, variant=""))

    def _waits_after(self, failed: Answer) -> bool:
        """Waits as the policy says; False when there is to be no other attempt."""
        session, outcome = self._session, failed.outcome
        retry_after = self._client.answer_header(b"retry-after") if outcome in MAY_SAY_WHEN else ""
        decision = decide(session.plan.retry, self._made, outcome, retry_after, time.time(), session.retry_random)
        if decision.fate != RETRIED:
            self._record_failed_attempt(outcome, decision)
            return False
        from_s, fate = time.monotonic(), CUT_OFF
        try:
            fate = CUT_OFF if session.no_retries.wait(decision.wait_s) else RETRIED
        finally:
            waited_s = time.monotonic() - from_s
            self._record_failed_attempt(outcome, Decision(fate, waited_s, decision.retry_after))
        return fate == RETRIED

    def _record_failed_attempt(self, outcome: str, decision: Decision) -> None:
        self._session.records.record_failed_attempt(
            FailedAttempt(outcome, decision.fate, decision.retry_after, self._due_s, decision.wait_s)
        )
