"""Conversations under a retry policy against a server whose every byte is written here."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import gevent
import pytest
from tests.load.account import Account, answer
from tests.load.account import Rig as AccountRig
from tests.load.conftest import Peer, Script

from convload.contract.steps import ATTEMPTS
from convload.load.client.origin import Origin
from convload.load.client.reading import telling_headers
from convload.load.client.tokens import Services
from convload.load.conversation import Consumer
from convload.load.recorder import FailedAttempt, Recorder, Result
from convload.plan.retry import CUT_OFF, GAVE_UP, HONOURED, IGNORED, NOT_RETRIED, RETRIED

CREATE = "conversation.create"
REFUSED = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n%b\r\n"


def refusal(status: int, *headers: bytes) -> bytes:
    return REFUSED % (status, b"".join(header + b"\r\n" for header in headers))


def accepted(request: bytes) -> bytes:
    """Answers a create as the API does."""
    elements = json.loads(request.partition(b"\r\n\r\n")[2])
    bodies = [{"msg": "OK"}, {"conversationId": "c"}, {"sequence": 0}]
    answer = [{"code": "OK", "body": body, "reqId": str(e["id"])} for e, body in zip(elements, bodies, strict=False)]
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Target:
    """A server that gives these answers in turn, and then accepts; b"" resets the connection."""

    def __init__(self, serve: Callable[..., Script], *answers: bytes) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.url = serve(self._behave).url

    def _behave(self, peer: Peer) -> None:
        while request := peer.read_request():
            self.requests.append(request)
            answer = self._answers.pop(0) if self._answers else accepted(request)
            if not answer:
                peer.reset()
                return
            peer.send(answer)


class Rig(AccountRig):
    """One consumer that retries."""

    def __init__(self, url: str, **retry: Any) -> None:
        super().__init__(url, consumers="none", retry={"policy": "fixed", "first_wait_s": 0.0} | retry)

    def create(self, due_s: float = 0.0) -> str:
        """Creates a conversation; returns what became of the whole."""
        self.consumer.create(due_s)
        return self.kept.outcomes(CREATE)[-1]


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(url: str, **retry: Any) -> Rig:
        rigs.append(Rig(url, **retry))
        return rigs[-1]

    yield make
    for made in rigs:
        made.consumer.leave()


def test_the_same_bytes_are_sent_again_for_the_same_consumer(
    serve: Callable[..., Script], rig: Callable[..., Rig]
) -> None:
    target = Target(serve, refusal(503), refusal(429))
    made = rig(target.url)

    assert made.create() == "ok"
    assert len(target.requests) == 3
    assert len(set(target.requests)) == 1
    assert b"X-LP-ON-BEHALF: one\r\n" in target.requests[0]
    assert (made.target.payloads.built, made.target.sent, made.target.retried) == (1, 3, 2)


def test_the_whole_and_its_attempts_are_told_apart(serve: Callable[..., Script], rig: Callable[..., Rig]) -> None:
    target = Target(serve, refusal(503), refusal(429, b"Server: edge"))
    made = rig(target.url, first_wait_s=0.05)

    made.create()

    (whole,), (first,), others = (made.kept.of(step) for step in (CREATE, *ATTEMPTS))
    assert (whole.outcome, first.outcome, [other.outcome for other in others]) == (
        "ok",
        "http_503",
        ["rate_limited", "ok"],
    )
    assert whole.due_s == whole.sent_s == first.due_s == first.sent_s
    assert whole.done_s == others[-1].done_s
    assert (whole.done_s - whole.sent_s) - (first.done_s - first.sent_s) >= 0.1
    assert others[0].sent_s - first.done_s >= 0.05
    assert {other.due_s for other in others} == {first.due_s}
    assert {result.index for result in made.kept.results} == {0}
    assert [dict(telling_headers(other.head)).get("server", "") for other in others] == ["edge", ""]
    assert made.kept.fates == [("http_503", RETRIED, ""), ("rate_limited", RETRIED, "")]
    assert all(0.05 <= attempt.waited_s < 2 for attempt in made.kept.failures)


def test_a_conversation_that_was_due_before_counts_from_then(
    serve: Callable[..., Script], rig: Callable[..., Rig]
) -> None:
    made = rig(Target(serve, refusal(503)).url)

    made.create(due_s=1.5)

    assert {result.due_s for result in made.kept.results} == {1.5}
    assert made.kept.of(CREATE)[0].sent_s > 1.5


def test_all_attempts_fail_and_it_is_given_up(serve: Callable[..., Script], rig: Callable[..., Rig]) -> None:
    target = Target(serve, *[refusal(502)] * 9)
    made = rig(target.url, attempts=3)

    assert made.create() == "http_502"
    assert len(target.requests) == 3
    assert [fate for _, fate, _ in made.kept.fates] == [RETRIED, RETRIED, GAVE_UP]


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_mistake_of_the_request_is_not_sent_again(
    serve: Callable[..., Script], rig: Callable[..., Rig], status: int
) -> None:
    target = Target(serve, refusal(status))
    made = rig(target.url)

    assert made.create() == f"http_{status}"
    assert len(target.requests) == 1
    assert made.kept.fates == [(f"http_{status}", NOT_RETRIED, "")]


def test_nobody_listens_and_it_is_tried_again(serve: Callable[..., Script], rig: Callable[..., Rig]) -> None:
    made = rig(Target(serve).url, attempts=2)
    made.target.services = Services(*[Origin("http://127.0.0.1:9")] * 3)
    made.consumer = Consumer(made.target)

    assert made.create() == "connect_refused"
    assert made.target.sent == 2


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_waited_for(
    serve: Callable[..., Script], rig: Callable[..., Rig], status: int
) -> None:
    made = rig(Target(serve, refusal(status, b"Server: x", b"retry-AFTER:  1")).url)

    assert made.create() == "ok"
    assert made.kept.fates[0][1:] == (RETRIED, HONOURED)
    assert made.kept.of(CREATE)[0].done_s - made.kept.of(CREATE)[0].sent_s >= 1.0


def test_retry_after_as_a_date_is_waited_for(serve: Callable[..., Script], rig: Callable[..., Rig]) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    date = format_datetime(soon, usegmt=True).encode()
    made = rig(Target(serve, refusal(429, b"Retry-After: " + date)).url)

    assert made.create() == "ok"
    assert made.kept.fates == [("rate_limited", RETRIED, HONOURED)]
    assert 0.3 < made.kept.failures[0].waited_s < 1.6


@pytest.mark.parametrize(
    ("header", "retry", "told"),
    [
        (b"Retry-After: soon", {}, (RETRIED, IGNORED)),
        (b"Retry-After: 3600", {}, (GAVE_UP, IGNORED)),
        (b"Retry-After: 3600", {"honour_retry_after": False}, (RETRIED, IGNORED)),
        (b"Retry-After: 3600", {"on": ["dns"]}, (NOT_RETRIED, IGNORED)),
        (b"Retry-After: Fri, 01 Jan 2010 00:00:00 GMT", {}, (RETRIED, HONOURED)),
        (b"X-Retry-After: 3600", {}, (RETRIED, "")),
    ],
)
def test_what_became_of_a_retry_after_is_told(
    serve: Callable[..., Script], rig: Callable[..., Rig], header: bytes, retry: dict[str, Any], told: tuple[str, str]
) -> None:
    made = rig(Target(serve, refusal(429, header)).url, **retry)

    made.create()

    assert made.kept.fates[0][1:] == told


def test_a_retry_after_of_another_status_says_nothing_about_a_create(
    serve: Callable[..., Script], rig: Callable[..., Rig]
) -> None:
    made = rig(Target(serve, refusal(502, b"Retry-After: 3600")).url)

    assert made.create() == "ok"


def test_an_unclear_outcome_is_retried_only_when_asked_for(
    serve: Callable[..., Script], rig: Callable[..., Rig]
) -> None:
    shy, bold = rig(Target(serve, b"").url), rig(Target(serve, b"").url, on=["reset"])

    assert shy.create() == "reset"
    assert bold.create() == "ok"
    assert (shy.target.sent, bold.target.sent) == (1, 2)


def test_after_an_unclear_attempt_only_success_keeps_the_consumer(serve: Callable[..., Script]) -> None:
    """What came before decides about the consumer; what is recorded is how the conversation ended."""
    account = Account(serve)
    made = AccountRig(account.url, retry={"policy": "fixed", "first_wait_s": 0.0, "attempts": 2, "on": ["http_504"]})
    answers = [answer(504), answer(429)]
    account.first = lambda request: answers.pop(0) if answers and request.step == "create" else None

    made.hold(2)

    assert made.kept.outcomes(CREATE) == ["rate_limited", "ok"]
    assert account.consumers == 2


def test_the_end_of_the_run_wakes_who_waits_and_loses_nothing(
    serve: Callable[..., Script], rig: Callable[..., Rig]
) -> None:
    made = rig(Target(serve, refusal(503, b"Retry-After: 30")).url)
    waiting = gevent.spawn(made.create)
    while not made.kept.results:
        gevent.sleep(0.005)

    made.session.no_retries.set()
    answer = waiting.get(timeout=5)

    assert answer == "http_503"
    assert made.kept.fates == [("http_503", CUT_OFF, HONOURED)]
    assert [result.step for result in made.kept.results] == [ATTEMPTS[0], CREATE]


@pytest.mark.parametrize("answers", [(refusal(503, b"Retry-After: 30"),), (b"HTTP/1.1 200 OK\r\n",)])
def test_a_user_that_is_killed_leaves_a_whole_record(
    serve: Callable[..., Script], rig: Callable[..., Rig], answers: tuple[bytes, ...]
) -> None:
    """While it waits for a retry, and while it waits for an answer."""
    target = Target(serve, *answers)
    made = rig(target.url)
    user = gevent.spawn(made.create)
    while not target.requests or (answers[0][9:12] == b"503" and not made.kept.results):
        gevent.sleep(0.005)

    user.kill(timeout=5)

    assert [result.step for result in made.kept.results] == [ATTEMPTS[0], CREATE]
    assert [fate for _, fate, _ in made.kept.fates] == [CUT_OFF]
    assert made.target.in_flight == 0


def test_retries_belong_to_the_phase_and_stage_of_their_conversation() -> None:
    taken = Recorder(0, ATTEMPTS)
    taken.measure_from_s, taken.measure_until_s = 10.0, 20.0
    taken.record(Result(ATTEMPTS[0], "http_503", 19.0, 19.1, 19.2))
    taken.record_failed_attempt(FailedAttempt("http_503", RETRIED, "", 19.0, 5.0))
    taken.record(Result(ATTEMPTS[1], "ok", 19.0, 24.2, 24.5))
    taken.record(Result(CREATE, "ok", 19.0, 19.1, 24.5, "minimal"))

    cells, _ = taken.take()
    (backoff,) = taken.take_backoffs()

    assert {(cell.step, cell.phase) for cell in cells} == {(step, "measure") for step in (CREATE, *ATTEMPTS)}
    assert taken.creates_recorded == 2
    retry = next(cell for cell in cells if cell.step == ATTEMPTS[1])
    assert retry.response == retry.lateness == ""  # its own time alone: no wait of the conversation is in it
    assert (backoff.phase, backoff.count) == ("measure", 1)
    assert taken.take_backoffs() == []
