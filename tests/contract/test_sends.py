import json
from typing import Any

import pytest

from convload.contract.sends import (
    SendFileDownload,
    SendFileUrl,
    SendMessage,
    SendProfile,
    UpdateElement,
    check_send,
    close_body,
    message_body,
)

EVENT = {"type": "ContentEvent", "contentType": "text/plain", "message": "hi"}
CLOSE = {"field": "ConversationStateField", "conversationState": "CLOSE"}


def send(kind: str, body: Any, **envelope: Any) -> bytes:
    return json.dumps({"kind": "req", "id": "1", "type": kind, "body": body, **envelope}).encode()


def update(field: Any) -> bytes:
    return send("cm.UpdateConversationField", {"conversationId": "c", "conversationField": field})


def mistakes(body: bytes) -> list[str]:
    found = check_send(body)
    assert isinstance(found, list)
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (send("ms.PublishEvent", {"dialogId": "d", "event": EVENT}), SendMessage),
        (send("ms.PublishEvent", {"dialogId": "d", "conversationId": "d", "event": EVENT}, id=7), SendMessage),
        (
            send("ms.PublishEvent", {"dialogId": "d", "event": {"type": "ChatStateEvent", "chatState": "GONE"}}),
            SendMessage,
        ),
        (update(CLOSE), UpdateElement),
        (send("userprofile.SetUserProfile", {}), SendProfile),
        (send("ms.GenerateURLForUploadFile", {"fileSize": "1000", "fileType": "PNG"}), SendFileUrl),
        (send("ms.GenerateURLForDownloadFile", {"relativePath": "/p"}), SendFileDownload),
    ],
)
def test_every_documented_request_is_accepted(body: bytes, kind: type) -> None:
    assert isinstance(check_send(body), kind)


@pytest.mark.parametrize(
    ("field", "closes"),
    [
        (CLOSE, True),
        ([CLOSE], True),
        ([{"field": "Skill", "type": "UPDATE", "skill": "1"}, CLOSE], True),
        ({"field": "ConversationStateField", "conversationState": "OPEN"}, False),
        ({"field": "DialogChange", "type": "UPDATE", "dialog": {"dialogId": "d", "state": "CLOSE"}}, False),
        ({"field": "CSATRate", "csatRate": 5, "status": "FILLED"}, False),
        ([], False),
    ],
)
def test_only_a_change_of_state_closes_the_conversation(field: Any, closes: bool) -> None:
    found = check_send(update(field))

    assert isinstance(found, UpdateElement)
    assert found.body.closes is closes


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", "$"),
        (b'"x"', "$"),
        (b"{}", "$.type"),
        (b'{"type": []}', "$.type"),
        (send("cm.ConsumerRequestConversation", {"brandId": "1"}), "$.type"),
        (send("ms.PublishEvent", {"event": EVENT}), "$.body.dialogId"),
        (send("ms.PublishEvent", {"dialogId": "", "event": EVENT}), "$.body.dialogId"),
        (send("ms.PublishEvent", {"dialogId": "d"}), "$.body.event"),
        (send("ms.PublishEvent", {"dialogId": "d", "event": {"type": "X"}}), "$.body.event.type"),
        (send("ms.PublishEvent", {"dialogId": "d", "event": {**EVENT, "message": 1}}), "$.body.event.message"),
        (send("ms.PublishEvent", {"dialogId": "d", "event": EVENT}, id=""), "$.id"),
        (send("cm.UpdateConversationField", {"conversationField": CLOSE}), "$.body.conversationId"),
        (send("cm.UpdateConversationField", {"conversationId": "c"}), "$.body.conversationField"),
        (update({"conversationState": "CLOSE"}), "$.body.conversationField.field"),
        (update([CLOSE, {"field": 1}]), "$.body.conversationField[1].field"),
        (update("CLOSE"), "$.body.conversationField"),
        (send("ms.GenerateURLForUploadFile", "x"), "$.body"),
        (send("userprofile.SetUserProfile", {"firstName": 1}), "$.body.firstName"),
    ],
)
def test_each_mistake_is_told_by_its_path(body: bytes, path: str) -> None:
    (mistake,) = mistakes(body)

    assert mistake.startswith(f"{path}: ")


def test_all_mistakes_are_told_at_once() -> None:
    body = send("ms.PublishEvent", {"conversationId": 1, "event": {**EVENT, "contentType": "x"}}, id=None)

    assert [one.partition(":")[0] for one in mistakes(body)] == [
        "$.id",
        "$.body.dialogId",
        "$.body.event.contentType",
        "$.body.conversationId",
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":' * 100_000, b"[" * 100_000])
def test_what_is_no_json_is_told_and_never_raises(body: bytes) -> None:
    (mistake,) = mistakes(body)

    assert mistake.startswith("$: is not JSON: ")


def test_the_request_that_closes_is_one_that_closes() -> None:
    found = check_send(close_body('c"1'))

    assert isinstance(found, UpdateElement)
    assert found.body.closes
    assert found.body.conversation_id == 'c"1'


def test_the_request_with_a_message_is_one_with_that_message() -> None:
    text = 'né "quoted" \n 😀'

    found = check_send(message_body("c1", text))

    assert isinstance(found, SendMessage)
    assert (found.body.dialog_id, found.body.event.message) == ("c1", text)  # type: ignore[union-attr]  # a text event
