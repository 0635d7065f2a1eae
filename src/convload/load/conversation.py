"""The calls of a conversation: each is sent, its answer checked, its result recorded.

A create has one path, with and without a retry policy. Without one its result goes straight to the records. With one it
goes through `_Retried`, which records it as an attempt, has the same payload sent again where the policy says so, and
records the whole at last: `conversation.create` is then one conversation, from when it was due to its last answer,
waits included; its first attempt and the later ones are steps of their own.
"""

import time
from collections.abc import Callable, Sequence

import msgspec
from gevent import GreenletExit
from gevent.pool import Group

from convload.contract import sends
from convload.contract.answers import HTTP_UNAUTHORIZED, OF_THE_CONSUMER, Answer, check_send
from convload.contract.outcomes import OK, RATE_LIMITED
from convload.contract.steps import CLOSE, CREATE, FIRST, RETRY, SEND
from convload.load.client.http import Client
from convload.load.client.origin import complete
from convload.load.client.reading import read
from convload.load.pacing.protocol import NOW
from convload.load.recorder import FailedAttempt, Result
from convload.load.target import OpenConversation, Target
from convload.payloads.payload import Payload
from convload.plan.retry import CUT_OFF, NONE, RETRIED, Decision, decide

PROVES_NONE = {
    "connect_refused": "no connection, so nothing was sent",
    "connect_timeout": "no connection, so nothing was sent",
    "dns": "no connection, so nothing was sent",
    "tls": "no connection, so nothing was sent",
    RATE_LIMITED: "turned away at the door: the vendor limits how many requests are worked on at once",
    "http_401": "the app or the consumer is not let in",
    "http_403": "the app or the consumer is not let in",
    "http_404": "no such path, version or account",
    "http_405": "no such call",
    "http_413": "not read: too large",
    "http_414": "not read: the path is too long",
    "http_415": "not read: of an unknown type",
    "http_431": "not read: the headers are too large",
}
"""The failures of a create after which its consumer has no open conversation, and why that is certain.

After any other there may be one whose id nobody knows: the answer came too late, or from a gateway, or was cut short; a
5xx may be said after the work was done; a 400 says, among other things, that the consumer has one. The next create
of that consumer would be refused, an error counted twice, so it is not used again."""

NO_CONNECTION = {"connect_refused", "connect_timeout", "dns", "tls"}

MAY_SAY_WHEN = {RATE_LIMITED, "http_503"}
"""Outcomes whose answer may carry a Retry-After that concerns a create."""

CLOSING_AT_ONCE = 20
"""Connections that close what is left open at the end."""

Record = Callable[[Result], None]


class Consumer:
    """A user at one target: its connections, and one consumer after another whose conversations it holds.

    Attributes:
        in_vain: set when there was no connection or no token to be had; whoever sees it is to pause, and unsets it.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.in_vain = False
        services, limits = target.services, target.limits
        self.client = Client(services.messaging, limits)
        shared = str(services.idp) == str(services.messaging)
        self._idp = self.client if shared else Client(services.idp, limits)
        plan = target.session.plan
        self._kind, self._retries = plan.consumers, plan.retry.policy != NONE
        self._needs_token = self._kind != "none"
        # A pool's consumers are not taken before they are needed: they are counted out.
        self._is_minted = self._kind in {"close", "fresh"}
        self._on_behalf = target.on_behalf

    def leave(self) -> None:
        """Closes the connections."""
        self.client.close()
        self._idp.close()

    @property
    def is_ready(self) -> bool:
        """Whether there is nothing that `make_ready` would see to."""
        return self.client.is_open and (not self._is_minted or bool(self._on_behalf))

    def make_ready(self) -> bool:
        """Sees to a connection and a token before they are needed; False when there is no token to be had."""
        self.client.make_ready()
        return not self._is_minted or self._is_somebody()

    def _is_somebody(self) -> bool:
        if not self._on_behalf:
            self._on_behalf = self.target.next_consumer(self._idp)
            self.in_vain = not self._on_behalf
        return bool(self._on_behalf)

    def create(self, due_s: float = NOW, variant: str = "", mix: str = "") -> OpenConversation | None:
        """Creates a conversation with the next payload, in as many attempts as the plan's policy allows.

        `due_s` is when it was due, a reading of `time.monotonic`. The payload is of that variant, or as that mix has
        it, or as the plan's has it.
        """
        target = self.target
        if self._needs_token and not self._on_behalf and not self._is_somebody():
            return None
        payload = target.payloads.build(variant, mix)
        headers = payload.headers + self._on_behalf
        if self._retries:
            answer = _Retried(self, payload, headers, due_s).create()
        else:
            answer = self.attempt(payload, headers, due_s, target.records.record)
        if answer.outcome != OK:
            self.in_vain = answer.outcome in NO_CONNECTION
        if self._needs_token and (self._kind != "close" or _is_used_up(answer)):
            self._on_behalf = b""
        return OpenConversation(answer.conversation_id, headers) if answer.conversation_id else None

    def attempt(self, payload: Payload, headers: bytes, due_s: float, record: Record) -> Answer:
        """Sends a create once, checks its answer and records the result."""
        target = self.target
        # Put together for each attempt: the app's token may have been renewed while this conversation waited.
        if target.tracing.is_on:
            headers += target.tracing.header_line(payload.index)
        request = complete(target.create_head, payload.body, headers)
        target.sent += 1
        return self._call(request, payload.check, record, CREATE, payload.variant, payload.index, due_s)

    def send(self, conversation: OpenConversation, text: str) -> Answer:
        """Sends a text message."""
        return self._send(SEND, conversation, sends.message_body(conversation.conversation_id, text))

    def end(self, conversation: OpenConversation | None) -> None:
        """Closes a conversation now if its consumer is to be used again, else when the run has ended."""
        if conversation is None or not self._needs_token:
            return
        if self._kind == "close":
            self.close(conversation)
        else:
            self.target.left_open.add(conversation)

    def close(self, conversation: OpenConversation) -> Answer:
        """Closes a conversation now."""
        answer = self._send(CLOSE, conversation, sends.close_body(conversation.conversation_id))
        if answer.outcome != OK:
            self.target.left_open.count += 1
            self._on_behalf = b""
        return answer

    def _send(self, step: str, conversation: OpenConversation, body: bytes) -> Answer:
        request = complete(self.target.send_head, body, conversation.headers)
        return self._call(request, _check_send, self.target.records.record, step)

    def _call(
        self,
        request: bytes,
        check: Callable[[int, bytes], Answer],
        record: Record,
        step: str,
        variant: str = "",
        index: int = -1,
        due_s: float = NOW,
    ) -> Answer:
        target, client = self.target, self.client
        target.in_flight += 1
        try:
            exchange = client.exchange(request)
        except GreenletExit:
            # The drain is over. It has waited long enough to be called a time-out, and every request that was sent
            # must be in the results. Locust knows no drain: there it is as if it had not been sent.
            if target.session.paced:
                times = due_s or client.began_s, client.began_s, time.monotonic()
                record(Result(step, "read_timeout", *times, variant, index, "cut off by the end of the run"))
            raise
        finally:
            target.in_flight -= 1
        answer = read(exchange, client, check)
        if answer.outcome == OK:
            target.app_tokens.has_worked = True
        sent_s = exchange.sent_s
        record(
            Result(
                step,
                answer.outcome,
                due_s or sent_s,
                sent_s,
                exchange.done_s,
                variant,
                index,
                answer.detail,
                len(exchange.body),
                exchange.first_s,
                exchange.new_connection,
                answer.head,
            )
        )
        if exchange.status == HTTP_UNAUTHORIZED:
            target.was_refused(request, answer)
        return answer


def _is_used_up(answer: Answer) -> bool:
    """Whether a consumer is of no further use after a create.

    Its token was refused; or there may be a conversation that is not known. A bad request that is refused as it should
    be is ok, and yet one of its elements may have been accepted.
    """
    if answer.error_code in OF_THE_CONSUMER:
        return True
    return answer.outcome not in PROVES_NONE and not (answer.outcome == OK and answer.conversation_id)


def _check_send(status: int, body: bytes) -> Answer:
    return check_send(sends.REQUEST_ID, status, body)


class _Retried:
    """One conversation on its way to its last answer, under a retry policy.

    All attempts are of the same consumer: that is what a client does that does not know what became of its request,
    and the API, which allows one open conversation a consumer, then shows the duplicate as a refusal.
    """

    def __init__(self, consumer: Consumer, payload: Payload, headers: bytes, due_s: float) -> None:
        self._consumer, self._target, self._payload, self._headers = consumer, consumer.target, payload, headers
        self._due_s, self._sent_s = due_s, 0.0
        self._made = 0
        self._last: Result | None = None
        self._unclear: Answer | None = None

    def create(self) -> Answer:
        """Returns the last answer; but if that is not ok, one before it after which there may be a conversation."""
        try:
            answer = self._attempt()
            while answer.outcome != OK and self._waits_after(answer):
                answer = self._attempt()
        finally:
            if self._last is not None:
                self._target.records.record(msgspec.structs.replace(self._last, sent_s=self._sent_s))
        return answer if answer.outcome == OK else self._unclear or answer

    def _attempt(self) -> Answer:
        self._target.retried += self._made > 0
        try:
            answer = self._consumer.attempt(self._payload, self._headers, self._due_s, self._record)
        except GreenletExit:
            self._record_failed_attempt("read_timeout", Decision(CUT_OFF))
            raise
        if answer.outcome != OK and answer.outcome not in PROVES_NONE:
            self._unclear = answer
        return answer

    def _record(self, result: Result) -> None:
        """Takes what became of an attempt: into the results as such, and to be the last one of the whole."""
        step = RETRY if self._made else FIRST
        if not self._made:
            self._due_s, self._sent_s = result.due_s, result.sent_s
        self._made += 1
        self._last = result
        self._target.records.record(msgspec.structs.replace(result, step=step, variant=""))

    def _waits_after(self, failed: Answer) -> bool:
        """Waits as the policy says; False when there is to be no other attempt."""
        session, outcome = self._target.session, failed.outcome
        retry_after = self._consumer.client.answer_header(b"retry-after") if outcome in MAY_SAY_WHEN else ""
        decision = decide(session.plan.retry, self._made, outcome, retry_after, time.time(), self._target.random)
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
        self._target.records.record_failed_attempt(
            FailedAttempt(outcome, decision.fate, decision.retry_after, self._due_s, decision.wait_s)
        )


def close_left_open(targets: Sequence[Target], deadline_s: float) -> None:
    """Closes what is left open when the run has ended, as far as the deadline lets it; counts the rest."""
    closing = Group()
    for target in [*targets] * CLOSING_AT_ONCE:
        closing.spawn(_close_some, target, deadline_s)
    closing.join()
    for target in targets:
        target.left_open.give_up()


def _close_some(target: Target, deadline_s: float) -> None:
    consumer = Consumer(target)
    while time.monotonic() < deadline_s and (opened := target.left_open.take()):
        consumer.close(opened)
    consumer.leave()
