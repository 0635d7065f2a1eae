"""Creates a conversation under a retry policy: the same payload is sent again until it is answered or given up.

The whole and its attempts are recorded apart: `conversation.create` is one conversation, from when it was due to its
last answer, waits included; its first attempt and the later ones are steps of their own. Runs without a policy do not
come here.
"""

import time

from gevent import GreenletExit

from convload.contract.answers import Answer, check_create
from convload.contract.outcomes import OK
from convload.contract.steps import CREATE, FIRST, RETRY
from convload.load import conversation
from convload.load.client import calls
from convload.load.client.http import Client, Exchange
from convload.load.pacing.closed import NOW
from convload.load.recorder import Failure, Request
from convload.load.session import Session
from convload.payloads.payload import Payload
from convload.plan.retry import CUT_OFF, RETRIED, Decision, decide

MAY_SAY_WHEN = frozenset({429, 503})
"""Statuses whose answer may carry a Retry-After that concerns a create."""


def create(session: Session, client: Client, on_behalf: bytes, due_s: float = NOW, variant: str = "") -> Answer:
    """Creates a conversation with the next payload in as many attempts as the plan's policy allows.

    All attempts are of the same consumer: that is what a client does that does not know what became of its request,
    and the API, which allows one open conversation a consumer, then shows the duplicate as a refusal.

    Returns:
        The last answer; but if that is none that is ok, an unclear one before it, after which the consumer may have
        an open conversation.
    """
    return _Conversation(session, client, session.build(variant), on_behalf, due_s).create()


class _Conversation:
    """One conversation on its way to its last answer."""

    def __init__(self, session: Session, client: Client, payload: Payload, on_behalf: bytes, due_s: float) -> None:
        self._session, self._client, self._payload, self._on_behalf = session, client, payload, on_behalf
        self._due_s, self._sent_s = due_s, 0.0
        self._made = 0
        self._last: tuple[Exchange, Answer] | None = None
        self._unclear: Answer | None = None

    def create(self) -> Answer:
        try:
            answer = self._attempt()
            while answer.outcome != OK and self._waits_after(answer):
                answer = self._attempt()
        finally:
            if self._last is not None:
                self._record(CREATE, *self._last, self._sent_s, self._payload.variant)
        return answer if answer.outcome == OK else self._unclear or answer

    def _attempt(self) -> Answer:
        session, payload = self._session, self._payload
        # Put together anew: the app's token may have been renewed while this conversation waited.
        request = calls.complete(session.create_head, payload.body, payload.headers + self._on_behalf)
        session.sent += 1
        session.retried += self._made > 0
        sent_s = time.monotonic()
        session.in_flight += 1
        try:
            exchange = self._client.exchange(request)
        except GreenletExit:
            exchange = conversation.cut_off(sent_s)
            answer = self._take(exchange)
            self._record_failure(answer, Decision(CUT_OFF))
            raise
        finally:
            session.in_flight -= 1
        return self._take(exchange)

    def _take(self, exchange: Exchange) -> Answer:
        """Takes what became of an attempt into the results."""
        if exchange.failure:
            answer = Answer(exchange.failure, exchange.detail)
        else:
            payload = self._payload
            answer = check_create(payload.reply_ids, exchange.status, exchange.body, payload.expect)
        self._made += 1
        if self._made == 1:
            self._sent_s = exchange.sent_s
            self._due_s = self._due_s or exchange.sent_s
        if answer.outcome in conversation.UNSURE:
            self._unclear = answer
        self._last = exchange, answer
        self._record(FIRST if self._made == 1 else RETRY, exchange, answer, exchange.sent_s)
        return answer

    def _waits_after(self, failed: Answer) -> bool:
        """Waits as the policy says; False when there is to be no other attempt."""
        session = self._session
        decision = decide(
            session.plan.retry, self._made, failed.outcome, self._retry_after(), time.time(), session.retry_random
        )
        if decision.fate != RETRIED:
            self._record_failure(failed, decision)
            return False
        from_s, fate = time.monotonic(), CUT_OFF
        try:
            fate = CUT_OFF if session.no_retries.wait(decision.wait_s) else RETRIED
        finally:
            waited_s = time.monotonic() - from_s
            self._record_failure(failed, Decision(fate, waited_s, decision.retry_after))
        return fate == RETRIED

    def _retry_after(self) -> str:
        assert self._last is not None  # noqa: S101 -- an attempt has just been taken
        return self._client.answer_header(b"retry-after") if self._last[0].status in MAY_SAY_WHEN else ""

    def _record(self, step: str, exchange: Exchange, answer: Answer, sent_s: float, variant: str = "") -> None:
        self._session.records.record(
            Request(
                step,
                answer.outcome,
                self._due_s,
                sent_s,
                exchange.done_s,
                variant,
                self._payload.index,
                answer.detail,
                len(exchange.body),
            )
        )

    def _record_failure(self, failed: Answer, decision: Decision) -> None:
        self._session.records.record_failure(
            Failure(failed.outcome, decision.fate, decision.retry_after, self._due_s, decision.wait_s)
        )
