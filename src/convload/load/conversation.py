"""The calls of a conversation: each is sent, its answer checked, its result recorded."""

import time
from collections.abc import Callable

from gevent import GreenletExit

from convload.contract import sends
from convload.contract.answers import Answer, check_create, check_send
from convload.contract.steps import CLOSE, CREATE, SEND
from convload.load.client import calls
from convload.load.client.http import Client, Exchange
from convload.load.pacing.closed import NOW
from convload.load.recorder import Request
from convload.load.session import OpenConversation, Session

UNSURE = {"read_timeout", "reset", "malformed_http", "invalid_json", "contract", "partial", "http_400"}
"""After these outcomes of a create its consumer may have an open conversation whose id nobody knows. The next
create would be refused for that, and so would all that follow; such a consumer is not used again."""


def create(session: Session, client: Client, on_behalf: bytes, due_s: float = NOW, variant: str = "") -> Answer:
    """Builds the next payload, sends it and checks the answer against it.

    `due_s` is when it was due, a reading of `time.monotonic`. `variant` names the payload's kind, "" takes the
    mix's.
    """
    payload = session.build(variant)
    request = calls.complete(session.create_head, payload.body, payload.headers + on_behalf)
    session.sent += 1
    return _call(
        session,
        client,
        CREATE,
        request,
        lambda status, body: check_create(payload.reply_ids, status, body, payload.expect),
        payload.variant,
        payload.index,
        due_s,
    )


def send(session: Session, client: Client, conversation: OpenConversation, text: str) -> Answer:
    """Sends a text message."""
    return _send(session, client, SEND, conversation, sends.message_body(conversation.conversation_id, text))


def close(session: Session, client: Client, conversation: OpenConversation) -> Answer:
    """Closes the conversation."""
    return _send(session, client, CLOSE, conversation, sends.close_body(conversation.conversation_id))


def _send(session: Session, client: Client, step: str, conversation: OpenConversation, body: bytes) -> Answer:
    request = calls.complete(session.send_head, body, conversation.on_behalf)
    return _call(session, client, step, request, _check_send)


def _check_send(status: int, body: bytes) -> Answer:
    return check_send(sends.REQUEST_ID, status, body)


def _call(
    session: Session,
    client: Client,
    step: str,
    request: bytes,
    check: Callable[[int, bytes], Answer],
    variant: str = "",
    index: int = -1,
    due_s: float = NOW,
) -> Answer:
    sent_s = time.monotonic()
    session.in_flight += 1
    try:
        exchange = client.exchange(request)
    except GreenletExit:
        exchange = cut_off(sent_s)
        _record(session, step, exchange, Answer(exchange.failure, exchange.detail), variant, index, due_s)
        raise
    finally:
        session.in_flight -= 1
    failed = exchange.failure
    answer = Answer(failed, exchange.detail) if failed else check(exchange.status, exchange.body)
    _record(session, step, exchange, answer, variant, index, due_s)
    return answer


def cut_off(sent_s: float) -> Exchange:
    """Returns what becomes of a request that is in flight when the drain is over.

    It has waited long enough to be called a time-out, and every request that was sent must be in the results.
    """
    return Exchange(sent_s, time.monotonic(), 0, b"", "read_timeout", "cut off by the end of the run")


def _record(
    session: Session, step: str, exchange: Exchange, answer: Answer, variant: str, index: int, due_s: float
) -> None:
    sent_s, done_s, size = exchange.sent_s, exchange.done_s, len(exchange.body)
    session.records.record(
        Request(step, answer.outcome, due_s or sent_s, sent_s, done_s, variant, index, answer.detail, size)
    )
