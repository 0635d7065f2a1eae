"""What goes along with every request, and what an answer's headers say about it."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from tests.load.account import Account, Received, Rig, accepted, answer
from tests.load.conftest import Script

Serve = Callable[..., Script]
CREATE = "conversation.create"


def test_client_properties_go_with_every_following_request(serve: Serve) -> None:
    account = Account(serve)
    rig = Rig(account.url)

    opened = rig.consumer.create(variant="auto_messages")
    assert opened is not None
    rig.consumer.send(opened, "hello")
    rig.consumer.close(opened)

    sent = [one.headers.get("client-properties", "") for one in account.received if "token" not in one.step]
    assert len(sent) == 3
    assert len(set(sent)) == 1
    assert "AUTO_MESSAGES" in json.loads(sent[0])["features"]


def test_every_request_asks_for_identity(serve: Serve) -> None:
    account = Account(serve)

    Rig(account.url).hold(1)

    assert {one.headers["accept-encoding"] for one in account.received} == {"identity"}
    assert {one.step for one in account.received} == {"token.app", "token.consumer", "create", "send"}


def coded(body: bytes, coding: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def outcome_of(serve: Serve, reply: Callable[[Received], bytes]) -> tuple[str, str]:
    account = Account(serve)
    account.first = lambda one: reply(one) if one.step == "create" else None
    rig = Rig(account.url)
    rig.hold(1)
    (result,) = rig.kept.of(CREATE)
    return result.outcome, result.detail


def body_of(request: Received) -> bytes:
    return accepted(request.body, "c").partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(("code", "coding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_an_answer_that_is_compressed_all_the_same_is_read(
    serve: Serve, code: Callable[[bytes], bytes], coding: str
) -> None:
    assert outcome_of(serve, lambda one: coded(code(body_of(one)), coding)) == ("ok", "")


BROKEN = {
    "cut": (lambda body: gzip.compress(body)[:-9], "gzip"),
    "bomb": (lambda _: gzip.compress(b" " * (17 << 20)), "gzip"),
    "br": (lambda _: b"\x1b\x03\x00", "br"),
}


@pytest.mark.parametrize(("code", "coding"), BROKEN.values(), ids=BROKEN.keys())
def test_a_coding_that_cannot_be_read_is_named(serve: Serve, code: Callable[[bytes], bytes], coding: str) -> None:
    outcome, detail = outcome_of(serve, lambda one: coded(code(body_of(one)), coding))

    assert outcome == "malformed_http"
    assert detail == f"Content-Encoding: {coding}, which cannot be read and was not asked for"


def test_a_refusal_in_another_coding_stays_a_refusal(serve: Serve) -> None:
    reply = answer(502, None, "Content-Encoding: br")

    assert outcome_of(serve, lambda _: reply)[0] == "http_502"


def test_a_redirect_says_where_it_leads(serve: Serve) -> None:
    reply = answer(307, None, "Location: https://elsewhere.example/create")

    assert outcome_of(serve, lambda _: reply) == ("http_307", "Location: https://elsewhere.example/create")


def test_a_traced_create_carries_its_trace_and_the_calls_after_it_carry_none(serve: Serve) -> None:
    account = Account(serve)
    rig = Rig(account.url, traced=1.0)

    rig.hold(2)

    traces = [one.headers.get("traceparent", "").split("-") for one in account.of("create")]
    assert [(version, trace, flags) for version, trace, _, flags in traces] == [
        ("00", rig.target.tracing.trace_id(index), "01") for index in range(2)
    ]
    assert all(len(span) == 16 and set(span) != {"0"} for _, _, span, _ in traces)
    assert not [one for one in account.received if one.step != "create" and "traceparent" in one.headers]


def test_without_a_share_nothing_is_traced(serve: Serve) -> None:
    account = Account(serve)

    Rig(account.url).hold(2)

    assert not [one for one in account.received if "traceparent" in one.headers]
