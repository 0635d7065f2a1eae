import json
import re
from collections.abc import Callable
from typing import Any

import pytest

EVENT = {"type": "ContentEvent", "contentType": "text/plain", "message": "hi"}
CLOSE = {"field": "ConversationStateField", "conversationState": "CLOSE"}
CLOSE_DIALOG = {
    "field": "DialogChange",
    "type": "UPDATE",
    "dialog": {"dialogId": "d", "state": "CLOSE", "closedCause": "Closed by consumer"},
}
PUBLISH, UPDATE = "ms.PublishEvent", "cm.UpdateConversationField"
UPLOAD, DOWNLOAD = "ms.GenerateURLForUploadFile", "ms.GenerateURLForDownloadFile"
CLOSED = (200, {"code": "OK", "body": {"msg": "OK Conversation resolved successfully"}, "reqId": "1"})
IS_CLOSED = (400, {"code": "BAD_REQUEST", "body": {"msg": "Bad Request, Conversation is close"}, "reqId": "1"})
TOO_LARGE = (400, {"code": "BAD_REQUEST", "body": {"msg": "Bad Request"}, "reqId": "1"})

MakeDesk = Callable[..., Any]


class Open:
    """A desk with an open conversation."""

    def __init__(self, desk: Any, consumer: str = "Ada") -> None:
        self.desk = desk
        self.tokens = desk.headers(consumer)
        status, body = desk.create(**self.tokens)
        assert status == 200
        self.id = body[1]["body"]["conversationId"]

    def publish(self, event: Any = EVENT, **body: Any) -> Any:
        return self.desk.send(PUBLISH, {"dialogId": self.id, "event": event, **body}, **self.tokens)

    def update(self, field: Any) -> Any:
        return self.desk.send(UPDATE, {"conversationId": self.id, "conversationField": field}, **self.tokens)


@pytest.fixture
def conversation(desk: MakeDesk) -> Open:
    return Open(desk())


def test_messages_are_numbered_on_from_the_first(conversation: Open) -> None:
    accept = {"type": "AcceptStatusEvent", "status": "ACCEPT", "sequenceList": [0]}
    typing = {"type": "ChatStateEvent", "chatState": "COMPOSING"}
    bodies = [conversation.publish(event)[1]["body"] for event in (EVENT, typing, accept, EVENT)]

    assert bodies == [{"sequence": 1}, {}, {"sequence": 2}, {"sequence": 3}]


def test_a_message_may_name_its_conversation_beside_the_dialog(conversation: Open) -> None:
    assert conversation.publish(conversationId=conversation.id)[0] == 200


@pytest.mark.parametrize("body", [{}, {"dialogId": None}, {"dialogId": ""}])
def test_a_message_needs_its_dialog(conversation: Open, body: dict[str, Any]) -> None:
    status, answer = conversation.desk.send(PUBLISH, {"event": EVENT, **body}, **conversation.tokens)

    assert status == 400
    assert "$.body.dialogId: " in answer["body"]["details"]


@pytest.mark.parametrize("field", [CLOSE, [CLOSE], CLOSE_DIALOG, [CLOSE_DIALOG]])
def test_closing_ends_the_conversation_and_frees_its_consumer(conversation: Open, field: Any) -> None:
    assert conversation.update(field) == CLOSED
    assert conversation.publish() == IS_CLOSED
    assert conversation.update(field) == IS_CLOSED
    assert conversation.desk.create(**conversation.tokens)[0] == 200


@pytest.mark.parametrize(
    "field",
    [
        {"field": "CSATRate", "csatRate": 5, "csatResolutionConfirmation": True, "status": "FILLED"},
        {"field": "TTRField", "ttrType": "URGENT", "value": 60},
        {"field": "Skill", "type": "UPDATE", "skill": "1"},
        {"field": "DialogChange", "type": "UPDATE", "dialog": {"state": "OPEN"}},
    ],
)
def test_other_changes_leave_the_conversation_open(conversation: Open, field: Any) -> None:
    status, body = conversation.update(field)

    assert (status, body["code"], body["reqId"]) == (200, "OK", "1")
    assert conversation.publish()[0] == 200


@pytest.mark.parametrize("kind", [PUBLISH, UPDATE])
def test_a_conversation_of_somebody_else_or_of_nobody_is_refused(desk: MakeDesk, kind: str) -> None:
    asked = desk()
    mine, other = Open(asked, "Ada"), Open(asked, "Bob")
    for wanted in (other.id, "8602832d-dce1-446b-8445-0d51f5926a42", "x"):
        body = {"dialogId": wanted, "event": EVENT, "conversationId": wanted, "conversationField": CLOSE}
        status, answer = asked.send(kind, body, **mine.tokens)

        assert (status, answer["body"]["errorCode"]) == (401, 40103)
    assert other.publish()[0] == 200


def test_without_auth_a_conversation_is_closed_by_its_id(desk: MakeDesk) -> None:
    asked = desk(auth=False)
    conversation_id = asked.create()[1][1]["body"]["conversationId"]
    body = {"conversationId": conversation_id, "conversationField": CLOSE}

    assert asked.send(UPDATE, body) == CLOSED
    assert asked.send(UPDATE, body) == IS_CLOSED
    assert asked.send(UPDATE, body | {"conversationId": "x"})[0] == 401


def test_a_request_of_more_than_5000_characters_is_too_large(conversation: Open) -> None:
    def send(count: int) -> Any:
        return conversation.publish(EVENT | {"message": "é" * count})

    too_many = next(count for count in range(700, 5000) if send(count)[0] != 200)
    assert send(too_many) == TOO_LARGE
    # json.dumps writes é in six characters, so the limit is met exactly where the text has 5000.
    fixed = len(
        '{"kind": "req", "id": "1", "type": "ms.PublishEvent", "body": {"dialogId": "", "event": '
        '{"type": "ContentEvent", "contentType": "text/plain", "message": ""}}}'
    )
    assert fixed + len(conversation.id) + 6 * (too_many - 1) <= 5000 < fixed + len(conversation.id) + 6 * too_many


@pytest.mark.parametrize(("preview_bytes", "status"), [(19_000, 200), (30_700, 200), (31_000, 400)])
def test_the_preview_of_a_file_has_a_limit_of_its_own(conversation: Open, preview_bytes: int, status: int) -> None:
    preview = "data:image/png;base64," + "A" * (preview_bytes * 4 // 3)
    file = {"relativePath": "/x", "fileType": "PNG", "preview": preview}
    event = {"type": "ContentEvent", "contentType": "hosted/file", "message": file}

    assert conversation.publish(event)[0] == status


def test_the_limit_counts_characters_not_bytes(desk: MakeDesk) -> None:
    asked = Open(desk(max_message_chars=1000))
    text = "é" * 600
    event = EVENT | {"message": text}
    request = {"id": "1", "type": PUBLISH, "body": {"dialogId": asked.id, "event": event}}
    raw = json.dumps(request, ensure_ascii=False).encode()

    assert len(raw) > 1000
    target = "/api/account/12345678/messaging/consumer/conversation/send?v=3"
    assert asked.desk.read("POST", target, raw, **asked.tokens)[0] == 200


def test_a_request_too_large_is_refused_even_where_it_is_no_text(conversation: Open) -> None:
    raw = b'{"id":"1","type":"userprofile.SetUserProfile","body":{},"unknown":"' + b"\xff" * 6000 + b'"}'
    target = "/api/account/12345678/messaging/consumer/conversation/send?v=3"

    assert conversation.desk.read("POST", target, raw, **conversation.tokens) == TOO_LARGE


def test_a_profile_can_be_set_again(conversation: Open) -> None:
    status, body = conversation.desk.send("userprofile.SetUserProfile", {"firstName": "A"}, **conversation.tokens)

    assert (status, body["body"]) == (200, {"msg": "OK User Profile set successfully"})


def test_an_upload_gets_an_address_of_the_documented_form(conversation: Open) -> None:
    status, body = conversation.desk.send(UPLOAD, {"fileSize": "1000", "fileType": "PNG"}, **conversation.tokens)
    path, query = body["body"]["relativePath"], body["body"]["queryParams"]

    assert (status, body["code"], body["reqId"]) == (200, "OK", "1")
    assert re.fullmatch(
        r"/v1/AUTH_async-images/12345678/[0-9a-f]+_uuid_[0-9a-f-]{36}_14-11-2023_22-13-20-000\.PNG", path
    )
    assert re.fullmatch("[0-9a-f]{40}", query["temp_url_sig"])
    assert query["temp_url_expires"] == "1700000060"


def test_a_download_gets_an_address_for_its_path(conversation: Open) -> None:
    status, body = conversation.desk.send(DOWNLOAD, {"relativePath": "/v1/x.PNG"}, **conversation.tokens)

    assert (status, body["body"]["relativePath"]) == (200, "/v1/x.PNG")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (UPLOAD, {"fileSize": "1000", "fileType": "EXE"}),
        (UPLOAD, {"fileSize": str(3 * 1024 * 1024 + 1), "fileType": "PNG"}),
        (UPLOAD, {"fileSize": "0", "fileType": "PNG"}),
        (UPLOAD, {"fileSize": "-1", "fileType": "PNG"}),
        (UPLOAD, {"fileSize": "9" * 4500, "fileType": "PNG"}),
        (UPLOAD, {}),
        (DOWNLOAD, {}),
        (DOWNLOAD, {"relativePath": 1}),
    ],
)
def test_a_file_that_cannot_be_is_a_bad_request(conversation: Open, kind: str, body: Any) -> None:
    assert conversation.desk.send(kind, body, **conversation.tokens) == TOO_LARGE


@pytest.mark.parametrize("request_id", [1, "1"])
def test_the_id_comes_back_as_a_string(conversation: Open, request_id: Any) -> None:
    desk, body = conversation.desk, {"id": request_id, "type": "userprofile.SetUserProfile", "body": {}}
    target = "/api/account/12345678/messaging/consumer/conversation/send?v=3"

    assert desk.read("POST", target, body, **conversation.tokens)[1]["reqId"] == "1"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"type":"x","id":"1","body":{}}', b"[" * 99_999, b"\xff"])
def test_a_broken_send_is_refused(conversation: Open, raw: bytes) -> None:
    target = "/api/account/12345678/messaging/consumer/conversation/send?v=3"
    status, body = conversation.desk.read("POST", target, raw, **conversation.tokens)

    assert (status, body["body"]["errorCode"]) == (400, 40000)


PROPERTIES = {"Client_Properties": '{"type": ".ClientProperties", "features": ["AUTO_MESSAGES"]}'}


@pytest.mark.parametrize(
    ("of_create", "of_others", "status"), [(PROPERTIES, {}, 400), (PROPERTIES, PROPERTIES, 200), ({}, {}, 200)]
)
def test_client_properties_of_a_create_can_be_required_of_what_follows(
    desk: MakeDesk, of_create: dict[str, str], of_others: dict[str, str], status: int
) -> None:
    asked = desk(require_client_properties=True)
    tokens = asked.headers()
    dialog = asked.create(**tokens, **of_create)[1][1]["body"]["conversationId"]
    sent, answer = asked.send(PUBLISH, {"dialogId": dialog, "event": EVENT}, **tokens, **of_others)
    closed, _ = asked.send(UPDATE, {"conversationId": dialog, "conversationField": CLOSE}, **tokens, **of_others)

    assert (sent, closed) == (status, status)
    assert status == 200 or "Client-Properties" in answer["body"]["details"]


def test_client_properties_are_required_of_nobody_by_default(desk: MakeDesk) -> None:
    asked = desk()
    tokens = asked.headers()
    dialog = asked.create(**tokens, **PROPERTIES)[1][1]["body"]["conversationId"]

    assert asked.send(PUBLISH, {"dialogId": dialog, "event": EVENT}, **tokens)[0] == 200
