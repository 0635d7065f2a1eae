import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.contract.answers import (
    Answer,
    AppToken,
    ConsumerToken,
    check_create,
    check_send,
    read_app_token,
    read_consumer_token,
    read_domains,
)
from convload.contract.outcomes import MEANINGS

ID = "8602832d-dce1-446b-8445-0d51f5926a42"
IDS = ("2,", "1,", "3")
DOCUMENTED = [
    {"code": "OK", "body": {"msg": "OK User Profile set successfully"}, "reqId": "2,"},
    {"code": "OK", "body": {"conversationId": ID}, "reqId": "1,"},
    {"code": "OK", "body": {"sequence": 0}, "reqId": "3"},
]
DEEP = b"[" * 100_000


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def spoilt(position: int, **changes: Any) -> bytes:
    return body([one | changes if n == position else one for n, one in enumerate(DOCUMENTED)])


def test_the_documented_answer_is_ok_and_gives_the_conversation() -> None:
    assert check_create(IDS, 200, body(DOCUMENTED)) == Answer("ok", "", ID)


def test_an_answer_to_two_elements_needs_no_third() -> None:
    assert check_create(IDS[:2], 200, body(DOCUMENTED[:2])) == Answer("ok", "", ID)


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (body(DOCUMENTED[:2]), "contract", "$: has 2 elements for a request of 3"),
        (body([DOCUMENTED[1], DOCUMENTED[0], DOCUMENTED[2]]), "contract", "$[0].reqId: is '1,', not '2,'"),
        (spoilt(2, reqId="3,"), "contract", "$[2].reqId: is '3,', not '3'"),
        (spoilt(1, body={}), "contract", "$[1].body.conversationId: is missing"),
        (spoilt(1, body={"conversationId": ""}), "contract", "$[1].body.conversationId: is missing"),
        (spoilt(1, code="BAD_REQUEST"), "partial", "$[1].code: is 'BAD_REQUEST': "),
        (spoilt(2, code=500), "partial", "$[2].code: is 500: "),
        (body({"conversationId": ID}), "contract", "Expected `array`, got `object`"),
        (spoilt(0, reqId=2), "contract", "Expected `str`, got `int` - at `$[0].reqId`"),
        (body(DOCUMENTED)[:-1], "invalid_json", "$: Input data was truncated"),
        (b"", "invalid_json", "$: Input data was truncated"),
        (b"<html>", "invalid_json", "$: JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_a_200_that_does_not_answer_the_request_says_where(answer: bytes, outcome: str, detail: str) -> None:
    found = check_create(IDS, 200, answer)

    assert (found.outcome, found.detail) == (outcome, detail)


def test_a_partial_answer_still_tells_its_conversation_so_that_it_can_be_closed() -> None:
    assert check_create(IDS, 200, spoilt(2, code="BAD_REQUEST")).conversation_id == ID


@pytest.mark.parametrize("status", [201, 202, 400, 502])
@pytest.mark.parametrize("said", [body(DOCUMENTED), body({"conversationId": ID})])
def test_another_status_still_tells_its_conversation_so_that_it_can_be_closed(status: int, said: bytes) -> None:
    assert check_create(IDS, status, said).conversation_id == ID


def test_an_answer_out_of_order_still_tells_its_conversation() -> None:
    assert check_create(IDS, 200, spoilt(2, reqId="3,")).conversation_id == ID
    assert check_create(IDS, 200, body(DOCUMENTED[:2])).conversation_id == ID


@pytest.mark.parametrize(
    ("status", "outcome"), [(201, "http_201"), (400, "http_400"), (429, "rate_limited"), (502, "http_502")]
)
def test_another_status_is_its_own_outcome_with_the_start_of_the_body(status: int, outcome: str) -> None:
    assert check_create(IDS, status, b"x" * 300) == Answer(outcome, "x" * 200)
    assert check_send("1", status, b"\xff") == Answer(outcome, "�")


def test_a_payload_that_must_be_refused_is_ok_when_it_is() -> None:
    assert check_create(IDS, 400, b"", expect="http_400") == Answer("ok")
    assert check_create(IDS, 503, b"", expect="http_400").outcome == "http_503"


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_payload_that_must_be_refused_is_an_error_when_it_is_accepted(length: int) -> None:
    answer = check_create(IDS[:length], 200, body(DOCUMENTED[:length]), expect="http_400")

    assert answer.outcome == "contract"


def test_the_answer_to_a_send_carries_its_id_and_the_code_ok() -> None:
    sent = {"code": "OK", "body": {"sequence": 0}, "reqId": "1"}

    assert check_send("1", 200, body(sent)) == Answer("ok")
    assert check_send("2", 200, body(sent)).outcome == "contract"
    assert check_send("1", 200, body(sent | {"code": "BAD_REQUEST"})).outcome == "partial"
    assert check_send("1", 200, body([sent])).outcome == "contract"
    assert check_send("1", 200, b"{").outcome == "invalid_json"


def test_tokens_are_read() -> None:
    assert read_app_token(200, body({"access_token": "a.b.c", "expires_in": 60})) == AppToken("a.b.c", "Bearer", 60)
    assert read_consumer_token(201, body({"token": "a.b.c"})) == ConsumerToken("a.b.c")


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Injected: 1", "a.b\n", "é"])
def test_a_token_that_does_not_fit_into_a_header_is_no_token(token: str) -> None:
    assert isinstance(read_app_token(200, body({"access_token": token})), Answer)
    assert isinstance(read_consumer_token(201, body({"token": token})), Answer)


@pytest.mark.parametrize("answer", [b'{"access_token":1,"token":1,"x":"secret"}', b'"secret"', b"secret", b"{}"])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_nothing_of_a_token_answer_is_ever_quoted(answer: bytes, status: int) -> None:
    for found in (read_app_token(status, answer), read_consumer_token(status, answer)):
        assert isinstance(found, Answer)
        assert "secret" not in found.detail
        assert found.outcome != "ok"


def test_domains_are_read_by_service() -> None:
    entries = [{"service": "idp", "account": "1", "baseURI": "va.idp.example.net"}]

    assert read_domains(200, body({"baseURIs": entries})) == {"idp": "va.idp.example.net"}
    assert read_domains(401, b"no") == Answer("http_401", "no")
    assert isinstance(read_domains(200, b"{}"), Answer)


@given(st.integers(100, 599), st.one_of(st.binary(max_size=60), st.sampled_from([DEEP, b'{"x":' + DEEP])))
def test_no_answer_whatever_it_is_breaks_the_check(status: int, answer: bytes) -> None:
    read_domains(status, answer)
    found = [
        check_create(IDS, status, answer),
        check_send("1", status, answer),
        read_app_token(status, answer),
        read_consumer_token(status, answer),
    ]
    kinds = {one.outcome.partition("_")[0] for one in found if isinstance(one, Answer)}

    assert kinds <= {name.partition("_")[0] for name in MEANINGS}
