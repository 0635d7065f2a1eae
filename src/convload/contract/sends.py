"""The requests that go into an open conversation: a message, a change such as closing it."""

from collections.abc import Callable
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from convload.contract.requests import PUBLISH_EVENT, SET_PROFILE, UNDECODABLE, ElementId, Event, Profile, Text
from convload.mistakes import Mistake, find_mistakes

UPDATE_CONVERSATION = "cm.UpdateConversationField"

REQUEST_ID = "1"
"""The id of the requests that are made here."""


class ConversationField(msgspec.Struct, frozen=True, rename="camel"):
    """One change to a conversation; further keys depend on `field` and are not looked into."""

    field: str
    conversation_state: str | msgspec.UnsetType = msgspec.UNSET
    dialog: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET

    @property
    def closes(self) -> bool:
        """Whether the conversation is closed by it."""
        return self.field == "ConversationStateField" and self.conversation_state == "CLOSE"


class ConversationUpdate(msgspec.Struct, frozen=True, rename="camel"):
    """The body of an update; every sample sends one object, the published schema an array."""

    conversation_id: str
    conversation_field: ConversationField | list[ConversationField]

    @property
    def closes(self) -> bool:
        """Whether the conversation is closed by it."""
        field = self.conversation_field
        return any(one.closes for one in field) if isinstance(field, list) else field.closes


class UpdateElement(msgspec.Struct, frozen=True, tag_field="type", tag=UPDATE_CONVERSATION):
    """A change to a conversation."""

    id: ElementId
    body: ConversationUpdate
    kind: Text = msgspec.UNSET


class MessageBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a message; the dialog, implied in a batch, must be named here."""

    dialog_id: Annotated[str, Meta(min_length=1)]
    event: Event
    conversation_id: Text = msgspec.UNSET


class SendMessage(msgspec.Struct, frozen=True, tag_field="type", tag=PUBLISH_EVENT):
    """A message to a conversation."""

    id: ElementId
    body: MessageBody
    kind: Text = msgspec.UNSET


class SendProfile(msgspec.Struct, frozen=True, tag_field="type", tag=SET_PROFILE):
    """A new profile of the consumer."""

    id: ElementId
    body: Profile
    kind: Text = msgspec.UNSET


class SendFileUrl(msgspec.Struct, frozen=True, tag_field="type", tag="ms.GenerateURLForUploadFile"):
    """Asks where to upload a file."""

    id: ElementId
    body: dict[str, Any]
    kind: Text = msgspec.UNSET


class SendFileDownload(msgspec.Struct, frozen=True, tag_field="type", tag="ms.GenerateURLForDownloadFile"):
    """Asks where to download a file."""

    id: ElementId
    body: dict[str, Any]
    kind: Text = msgspec.UNSET


Send = UpdateElement | SendMessage | SendProfile | SendFileUrl | SendFileDownload
SEND_TYPES = {kind.__struct_config__.tag: kind for kind in get_args(Send)}

_decode: Callable[[bytes], Send] = msgspec.json.Decoder(Send).decode


def check_send(body: bytes) -> Send | list[Mistake]:
    """Checks a send request; returns it, or every mistake in it."""
    try:
        return _decode(body)
    except UNDECODABLE as error:
        return _explain(body, error)


def _explain(body: bytes, error: Exception) -> list[Mistake]:
    try:
        value = msgspec.json.decode(body)
    except UNDECODABLE as broken:
        return [Mistake("$", f"is not JSON: {broken}")]
    if not isinstance(value, dict):
        return [Mistake("$", "must be an object")]
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in SEND_TYPES:
        return [Mistake("$.type", f"must be one of {', '.join(map(str, SEND_TYPES))}")]
    return find_mistakes(value, SEND_TYPES[kind]) or [Mistake("$", str(error))]


def close_body(conversation_id: str) -> bytes:
    """Returns the documented request that closes a conversation."""
    change = {"field": "ConversationStateField", "conversationState": "CLOSE"}
    return _request(UPDATE_CONVERSATION, {"conversationId": conversation_id, "conversationField": change})


def message_body(conversation_id: str, text: str) -> bytes:
    """Returns a send request with a text message for an open conversation."""
    event = {"type": "ContentEvent", "contentType": "text/plain", "message": text}
    return _request(PUBLISH_EVENT, {"dialogId": conversation_id, "event": event})


def _request(kind: str, body: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"kind": "req", "id": REQUEST_ID, "type": kind, "body": body})
