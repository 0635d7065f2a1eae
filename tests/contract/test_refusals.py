import json

import pytest

from convload.contract import answers
from convload.contract.answers import Refusal, already_open, bad_request, refusal_of

TABLE = [
    (answers.MISSING_BRAND, 400, 40001, "Missing parameter", "Brand Id is missing"),
    (answers.INVALID_APP_TOKEN, 401, 40102, "Invalid AppJWT", "AppJWT has expired or is invalid"),
    (answers.INVALID_CONSUMER_TOKEN, 401, 40103, "Invalid ConsumerJWS", "ConsumerJWS is invalid"),
    (answers.MISSING_CONSUMER_TOKEN, 401, 40104, "ConsumerJWS is missing", "X_ON_BEHALF_HEADER is not present"),
    (answers.MISSING_APP_TOKEN, 401, 40105, "AppJWT is missing", "AUTHORIZATION header is not present"),
    (refusal_of(502, ""), 502, 50201, "Unable to access resource", "Failed to connect to AC for setting delay"),
]


@pytest.mark.parametrize(("refusal", "status", "code", "title", "details"), TABLE)
def test_each_row_of_the_documented_table_has_its_documented_body(
    refusal: Refusal, status: int, code: int, title: str, details: str
) -> None:
    assert refusal.status == status
    assert not refusal.assumed
    assert json.loads(refusal.body()) == {
        "kind": "resp",
        "code": status,
        "body": {"title": title, "details": details, "errorCode": code},
        "type": ".ReqBody$ErrorResp",
    }


def test_the_documented_sample_is_matched_byte_for_byte() -> None:
    assert answers.MISSING_APP_TOKEN.body() == (
        b'{"kind":"resp","code":401,"body":{"title":"AppJWT is missing",'
        b'"details":"AUTHORIZATION header is not present","errorCode":40105},"type":".ReqBody$ErrorResp"}'
    )


def test_what_is_not_documented_says_so() -> None:
    assert bad_request("x") == Refusal(400, 40000, "Bad Request", "x", assumed=True)
    assert refusal_of(429, "x") == Refusal(429, 42900, "Too Many Requests", "x", assumed=True)
    assert refusal_of(599, "x") == Refusal(599, 59900, "599", "x", assumed=True)


def test_the_open_conversation_message_names_the_user() -> None:
    assert already_open("ab") == (
        "Consumer request conversation failed: User ab already has open conversation. Can't open another one."
    )
