import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.contract.answers import (
    INVALID_APP_TOKEN,
    INVALID_CONSUMER_TOKEN,
    MISSING_APP_TOKEN,
    MISSING_BRAND,
    MISSING_CONSUMER_TOKEN,
)
from convload.mock.tokens import ConsumerClaims, Tokens, _hmac_sha256

LIFETIME_S = 600


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.5

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(LIFETIME_S, clock)


def part(token: str, position: int) -> Any:
    piece = token.split(".")[position]
    assert "=" not in piece
    return json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))


def test_an_app_token_has_the_documented_header_and_claims(tokens: Tokens) -> None:
    token = tokens.app_token("123", "app")

    assert token.count(".") == 2
    assert part(token, 0) == {"kid": "appjwt-13-05-17", "typ": "JWT", "alg": "RS256"}
    assert part(token, 1) == {
        "aud": "123",
        "azp": "app",
        "scope": "msg.consumer",
        "iss": "Sentinel",
        "iat": 1_700_000_000,
        "exp": 1_700_000_000 + LIFETIME_S,
    }


def test_signatures_are_hmac_sha256() -> None:
    key = bytes(range(64))

    for message in (b"", b"a.b", b"x" * 1000):
        assert _hmac_sha256(key)(message) == hmac.digest(key, message, "sha256")


def test_a_consumer_token_has_the_documented_claims_and_no_end(tokens: Tokens) -> None:
    claims = part(tokens.consumer_token("123", 'A "aud" é'), 1)

    assert claims.keys() == {"account_id", "ext_consumer_id", "lp_consumer_id"}
    assert claims["ext_consumer_id"] == 'A "aud" é'
    assert len(bytes.fromhex(claims["lp_consumer_id"])) == 32


def test_a_consumer_is_the_same_one_every_time_and_another_in_another_account(tokens: Tokens) -> None:
    def lp_consumer_id(account: str, ext_consumer_id: str) -> Any:
        return part(tokens.consumer_token(account, ext_consumer_id), 1)["lp_consumer_id"]

    assert lp_consumer_id("1", "Ada") == lp_consumer_id("1", "Ada")
    assert len({lp_consumer_id("1", "Ada"), lp_consumer_id("1", "Bob"), lp_consumer_id("2", "Ada")}) == 3


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text("0123456789abc", min_size=1))
def test_any_consumer_of_any_account_is_read_back(ext_consumer_id: str, account: str) -> None:
    tokens = Tokens(LIFETIME_S, Clock())
    claims = tokens.check_consumer(tokens.consumer_token(account, ext_consumer_id).encode(), account)

    assert isinstance(claims, ConsumerClaims)
    assert claims.ext_consumer_id == ext_consumer_id
    assert tokens.check_app(tokens.app_token(account, ext_consumer_id).encode(), account) is None


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer ", "BEARER  "])
def test_tokens_are_taken_with_and_without_bearer(tokens: Tokens, prefix: str) -> None:
    app = (prefix + tokens.app_token("1", "app")).encode()
    consumer = (prefix + tokens.consumer_token("1", "Ada")).encode()

    assert tokens.check_app(app, "1") is None
    assert isinstance(tokens.check_consumer(consumer, "1"), ConsumerClaims)


def test_an_app_token_expires_and_a_consumer_token_does_not(tokens: Tokens, clock: Clock) -> None:
    app, consumer = tokens.app_token("1", "app").encode(), tokens.consumer_token("1", "Ada").encode()
    clock.now_s += LIFETIME_S - 1
    assert tokens.check_app(app, "1") is None

    clock.now_s += 1
    assert tokens.check_app(app, "1") == INVALID_APP_TOKEN

    clock.now_s += 10 * 365 * 86_400
    assert isinstance(tokens.check_consumer(consumer, "1"), ConsumerClaims)


@pytest.mark.parametrize("header", [None, b""])
def test_a_missing_token_is_told_apart_from_a_wrong_one(tokens: Tokens, header: bytes | None) -> None:
    assert tokens.check_app(header, "1") == MISSING_APP_TOKEN
    assert tokens.check_consumer(header, "1") == MISSING_CONSUMER_TOKEN


@pytest.mark.parametrize(
    "header", [b"x", b"a.b.c", b"..", b"Bearer", b"Bearer ", b"\xff\xfe.\x00.", b"eyJhbGciOiJub25lIn0.e30."]
)
def test_what_this_mock_has_not_signed_is_invalid(tokens: Tokens, header: bytes) -> None:
    assert tokens.check_app(header, "1") == INVALID_APP_TOKEN
    assert tokens.check_consumer(header, "1") == INVALID_CONSUMER_TOKEN


def test_a_token_changed_anywhere_is_invalid(tokens: Tokens) -> None:
    token = tokens.app_token("1", "app").encode()
    for position in range(len(token)):
        changed = bytearray(token)
        changed[position] = ord("A") if changed[position] != ord("A") else ord("B")
        assert tokens.check_app(bytes(changed), "1") == INVALID_APP_TOKEN, position


def test_a_token_of_another_mock_is_invalid(tokens: Tokens, clock: Clock) -> None:
    other = Tokens(LIFETIME_S, clock)

    assert tokens.check_app(other.app_token("1", "app").encode(), "1") == INVALID_APP_TOKEN


def test_a_token_holds_for_its_account_only(tokens: Tokens) -> None:
    assert tokens.check_app(tokens.app_token("1", "app").encode(), "2") == INVALID_APP_TOKEN
    assert tokens.check_consumer(tokens.consumer_token("1", "Ada").encode(), "2") == INVALID_CONSUMER_TOKEN


def test_one_kind_of_token_is_not_the_other(tokens: Tokens) -> None:
    assert tokens.check_app(tokens.consumer_token("1", "Ada").encode(), "1") == MISSING_BRAND
    assert tokens.check_consumer(tokens.app_token("1", "app").encode(), "1") == INVALID_CONSUMER_TOKEN
