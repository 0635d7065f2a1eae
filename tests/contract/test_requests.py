import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.contract.requests import (
    MAX_MESSAGE_ELEMENT_CHARS,
    TTR_NAMES,
    Checked,
    PublishElement,
    Reading,
    check_request,
)

ACCOUNT = "77"
PROFILE = "userprofile.SetUserProfile"
CONVERSATION = "cm.ConsumerRequestConversation"
PUBLISH = "ms.PublishEvent"

CONTENT_TYPES = "HostedFile, hosted/file, text/plain; did you mean 'text/plain'?"


def check(request: Any, reading: Reading | None = None) -> Checked:
    return check_request(json.dumps(request, ensure_ascii=False).encode(), ACCOUNT, reading or Reading())


def mistakes(request: Any, reading: Reading | None = None) -> list[str]:
    checked = check(request, reading)
    assert bool(checked.mistakes) != bool(checked.elements)
    return [str(one) for one in checked.mistakes]


def pair(profile: Any = None, conversation: Any = None, ids: tuple[Any, Any] = ("1,", "2,")) -> list[Any]:
    return [
        {"kind": "req", "id": ids[0], "type": PROFILE, "body": profile or {}},
        {"kind": "req", "id": ids[1], "type": CONVERSATION, "body": {"brandId": ACCOUNT, **(conversation or {})}},
    ]


def message(event: Any, **body: Any) -> dict[str, Any]:
    return {"kind": "req", "id": "3", "type": PUBLISH, "body": {**body, "event": event}}


TEXT = {"type": "ContentEvent", "contentType": "text/plain", "message": "hi"}


def test_the_least_that_is_allowed_is_two_elements_and_the_brand() -> None:
    checked = check(pair())

    assert checked.mistakes == []
    assert len(checked.elements) == 2


@pytest.mark.parametrize(
    ("request_", "ids"),
    [
        (pair(ids=("1,", "1,")), ["1,", "1,"]),
        (pair(ids=(1, 2)), [1, 2]),
        (pair(ids=(8 * 10**30, "x" * 64)), [8 * 10**30, "x" * 64]),
        ([*pair(), {**message(TEXT), "id": 3}], ["1,", "2,", 3]),
    ],
)
def test_an_id_is_text_or_a_whole_number(request_: list[Any], ids: list[int | str]) -> None:
    assert [element.id for element in check(request_).elements] == ids


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(
            pair(
                {
                    "firstName": "WEB UI USER",
                    "lastName": "",
                    "privateData": {"mobileNum": "", "pushNotificationData": {}},
                },
                {
                    "ttrDefName": None,
                    "campaignInfo": {"campaignId": 2894629312, "engagementId": 2894629412},
                    "skillId": -1,
                    "channelType": "MESSAGING",
                    "conversationContext": {
                        "visitorId": "",
                        "sessionId": "",
                        "interactionContextId": 2,
                        "features": [],
                    },
                },
                ids=("2,", "1,"),
            ),
            id="web client: numbers, null, empty strings",
        ),
        pytest.param(
            [pair()[0], {**pair()[1], "skillId": "12", "extra": [1]}],
            id="bot: skill beside the body, unknown keys",
        ),
        pytest.param(
            pair({"any": {"thing": 1}}, ids=("48213377", "90321144")), id="test tool: free profile, random ids"
        ),
        pytest.param(
            pair(
                {
                    "authenticatedData": {
                        "lp_sdes": [
                            {
                                "type": "personal",
                                "personal": {
                                    "firstname": "",
                                    "contacts": [{"email": "", "phone": "", "phoneType": ""}],
                                },
                            }
                        ]
                    }
                }
            ),
            id="bridge: empty contacts",
        ),
        pytest.param(
            pair(
                {"authenticatedData": {"lp_sdes": []}},
                {
                    "skillId": 2736637412,
                    "conversationContext": {"clientProperties": {"os": "IOS"}, "interactionContextId": "u"},
                },
                ids=("1", "2"),
            ),
            id="app: no attributes, skill as number",
        ),
        pytest.param(pair(None, {"ttrDefName": "CUSTOM"}), id="older documentation: CUSTOM"),
        pytest.param(pair(None, {"campaignInfo": None, "conversationContext": {}, "skillId": None}), id="nulls"),
        pytest.param(
            [{key: value for key, value in element.items() if key != "kind"} for element in pair()], id="without kind"
        ),
        pytest.param([*pair(), message(TEXT, dialogId="")], id="message with an empty dialog"),
        pytest.param(
            [
                *pair(),
                message(
                    {
                        "type": "ContentEvent",
                        "contentType": "hosted/file",
                        "message": {"relativePath": "/p", "fileType": "PNG"},
                    }
                ),
            ],
            id="hosted file",
        ),
        pytest.param(
            [*pair(), message({"type": "RichContentEvent", "content": {"type": "vertical"}})], id="rich content"
        ),
        pytest.param([*pair(), message({"type": "ChatStateEvent", "chatState": "COMPOSING"})], id="chat state"),
        pytest.param(
            [*pair(), message({"type": "AcceptStatusEvent", "status": "READ", "sequenceList": [0, 1]})], id="read"
        ),
    ],
)
def test_the_shapes_of_known_clients_are_accepted(request_: list[Any]) -> None:
    assert mistakes(request_) == []


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        ([], ["$: has 0 elements; 2 or 3 are allowed"]),
        (pair()[:1], ["$: has 1 elements; 2 or 3 are allowed"]),
        ([*pair(), message(TEXT), message(TEXT)], ["$: has 4 elements; 2 or 3 are allowed"]),
        (
            pair()[::-1],
            [
                f"$[0].type: is {CONVERSATION!r}; here it must be {PROFILE!r}",
                f"$[1].type: is {PROFILE!r}; here it must be {CONVERSATION!r}",
            ],
        ),
        ([pair()[1]] * 2, [f"$[0].type: is {CONVERSATION!r}; here it must be {PROFILE!r}"]),
        ([pair()[0], message(TEXT)], [f"$[1].type: is {PUBLISH!r}; here it must be {CONVERSATION!r}"]),
        ([*pair(), pair()[0]], [f"$[2].type: is {PROFILE!r}; here it must be {PUBLISH!r}"]),
        (pair()[1], ["$: must be an array of 2 or 3 requests"]),
        ("text", ["$: must be an array of 2 or 3 requests"]),
        ([1, None], ["$[0]: must be an object", "$[1]: must be an object"]),
        (
            [pair()[0], {**pair()[1], "type": "cm.Nothing"}],
            [f"$[1].type: must be one of {PROFILE}, {CONVERSATION}, {PUBLISH}"],
        ),
        ([pair()[0], {**pair()[1], "type": []}], [f"$[1].type: must be one of {PROFILE}, {CONVERSATION}, {PUBLISH}"]),
        (pair(None, {"brandId": "78"}), ["$[1].body.brandId: is not the account of the path, '77'"]),
        (pair(None, {"brandId": ""}), ["$[1].body.brandId: must not be empty"]),
        (pair(None, {"brandId": 77}), ["$[1].body.brandId: Expected `str`, got `int`"]),
        (pair(None, {"channelType": "CHAT"}), ["$[1].body.channelType: 'CHAT' must be one of MESSAGING"]),
        (
            pair(ids=("", "x" * 65)),
            ["$[0].id: must not be empty", "$[1].id: Expected `str` of length <= 64"],
        ),
        (
            pair(ids=(True, None)),
            ["$[0].id: Expected `int | str`, got `bool`", "$[1].id: Expected `int | str`, got `null`"],
        ),
        (
            pair({"authenticatedData": {"lp_sdes": [{"type": "cart"}]}}),
            ["$[0].body.authenticatedData.lp_sdes[0].type: Invalid value 'cart'"],
        ),
        ([*pair(), message({"type": "ContentEvents"})], ["$[2].body.event.type: Invalid value 'ContentEvents'"]),
        (
            [*pair(), message({"type": "ContentEvent", "contentType": "text/html", "message": "x"})],
            [
                f"$[2].body.event.contentType: 'text/html' must be one of {CONTENT_TYPES}",
            ],
        ),
        (
            [*pair(), message({"type": "ChatStateEvent", "chatState": "ASLEEP"})],
            ["$[2].body.event.chatState: 'ASLEEP' must be one of ACTIVE, COMPOSING, GONE, INACTIVE, PAUSE"],
        ),
    ],
)
def test_each_mistake_is_told_by_its_path(request_: Any, wanted: list[str]) -> None:
    assert mistakes(request_) == wanted


def test_mistakes_of_all_elements_are_told_at_once() -> None:
    request = pair({"firstName": 1, "privateData": {"mail": 2}}, {"brandId": 3, "skillId": 1.5}, ids=(None, "2"))

    assert [mistake.partition(":")[0] for mistake in mistakes(request)] == [
        "$[0].id",
        "$[0].body.firstName",
        "$[0].body.privateData.mail",
        "$[1].body.brandId",
        "$[1].body.skillId",
    ]


@pytest.mark.parametrize("body", [b"", b"[", b"\xff\xfe", b'[{"a":}]', b"[" * 100_000, b'{"a":' * 100_000, b"[]]"])
def test_what_is_no_json_is_told_and_never_raises(body: bytes) -> None:
    (mistake,) = check_request(body, ACCOUNT).mistakes

    assert str(mistake).startswith("$: is not JSON: ")


def test_a_body_that_nests_too_deeply_inside_a_free_field_never_raises() -> None:
    deep: Any = '{"a":' * 20_000 + "1" + "}" * 20_000
    body = json.dumps(pair(None, {"conversationContext": {"clientProperties": "DEEP"}})).replace('"DEEP"', deep)

    assert check_request(body.encode(), ACCOUNT).mistakes


@given(
    st.binary()
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_no_body_raises(body: bytes) -> None:
    assert check_request(body, ACCOUNT).mistakes


@given(st.permutations([*pair(), message(TEXT)]))
def test_any_order_is_accepted_where_the_reading_allows_it(request_: list[Any]) -> None:
    assert check(request_, Reading(any_order=True)).mistakes == []


@pytest.mark.parametrize("request_", [pair()[:1] * 2, [*pair(), pair()[1]], [pair()[0], message(TEXT)], []])
def test_in_any_order_each_element_still_stands_once(request_: list[Any]) -> None:
    assert check(request_, Reading(any_order=True)).mistakes


@pytest.mark.parametrize("filler", ["x", "é", "😀", "漢"])
def test_the_limit_counts_the_characters_of_the_message_element(filler: str) -> None:
    bare = len(json.dumps(message({**TEXT, "message": ""}), separators=(",", ":")))
    room = MAX_MESSAGE_ELEMENT_CHARS - bare

    def body(chars: int) -> bytes:
        request = [*pair({"description": "y" * 9000}), message({**TEXT, "message": filler * chars})]
        return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()

    assert check_request(body(room), ACCOUNT).mistakes == []
    assert [str(one) for one in check_request(body(room + 1), ACCOUNT).mistakes] == [
        "$[2]: has 5001 characters; at most 5000 are allowed"
    ]


def test_escapes_count_as_they_are_written() -> None:
    request = [*pair(), message({**TEXT, "message": "é" * 1000})]

    assert check_request(json.dumps(request).encode(), ACCOUNT).mistakes
    assert check_request(json.dumps(request, ensure_ascii=False).encode(), ACCOUNT).mistakes == []


def test_the_limit_is_a_setting_of_the_reading() -> None:
    request = [*pair(), message({**TEXT, "message": "x" * 400})]

    assert mistakes(request, Reading(max_message_chars=300))[0].startswith("$[2]: has ")
    assert mistakes(request, Reading(max_message_chars=3000)) == []


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (
            pair(None, {"ttrDefName": "SOON"}),
            "$[1].body.ttrDefName: must be null or one of NORMAL, URGENT, PRIORITIZED, CUSTOM",
        ),
        (pair(None, {"skillId": "12345678901"}), "$[1].body.skillId: must be -1 or at most 10 digits"),
        (pair(None, {"skillId": -2}), "$[1].body.skillId: must be -1 or at most 10 digits"),
        (pair(None, {"skillId": "x"}), "$[1].body.skillId: must be -1 or at most 10 digits"),
        ([{**pair()[0], "kind": "notification"}, pair()[1]], "$[0].kind: must be 'req'"),
        ([{key: value for key, value in pair()[0].items() if key != "kind"}, pair()[1]], "$[0].kind: must be 'req'"),
    ],
)
def test_a_strict_reading_holds_what_a_lenient_one_lets_pass(request_: list[Any], wanted: str) -> None:
    assert mistakes(request_) == []
    assert mistakes(request_, Reading(strict=True)) == [wanted]


@pytest.mark.parametrize("name", [*TTR_NAMES, None])
def test_a_strict_reading_accepts_every_documented_response_time(name: str | None) -> None:
    assert mistakes(pair(None, {"ttrDefName": name}), Reading(strict=True)) == []


def test_the_elements_of_a_sound_request_are_at_hand() -> None:
    elements = check([*pair(), message(TEXT)]).elements

    assert isinstance(elements[2], PublishElement)
    assert elements[2].body.event.message == "hi"  # type: ignore[union-attr]  # the request holds a text


def hosted_file(preview_bytes: int, caption: str = "") -> dict[str, Any]:
    preview = "data:image/png;base64," + base64.b64encode(b"\xff" * preview_bytes).decode()
    file = {"relativePath": "/x", "fileType": "PNG", "preview": preview, "caption": caption}
    return message({"type": "ContentEvent", "contentType": "hosted/file", "message": file})


def test_the_limit_of_characters_holds_without_the_preview_of_a_file() -> None:
    assert mistakes([*pair(), hosted_file(19_000)]) == []
    assert mistakes([*pair(), hosted_file(100, caption="x" * 5000)])[0].endswith("at most 5000 are allowed")


def test_a_preview_is_smaller_than_30_kb() -> None:
    assert mistakes([*pair(), hosted_file(30 * 1024 - 1)]) == []
    assert mistakes([*pair(), hosted_file(30 * 1024)]) == [
        "$[2]: has a preview of 30720 bytes; less than 30720 are allowed"
    ]


def test_escaped_slashes_of_a_preview_are_no_characters_of_its_message() -> None:
    body = json.dumps([*pair(), hosted_file(19_000)]).replace("/", "\\/").encode()

    assert check_request(body, ACCOUNT).mistakes == []
