"""The mock's answers: their forms, and the bodies of those to create and send."""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex
from uuid import uuid4

import msgspec

from convload.contract.answers import CODE_OK, MISSING_BRAND, PROFILE_SET, Refusal, already_open, bad_request
from convload.contract.requests import (
    ChatStateEvent,
    ConversationElement,
    Element,
    Event,
    PublishElement,
    SetProfileElement,
)
from convload.mistakes import Mistake
from convload.mock.messages import Reply
from convload.mock.state import Conversation

OK = 200
CREATED = 201
BAD_REQUEST = 400
FIRST_REFUSAL = 300
NOT_AUTHORISED = 401

_NO_BRAND = (".body.brandId", "is missing")


def json_reply(status: int, value: object) -> Reply:
    """Returns a reply whose body is `value`."""
    return Reply(status, msgspec.json.encode(value))


def refused(refusal: Refusal) -> Reply:
    """Returns a reply in the unified error form."""
    return Reply(refusal.status, refusal.body())


def unreadable(mistakes: Sequence[Mistake]) -> Reply:
    """Returns the refusal of a body with these mistakes; a missing brand has a documented code of its own."""
    if any(mistake.path.endswith(_NO_BRAND[0]) and mistake.what == _NO_BRAND[1] for mistake in mistakes):
        return refused(MISSING_BRAND)
    return refused(bad_request("; ".join(map(str, mistakes))))


CODE_BAD_REQUEST = "BAD_REQUEST"

NOT_PUBLISHED = "Bad Request"
"""Assumed."""

FILE_URL_LIFETIME_S = 60
"""Documented."""

_encode = msgspec.json.encode


class Message(msgspec.Struct, frozen=True, gc=False):
    """The body that holds a message of the API."""

    msg: str


class _Created(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    conversation_id: str


class _Published(msgspec.Struct, frozen=True, gc=False):
    sequence: int


class _Nothing(msgspec.Struct, frozen=True, gc=False):
    pass


class _FileUrl(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    relative_path: str
    query_params: dict[str, str]


Body = Message | _Created | _Published | _Nothing | _FileUrl


class _Element(msgspec.Struct, frozen=True, gc=False, rename={"reply_id": "reqId"}):
    code: str
    body: Body
    reply_id: str


PROFILE_SET_BODY = Message(PROFILE_SET)
_NOTHING = _Nothing()


def created(elements: Sequence[Element], conversation: Conversation) -> Reply:
    """Answers with the documented array."""
    answered = []
    for element in elements:
        body: Body
        # An isinstance() that is false costs three times as much on a struct.
        if type(element) is ConversationElement:
            body = _Created(conversation.id)
        elif type(element) is PublishElement:
            body = published(element.body.event, conversation)
        else:
            body = PROFILE_SET_BODY
        answered.append(_Element(CODE_OK, body, str(element.id)))
    return Reply(OK, _encode(answered))


def refused_open(elements: Sequence[Element], consumer: str, *, answers_event: bool) -> Reply:
    """Answers with the documented array for a consumer that has an open conversation: the profile is set all the same.

    What a message element gets then is published nowhere: nothing, or with `answers_event` a refusal.
    """
    answered = []
    for element in elements:
        if isinstance(element, SetProfileElement):
            answered.append(_Element(CODE_OK, PROFILE_SET_BODY, str(element.id)))
        elif isinstance(element, ConversationElement):
            answered.append(_Element(CODE_BAD_REQUEST, Message(already_open(consumer)), str(element.id)))
        elif answers_event:
            answered.append(_Element(CODE_BAD_REQUEST, Message(NOT_PUBLISHED), str(element.id)))
    return Reply(BAD_REQUEST, _encode(answered))


def published(event: Event, conversation: Conversation) -> Body:
    """Returns the body for an event; every kind but the chat state is numbered."""
    return _NOTHING if type(event) is ChatStateEvent else _Published(conversation.take_sequence())


def done(body: Body, reply_id: int | str) -> Reply:
    """Answers a send request that did what it should."""
    return Reply(OK, _encode(_Element(CODE_OK, body, str(reply_id))))


def refused_send(text: str, reply_id: int | str) -> Reply:
    """Answers a send request that is refused for what it asks."""
    return Reply(BAD_REQUEST, _encode(_Element(CODE_BAD_REQUEST, Message(text), str(reply_id))))


def file_url(relative_path: str, now_s: float) -> Body:
    """Returns the body that says where to upload or download a file."""
    expires = str(int(now_s) + FILE_URL_LIFETIME_S)
    query = {"temp_url_sig": token_hex(20), "temp_url_expires": expires}
    return _FileUrl(relative_path, query)


def upload_path(account: str, file_type: str, now_s: float) -> str:
    """Returns a new path of the documented form."""
    now = datetime.fromtimestamp(now_s, UTC)
    stamp = f"{now:%d-%m-%Y_%H-%M-%S}-{now.microsecond // 1000:03d}"
    return f"/v1/AUTH_async-images/{account}/{token_hex(32)}_uuid_{uuid4()}_{stamp}.{file_type}"
