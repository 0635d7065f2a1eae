"""The send call: messages, closing and other changes, profiles, file addresses."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from convload.contract import answers, sends
from convload.contract.requests import size_problem
from convload.contract.sends import Send, SendMessage, UpdateElement
from convload.mistakes import Mistake
from convload.mock import replies
from convload.mock.access import CLIENT_PROPERTIES, Access, Destination
from convload.mock.messages import Reply, Request
from convload.mock.replies import refused, unreadable
from convload.mock.state import Conversation, Conversations

CONVERSATION_UPDATED = "OK Conversation updated successfully"
"""Assumed: only the text for closing is published."""

BAD_FILE = "Bad Request"
"""Assumed; the status is documented."""

FILE_TYPES = ("JPG", "JPEG", "PNG", "GIF")
MAX_FILE_BYTES = 3 * 1024 * 1024

_SIZE = re.compile("[0-9]{1,7}")


class _Call(msgspec.Struct, frozen=True, gc=False):
    """A send request that may be answered; `send` is of the type that the answer is for."""

    account: str
    consumer: str
    send: Any
    has_properties: bool


class Sending:
    """Answers the send call; `max_chars` is the longest request, `clock` returns Unix time in seconds."""

    def __init__(
        self, access: Access, conversations: Conversations, max_chars: int, clock: Callable[[], float]
    ) -> None:
        self._access = access
        self._conversations = conversations
        self._max_chars = max_chars
        self._clock = clock
        self._answers: dict[type, Callable[[_Call], Reply]] = {
            SendMessage: self._publish,
            UpdateElement: self._update,
            sends.SendProfile: lambda call: replies.done(replies.PROFILE_SET_BODY, call.send.id),
            sends.SendFileUrl: self._upload_url,
            sends.SendFileDownload: self._download_url,
        }

    def answer(self, target: Destination, request: Request, send: Send | list[Mistake]) -> Reply:
        """Answers a send request that has been read."""
        consumer = self._access.consumer_of(target, request)
        if not isinstance(consumer, str):
            return refused(consumer)
        if isinstance(send, list):
            return unreadable(send)
        # No text has more characters than bytes, so most requests are never decoded for their length.
        if len(request.body) > self._max_chars:
            event = send.body.event if isinstance(send, SendMessage) else None
            if size_problem(request.body, event, self._max_chars):
                return replies.refused_send(answers.TOO_LARGE, send.id)
        call = _Call(target.account, consumer, send, has_properties=CLIENT_PROPERTIES in request.headers)
        return self._answers[type(send)](call)

    def _publish(self, call: _Call) -> Reply:
        conversation = self._open_conversation(call.send.body.dialog_id, call)
        if isinstance(conversation, Reply):
            return conversation
        return replies.done(replies.published(call.send.body.event, conversation), call.send.id)

    def _update(self, call: _Call) -> Reply:
        conversation = self._open_conversation(call.send.body.conversation_id, call)
        if isinstance(conversation, Reply):
            return conversation
        if not closes(call.send):
            return replies.done(replies.Message(CONVERSATION_UPDATED), call.send.id)
        self._conversations.close(conversation)
        return replies.done(replies.Message(answers.CONVERSATION_CLOSED), call.send.id)

    def _open_conversation(self, conversation_id: str, call: _Call) -> Conversation | Reply:
        """Returns the consumer's own conversation, or why it cannot be used."""
        conversation = self._conversations.find(conversation_id)
        if conversation is None or conversation.consumer != call.consumer:
            return refused(answers.INVALID_CONSUMER_TOKEN)
        if conversation.with_properties and not call.has_properties:
            return refused(answers.bad_request("Client-Properties is missing, which the create had"))
        return conversation if conversation.is_open else replies.refused_send(answers.CLOSED_CONVERSATION, call.send.id)

    def _upload_url(self, call: _Call) -> Reply:
        asked = call.send.body
        size, kind = str(asked.get("fileSize", "")), str(asked.get("fileType", "")).upper()
        if kind not in FILE_TYPES or not (_SIZE.fullmatch(size) and 0 < int(size) <= MAX_FILE_BYTES):
            return replies.refused_send(BAD_FILE, call.send.id)
        now_s = self._clock()
        return replies.done(replies.file_url(replies.upload_path(call.account, kind, now_s), now_s), call.send.id)

    def _download_url(self, call: _Call) -> Reply:
        path = call.send.body.get("relativePath")
        if not isinstance(path, str) or not path:
            return replies.refused_send(BAD_FILE, call.send.id)
        return replies.done(replies.file_url(path, self._clock()), call.send.id)


def closes(send: Send | list[Mistake]) -> bool:
    """Tells whether a request closes its conversation.

    Closing the main dialog would start a survey where one is set up; here none is, so it ends the conversation.
    """
    if not isinstance(send, UpdateElement):
        return False
    fields = send.body.conversation_field
    every = fields if isinstance(fields, list) else [fields]
    return send.body.closes or any(map(_closes_dialog, every))


def _closes_dialog(field: sends.ConversationField) -> bool:
    return field.field == "DialogChange" and (field.dialog or {}).get("state") == "CLOSE"
