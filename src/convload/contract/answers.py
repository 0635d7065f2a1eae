"""What the API answers: its refusals as documented, and the check of an answer against its request."""

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from convload.contract.outcomes import CONTRACT, INVALID_JSON, OK, PARTIAL, of_status
from convload.contract.requests import UNDECODABLE

HTTP_OK = 200
HTTP_CREATED = 201
HTTP_UNAUTHORIZED = 401
CODE_OK = "OK"

Read = TypeVar("Read")

Token = Annotated[str, Meta(pattern=r"^[\x21-\x7e]+\Z")]
"""A token goes into a header: visible ASCII only, so that no answer can add a header of its own."""


class AnswerBody(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The body of an answered element; which field is there depends on the request."""

    conversation_id: str = ""
    sequence: int | None = None
    msg: str = ""


class AnswerElement(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One element of an answer; `reqId` echoes the id of the request byte for byte."""

    code: str | int
    body: AnswerBody
    req_id: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What an answer amounts to. `detail` says where it is wrong; what it quotes is the target's, so data.

    `error_code` is what a refusal of a token calls itself, such as "40102" or "invalid_client". `head` begins with that
    of a failure, whose headers may help to find its cause.
    """

    outcome: str
    detail: str = ""
    conversation_id: str = ""
    error_code: str = ""
    head: bytes = b""


class Claims(msgspec.Struct, frozen=True):
    """What a JWT says of its own time, in seconds since 1970."""

    exp: float
    iat: float | None = None


class AppToken(msgspec.Struct, frozen=True):
    """An AppJWT; `expires_in` in seconds, not in the documentation but sent."""

    access_token: Token
    token_type: str = "Bearer"  # noqa: S105 -- the name of a scheme
    expires_in: float | None = None

    def life_s(self, now_unix_s: float) -> float:
        """Returns for how long it holds: as was said, or by its own claims, or the documented hour.

        From `iat` to `exp` rather than to now, where both are there: clocks differ.
        """
        if self.expires_in is not None:
            return self.expires_in
        try:
            payload = self.access_token.split(".")[1]
            claims = msgspec.json.decode(b64decode(payload + "=" * (-len(payload) % 4), b"-_"), type=Claims)
        except (IndexError, ValueError, *UNDECODABLE):
            return 3600.0
        return claims.exp - (now_unix_s if claims.iat is None else claims.iat)


class ConsumerToken(msgspec.Struct, frozen=True):
    """A ConsumerJWS."""

    token: Token


class BaseUri(msgspec.Struct, frozen=True, rename="camel"):
    """Where a service of an account lives: a host without a scheme."""

    service: str
    base_uri: str = msgspec.field(name="baseURI")
    account: str = ""


class BaseUris(msgspec.Struct, frozen=True, rename="camel"):
    """Where all services of an account live."""

    base_uris: list[BaseUri] = msgspec.field(name="baseURIs")


class _Coded(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Where a refusal may say what it calls itself."""

    error_code: object = msgspec.UNSET


class _Refused(_Coded, frozen=True, gc=False):
    """A refusal, in the documented form or in OAuth's; only what its code is found by."""

    body: _Coded | list[object] | str | float | bool | None = None
    error: object = ""


_CODE = re.compile(r"[\w.-]{1,40}", re.ASCII)

_decode_create = msgspec.json.Decoder(list[AnswerElement]).decode
_decode_named = msgspec.json.Decoder(list[AnswerElement] | AnswerBody).decode
_decode_send = msgspec.json.Decoder(AnswerElement).decode
_decode_app_token = msgspec.json.Decoder(AppToken).decode
_decode_consumer_token = msgspec.json.Decoder(ConsumerToken).decode
_decode_refusal = msgspec.json.Decoder(_Refused).decode
_decode_base_uris = msgspec.json.Decoder(BaseUris).decode


def check_create(reply_ids: Sequence[str], status: int, body: bytes, expect: str = OK) -> Answer:
    """Checks the answer to a create request, whose elements must carry these `reqId`s in order.

    `expect` is the outcome that the payload is meant to have; `http_400` makes a 400 `ok` and a 200 an error.
    """
    if status != HTTP_OK:
        outcome = of_status(status)
        if outcome == expect:
            return Answer(OK)
        return Answer(outcome, _excerpt(body), _conversation_in(body), _code_of(status, body))
    answer = _check_created(reply_ids, body)
    if expect == OK or answer.outcome != OK:
        return answer
    return Answer(CONTRACT, f"$: accepted, where {expect} was expected", answer.conversation_id)


def _check_created(reply_ids: Sequence[str], body: bytes) -> Answer:
    try:
        elements = _decode_create(body)
    except UNDECODABLE as error:
        return _undecodable(body, error)
    if len(elements) != len(reply_ids):
        detail = f"$: has {len(elements)} elements for a request of {len(reply_ids)}"
        return Answer(CONTRACT, detail, _conversation_in(body))
    conversation_id, partial = "", ""
    for position, element in enumerate(elements):
        if element.req_id != reply_ids[position]:
            detail = f"$[{position}].reqId: is {element.req_id[:80]!r}, not {reply_ids[position]!r}"
            return Answer(CONTRACT, detail, _conversation_in(body))
        # By content, not by place: an accepted bad request may have been answered with a single element.
        conversation_id = conversation_id or element.body.conversation_id
        if element.code != CODE_OK:
            partial = partial or f"$[{position}].code: is {element.code!r}: {element.body.msg[:200]}"
    if partial:
        return Answer(PARTIAL, partial, conversation_id)
    if not conversation_id:
        return Answer(CONTRACT, "$[1].body.conversationId: is missing")
    return Answer(OK, "", conversation_id)


def _conversation_in(body: bytes) -> str:
    """Returns the conversation that an answer names which is no success, so that it can be closed; "" without one."""
    if body.find(b"conversationId") < 0:  # `in` would try first whether it is a number, which takes five times as long
        return ""
    try:
        found = _decode_named(body)
    except UNDECODABLE:
        return ""
    bodies = [found] if isinstance(found, AnswerBody) else [element.body for element in found]
    return next((one.conversation_id for one in bodies if one.conversation_id), "")


def check_send(reply_id: str, status: int, body: bytes) -> Answer:
    """Checks the answer to a send or close request."""
    if status != HTTP_OK:
        return Answer(of_status(status), _excerpt(body), "", _code_of(status, body))
    element = _read(_decode_send, body)
    if isinstance(element, Answer):
        return element
    if element.req_id != reply_id:
        return Answer(CONTRACT, f"$.reqId: is {element.req_id[:80]!r}, not {reply_id!r}")
    if element.code != CODE_OK:
        return Answer(PARTIAL, f"$.code: is {element.code!r}: {element.body.msg[:200]}")
    return Answer(OK)


def read_app_token(status: int, body: bytes) -> AppToken | Answer:
    """Reads the answer of Sentinel; never quotes the body, which may hold a token."""
    return _read(_decode_app_token, body) if status == HTTP_OK else _refused(status, body)


def read_consumer_token(status: int, body: bytes) -> ConsumerToken | Answer:
    """Reads the answer of IDP, documented as 201; never quotes the body, which may hold a token."""
    return _read(_decode_consumer_token, body) if status in (HTTP_OK, HTTP_CREATED) else _refused(status, body)


def read_domains(status: int, body: bytes) -> dict[str, str] | Answer:
    """Reads a domain look-up: service name → host."""
    if status != HTTP_OK:
        return Answer(of_status(status), _excerpt(body))
    found = _read(_decode_base_uris, body)
    return found if isinstance(found, Answer) else {one.service: one.base_uri for one in found.base_uris}


def _read(decode: Callable[[bytes], Read], body: bytes) -> Read | Answer:
    try:
        return decode(body)
    except UNDECODABLE as error:
        return _undecodable(body, error)


def _refused(status: int, body: bytes) -> Answer:
    code = error_code(body)
    return Answer(of_status(status), f"error code {code}" if code else "", "", code)


def _code_of(status: int, body: bytes) -> str:
    """Returns the code where somebody acts on it: it tells whose token was refused."""
    return error_code(body) if status == HTTP_UNAUTHORIZED else ""


def error_code(body: bytes) -> str:
    """Returns what a refusal calls itself, in the documented form or in OAuth's (RFC 6749 §5.2); "" if it does not."""
    try:
        refusal = _decode_refusal(body)
    except UNDECODABLE:
        return ""
    code = (refusal.body if isinstance(refusal.body, _Coded) else refusal).error_code
    if code is msgspec.UNSET:
        code = refusal.error
    return str(code) if isinstance(code, (str, int)) and _CODE.fullmatch(str(code)) else ""


def _undecodable(body: bytes, error: Exception) -> Answer:
    """Tells an answer that is no JSON from one that is JSON of another form."""
    try:
        msgspec.json.decode(body)
    except UNDECODABLE:
        return Answer(INVALID_JSON, f"$: {error}")
    return Answer(CONTRACT, str(error))


def _excerpt(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")


# Refusals: the documented error table and the forms errors come in


class Refusal(msgspec.Struct, frozen=True):
    """One row of the documented table of errors. `assumed` rows have no published body."""

    status: int
    error_code: int
    title: str
    details: str
    assumed: bool = False

    def body(self) -> bytes:
        """Returns the unified error form, in which `code` is a number."""
        return msgspec.json.encode(
            {
                "kind": "resp",
                "code": self.status,
                "body": {"title": self.title, "details": self.details, "errorCode": self.error_code},
                "type": ".ReqBody$ErrorResp",
            }
        )


MISSING_BRAND = Refusal(400, 40001, "Missing parameter", "Brand Id is missing")
INVALID_APP_TOKEN = Refusal(401, 40102, "Invalid AppJWT", "AppJWT has expired or is invalid")
INVALID_CONSUMER_TOKEN = Refusal(401, 40103, "Invalid ConsumerJWS", "ConsumerJWS is invalid")
MISSING_CONSUMER_TOKEN = Refusal(401, 40104, "ConsumerJWS is missing", "X_ON_BEHALF_HEADER is not present")
MISSING_APP_TOKEN = Refusal(401, 40105, "AppJWT is missing", "AUTHORIZATION header is not present")
OF_THE_CONSUMER = frozenset({"40103", "40104"})
"""Codes of a 401 that are about the consumer's token, not about the app's."""

UNABLE_TO_ACCESS = Refusal(502, 50201, "Unable to access resource", "Failed to connect to AC for setting delay")
"""The one sample of a 5xx that is published."""


def refusal_of(status: int, details: str) -> Refusal:
    """Returns the documented refusal of a status where there is one, else an assumed one in the same form."""
    if status == UNABLE_TO_ACCESS.status:
        return UNABLE_TO_ACCESS
    title = HTTPStatus(status).phrase if status in _STATUSES else str(status)
    return Refusal(status, status * 100, title, details, assumed=True)


_STATUSES = frozenset(status.value for status in HTTPStatus)


def bad_request(details: str) -> Refusal:
    """Returns the assumed refusal of a broken request; only the class of its status is documented."""
    return refusal_of(400, details)


def already_open(lp_consumer_id: str) -> str:
    """Returns the documented message for a consumer that has an open conversation."""
    return (
        f"Consumer request conversation failed: User {lp_consumer_id} already has open conversation. "
        "Can't open another one."
    )


CLOSED_CONVERSATION = "Bad Request, Conversation is close"
TOO_LARGE = "Bad Request"
PROFILE_SET = "OK User Profile set successfully"
CONVERSATION_CLOSED = "OK Conversation resolved successfully"
