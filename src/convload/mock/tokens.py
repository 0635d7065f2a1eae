"""AppJWT and ConsumerJWS: made, signed and checked."""

import hashlib
import secrets
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from functools import lru_cache
from hmac import compare_digest

import msgspec

from convload.contract import answers
from convload.contract.answers import Refusal

ISSUER = "Sentinel"
SCOPE = "msg.consumer"

VERIFIED_TOKENS_KEPT = 16_384
"""Tokens whose signature is not computed again; the one used longest ago goes first."""

# The published samples say RS256. We sign with HMAC-SHA256 whatever the header says: a signature by RSA
# takes a millisecond, and nobody but this process ever verifies these tokens.
_HEADER = {"kid": "appjwt-13-05-17", "typ": "JWT", "alg": "RS256"}

_BEARER = b"bearer "
_BLOCK_BYTES = 64
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class AppClaims(msgspec.Struct, frozen=True, gc=False):
    """What an AppJWT says: the account is its audience, the client its authorised party."""

    aud: str
    azp: str
    scope: str
    iss: str
    iat: int
    exp: int


class ConsumerClaims(msgspec.Struct, frozen=True, gc=False):
    """What a ConsumerJWS says; it never expires."""

    account_id: str
    ext_consumer_id: str
    lp_consumer_id: str


Claims = AppClaims | ConsumerClaims

_decode_app = msgspec.json.Decoder(AppClaims).decode
_decode_consumer = msgspec.json.Decoder(ConsumerClaims).decode


class Tokens:
    """Makes and checks the tokens of one mock, whose signing key nobody else has; `clock` returns Unix time."""

    def __init__(self, lifetime_s: int, clock: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._sign_with = _hmac_sha256(secrets.token_bytes(_BLOCK_BYTES))
        self._claims = lru_cache(VERIFIED_TOKENS_KEPT)(self._verify)

    def app_token(self, account: str, client_id: str) -> str:
        """Returns a new AppJWT."""
        now_s = int(self._clock())
        return self._sign(AppClaims(account, client_id, SCOPE, ISSUER, now_s, now_s + self._lifetime_s))

    def consumer_token(self, account: str, ext_consumer_id: str) -> str:
        """Returns the ConsumerJWS of a consumer; the same consumer always has the same `lp_consumer_id`."""
        lp_consumer_id = hashlib.sha256(f"{account}/{ext_consumer_id}".encode()).hexdigest()
        return self._sign(ConsumerClaims(account, ext_consumer_id, lp_consumer_id))

    def check_app(self, header: bytes | None, account: str) -> Refusal | None:
        """Checks an Authorization header, with or without `Bearer`; None where it is sound."""
        if not header:
            return answers.MISSING_APP_TOKEN
        claims = self._claims(header)
        if isinstance(claims, AppClaims) and claims.aud == account and claims.exp > self._clock():
            return None
        # The first is the documented answer to an AppJWT without its mandatory claims.
        return answers.MISSING_BRAND if isinstance(claims, ConsumerClaims) else answers.INVALID_APP_TOKEN

    def check_consumer(self, header: bytes | None, account: str) -> ConsumerClaims | Refusal:
        """Checks an X-LP-ON-BEHALF header."""
        if not header:
            return answers.MISSING_CONSUMER_TOKEN
        claims = self._claims(header)
        if isinstance(claims, ConsumerClaims) and claims.account_id == account:
            return claims
        return answers.INVALID_CONSUMER_TOKEN

    def _sign(self, claims: Claims) -> str:
        signed = _HEADER_PART + b"." + _encode(msgspec.json.encode(claims))
        return (signed + b"." + _encode(self._sign_with(signed))).decode()

    def _verify(self, header: bytes) -> Claims | None:
        token = header[len(_BEARER) :].strip() if header[: len(_BEARER)].lower() == _BEARER else header
        signed, _, signature = token.rpartition(b".")
        if not compare_digest(signature, _encode(self._sign_with(signed))):
            return None
        # Padding that is not needed does no harm.
        claims = a2b_base64(signed.partition(b".")[2].translate(_FROM_URL_SAFE) + b"==")
        return _decode_app(claims) if claims.startswith(b'{"aud"') else _decode_consumer(claims)


def _hmac_sha256(key: bytes) -> Callable[[bytes], bytes]:
    """Returns HMAC-SHA256 (RFC 2104) with a key of one block, which is padded once: twice as fast as `hmac`."""
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def sign(message: bytes) -> bytes:
        inside, outside = inner.copy(), outer.copy()
        inside.update(message)
        outside.update(inside.digest())
        return outside.digest()

    return sign


def _encode(part: bytes) -> bytes:
    return b2a_base64(part, newline=False).translate(_TO_URL_SAFE).rstrip(b"=")


_HEADER_PART = _encode(msgspec.json.encode(_HEADER))
