import copy
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convload.contract import paths
from convload.mock.access import AppCredentials

ACCOUNT = "12345678"
BASE = f"/api/account/{ACCOUNT}"
CREATE = f"{BASE}/messaging/consumer/conversation?v=3"
SENTINEL = f"/sentinel{BASE}/app/token"
FULL = "v=1.0&grant_type=client_credentials&client_id=app&client_secret=s"

Desk = Any
MakeDesk = Callable[..., Any]
Example = list[dict[str, Any]]


def refusal(status: int, code: int, title: str, details: str) -> tuple[int, dict[str, Any]]:
    body = {"title": title, "details": details, "errorCode": code}
    return status, {"kind": "resp", "code": status, "body": body, "type": ".ReqBody$ErrorResp"}


MISSING_APP = refusal(401, 40105, "AppJWT is missing", "AUTHORIZATION header is not present")
INVALID_APP = refusal(401, 40102, "Invalid AppJWT", "AppJWT has expired or is invalid")
MISSING_CONSUMER = refusal(401, 40104, "ConsumerJWS is missing", "X_ON_BEHALF_HEADER is not present")
INVALID_CONSUMER = refusal(401, 40103, "Invalid ConsumerJWS", "ConsumerJWS is invalid")
MISSING_BRAND = refusal(400, 40001, "Missing parameter", "Brand Id is missing")


# Domain look-up


@pytest.mark.parametrize("suffix", [".json", ""])
@pytest.mark.parametrize("query", ["?version=1.0", ""])
def test_one_service_is_where_the_request_found_the_mock(desk: MakeDesk, suffix: str, query: str) -> None:
    for service in ("asyncMessagingEnt", "sentinel", "idp"):
        assert desk().read("GET", f"{BASE}/service/{service}/baseURI{suffix}{query}") == (
            200,
            {"service": service, "account": ACCOUNT, "baseURI": "mock:80"},
        )


@pytest.mark.parametrize("suffix", [".json", ""])
def test_all_services_are_listed(desk: MakeDesk, suffix: str) -> None:
    status, body = desk().read("GET", f"{BASE}/service/baseURI{suffix}?version=1.0")

    assert status == 200
    assert [entry["service"] for entry in body["baseURIs"]] == list(paths.KNOWN_SERVICES)
    assert {entry["baseURI"] for entry in body["baseURIs"]} == {"mock:80"}


def test_a_look_up_that_cannot_be_answered_is_refused(desk: MakeDesk) -> None:
    assert desk().read("GET", f"{BASE}/service/SENTINEL/baseURI.json?version=1.0")[0] == 400
    assert desk().read("GET", f"{BASE}/service/sentinel/baseURI.json?version=2.0")[0] == 400
    assert desk(account="1").read("GET", f"{BASE}/service/sentinel/baseURI.json?version=1.0")[0] == 401


# Tokens


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (FULL, b""),
        (FULL, b"{}"),
        ("v=1.0", FULL.removeprefix("v=1.0&").encode()),
        ("v=1.0&grant_type=client_credentials", b"client_id=app&client_secret=s"),
        ("v=1.0&grant_type=client_credentials&client_id=app", b"client_secret=s"),
        ("", FULL.encode()),
    ],
)
def test_an_app_token_is_given_for_any_mix_of_query_and_form(desk: MakeDesk, query: str, body: bytes) -> None:
    status, given = desk(app_token_lifetime_s=60).read(
        "POST", f"{SENTINEL}?{query}", body, Content_Type="application/x-www-form-urlencoded"
    )

    assert status == 200
    assert given.keys() == {"access_token", "token_type", "expires_in"}
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 60)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("v=1.0", (400, {"error": "invalid_request"})),
        ("grant_type=password&client_id=app&client_secret=s", (400, {"error": "unsupported_grant_type"})),
        ("grant_type=client_credentials", (401, {"error": "invalid_client"})),
        ("grant_type=client_credentials&client_id=app", (401, {"error": "invalid_client"})),
        ("grant_type=client_credentials&client_id=&client_secret=s", (401, {"error": "invalid_client"})),
    ],
)
def test_without_credentials_there_is_no_app_token(desk: MakeDesk, query: str, answer: tuple[int, Any]) -> None:
    assert desk().read("POST", f"{SENTINEL}?{query}") == answer


def test_credentials_of_the_environment_must_match(desk: MakeDesk) -> None:
    strict = desk(AppCredentials("app", "p&ss wörd"))

    def ask(client_id: str, secret: str) -> int:
        query = f"grant_type=client_credentials&client_id={client_id}&client_secret={quote(secret)}"
        return int(strict.read("POST", f"{SENTINEL}?{query}")[0])

    assert ask("app", "p&ss wörd") == 200
    assert ask("app", "s") == 401
    assert ask("other", "p&ss wörd") == 401


@pytest.mark.parametrize("query", ["?v=1.0", ""])
def test_a_consumer_token_is_created(desk: MakeDesk, query: str) -> None:
    asked = desk()
    status, body = asked.read(
        "POST", f"{BASE}/consumer{query}", {"ext_consumer_id": "0.123"}, Authorization=asked.app_token()
    )

    assert (status, list(body)) == (201, ["token"])


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"ext_consumer_id":1}', b'{"ext_consumer_id":""}', b"[" * 9999])
def test_a_consumer_needs_a_name(desk: MakeDesk, body: bytes) -> None:
    asked = desk()
    assert asked.read("POST", f"{BASE}/consumer?v=1.0", body, Authorization=asked.app_token())[0] == 400


def test_a_consumer_token_needs_an_app_token(desk: MakeDesk) -> None:
    asked, body = desk(), {"ext_consumer_id": "Ada"}

    assert asked.read("POST", f"{BASE}/consumer", body) == MISSING_APP
    assert asked.read("POST", f"{BASE}/consumer", body, Authorization="x.y.z") == INVALID_APP
    assert desk(auth=False).read("POST", f"{BASE}/consumer", body)[0] == 201


# Create


def test_the_documented_example_gets_the_documented_array(desk: MakeDesk) -> None:
    asked = desk()
    reply = asked.ask("POST", CREATE, copy.deepcopy(asked_example()), **asked.headers())
    conversation_id = json.loads(reply.body)[1]["body"]["conversationId"]

    assert reply.status == 200
    assert str(uuid.UUID(conversation_id)) == conversation_id
    assert reply.body.decode() == (
        '[{"code":"OK","body":{"msg":"OK User Profile set successfully"},"reqId":"2,"},'
        f'{{"code":"OK","body":{{"conversationId":"{conversation_id}"}},"reqId":"1,"}},'
        '{"code":"OK","body":{"sequence":0},"reqId":"3"}]'
    )


def asked_example() -> Example:
    return [
        {"kind": "req", "id": "2,", "type": "userprofile.SetUserProfile", "body": {}},
        {"kind": "req", "id": "1,", "type": "cm.ConsumerRequestConversation", "body": {"brandId": ACCOUNT}},
        {
            "kind": "req",
            "id": "3",
            "type": "ms.PublishEvent",
            "body": {"event": {"type": "ContentEvent", "contentType": "text/plain", "message": "Hi"}},
        },
    ]


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        ("1,", "1,"),
        (3, "3"),
        (-1, "-1"),
        ('a"\\\n\u2028é\x7f💥', 'a"\\\n\u2028é\x7f💥'),
        ("x" * 64, "x" * 64),
        (" ", " "),
    ],
)
def test_every_id_comes_back_as_it_was_sent(desk: MakeDesk, example: Example, sent: Any, echoed: str) -> None:
    for element in example:
        element["id"] = sent
    status, body = desk(auth=False).create(example)

    assert status == 200
    assert [element["reqId"] for element in body] == [echoed] * 3


def test_two_elements_get_two(desk: MakeDesk, example: Example) -> None:
    status, body = desk(auth=False).create(example[:2])

    assert (status, len(body)) == (200, 2)


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ({"type": "ChatStateEvent", "chatState": "COMPOSING"}, {}),
        ({"type": "AcceptStatusEvent", "status": "READ", "sequenceList": [0]}, {"sequence": 0}),
        ({"type": "RichContentEvent", "content": {}}, {"sequence": 0}),
    ],
)
def test_events_are_numbered_but_for_the_chat_state(
    desk: MakeDesk, example: Example, event: dict[str, Any], body: Any
) -> None:
    example[2]["body"]["event"] = event

    assert desk(auth=False).create(example)[1][2]["body"] == body


@pytest.mark.parametrize("name", ["Authorization", "AUTHORIZATION", "authorization"])
@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_tokens_are_taken_as_clients_send_them(desk: MakeDesk, name: str, prefix: str) -> None:
    asked = desk()
    tokens = asked.headers()
    headers = {name: prefix + tokens["Authorization"], "x_lp_on_behalf": prefix + tokens["X_LP_ON_BEHALF"]}

    assert asked.create(**headers, Brand_ID="1", Request_ID="x", Client_Properties="[object Object]")[0] == 200


def test_each_missing_or_wrong_token_has_its_documented_refusal(desk: MakeDesk) -> None:
    asked = desk()
    tokens = asked.headers()
    app, consumer = tokens["Authorization"], tokens["X_LP_ON_BEHALF"]
    cases: list[tuple[dict[str, str], Any]] = [
        ({}, MISSING_APP),
        ({"X_LP_ON_BEHALF": consumer}, MISSING_APP),
        ({"Authorization": app + "x", "X_LP_ON_BEHALF": consumer}, INVALID_APP),
        ({"Authorization": consumer, "X_LP_ON_BEHALF": consumer}, MISSING_BRAND),
        ({"Authorization": asked.app_token("9"), "X_LP_ON_BEHALF": consumer}, INVALID_APP),
        ({"Authorization": app}, MISSING_CONSUMER),
        ({"Authorization": app, "X_LP_ON_BEHALF": "x"}, INVALID_CONSUMER),
        ({"Authorization": app, "X_LP_ON_BEHALF": asked.headers("Ada", "9")["X_LP_ON_BEHALF"]}, INVALID_CONSUMER),
    ]
    for headers, answer in cases:
        assert asked.create(**headers) == answer
        assert asked.send("ms.PublishEvent", {}, **headers) == answer


def test_an_app_token_ends_after_its_lifetime(desk: MakeDesk) -> None:
    asked = desk(app_token_lifetime_s=60)
    tokens = asked.headers()
    asked.clock.now_s += 61

    assert asked.create(**tokens) == INVALID_APP
    assert asked.create(**tokens | {"Authorization": asked.app_token()})[0] == 200


def test_a_second_open_conversation_gets_the_documented_array(desk: MakeDesk, example: Example) -> None:
    asked = desk()
    tokens = asked.headers("Ada")
    assert asked.create(example, **tokens)[0] == 200
    status, body = asked.create(example, **tokens)
    user = body[1]["body"]["msg"].split()[5]

    assert status == 400
    assert len(bytes.fromhex(user)) == 32
    assert body == [
        {"code": "OK", "body": {"msg": "OK User Profile set successfully"}, "reqId": "2,"},
        {
            "code": "BAD_REQUEST",
            "body": {
                "msg": f"Consumer request conversation failed: User {user} already has open conversation. "
                "Can't open another one."
            },
            "reqId": "1,",
        },
    ]


def test_the_refused_message_element_can_be_answered_too(desk: MakeDesk, example: Example) -> None:
    asked = desk(refused_event="bad_request")
    tokens = asked.headers("Ada")
    asked.create(example, **tokens)
    status, body = asked.create(example, **tokens)

    assert (status, len(body)) == (400, 3)
    assert (body[2]["code"], body[2]["reqId"]) == ("BAD_REQUEST", "3")


@pytest.mark.parametrize("settings", [{"one_open_conversation": False}, {"auth": False}])
def test_the_one_conversation_rule_can_be_off(desk: MakeDesk, settings: dict[str, bool]) -> None:
    asked = desk(**settings)
    tokens = asked.headers("Ada")

    assert [asked.create(**tokens)[0] for _ in range(3)] == [200] * 3


def test_a_body_without_brand_has_the_documented_code(desk: MakeDesk, example: Example) -> None:
    del example[1]["body"]["brandId"]
    assert desk(auth=False).create(example) == MISSING_BRAND
    assert desk(auth=False).read("POST", CREATE.replace(ACCOUNT, ""), example) == MISSING_BRAND


def swap(example: Example) -> Any:
    return [example[1], example[0]]


BAD_BODIES: list[Callable[[Example], Any]] = [
    lambda _: b"",
    lambda _: b"[",
    lambda _: b"\xff",
    lambda _: b"[" * 100_000,
    lambda _: {},
    lambda _: [],
    lambda example: example[:1],
    lambda example: json.dumps([*example[:2], example[2] | {"x": "?" * 6000}]).encode().replace(b"?", b"\xff"),
    lambda example: example + example[2:],
    swap,
    lambda example: [example[0], example[1] | {"type": "cm.Other"}],
    lambda example: [example[0], example[1] | {"id": ""}],
    lambda example: [example[0], example[1] | {"body": {"brandId": "9"}}],
    lambda example: [*example[:2], example[2] | {"body": {"event": {"type": "ContentEvent"}}}],
]


@pytest.mark.parametrize("make", BAD_BODIES)
def test_a_broken_request_is_refused_in_the_assumed_form(
    desk: MakeDesk, example: Example, make: Callable[[Example], Any]
) -> None:
    status, body = desk(auth=False).create(make(example))

    assert status == 400
    assert (body["code"], body["body"]["errorCode"], body["body"]["title"]) == (400, 40000, "Bad Request")
    assert body["body"]["details"]


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "body", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | Json.map(lambda value: json.dumps(value).encode()), st.data())
def test_every_body_is_answered_properly(desk: MakeDesk, example: Example, body: bytes, data: Any) -> None:
    asked = desk(auth=False, any_order=True)
    place = data.draw(st.integers(0, 2))
    field = data.draw(st.sampled_from(["id", "type", "body", "kind"]))
    changed = copy.deepcopy(example)
    changed[place][field] = data.draw(Json)
    for target in (CREATE, CREATE.replace("?", "/send?"), f"{BASE}/consumer", f"{SENTINEL}?{FULL}"):
        for one in (body, json.dumps(changed).encode(), json.dumps(changed[place]).encode()):
            status, answer = asked.read("POST", target, one)
            assert status in (200, 201, 400, 401)
            assert answer


def test_every_mistake_is_told(desk: MakeDesk, example: Example) -> None:
    example[0]["body"]["firstName"] = 1
    example[1]["body"]["channelType"] = "SMS"
    details = desk(auth=False).create(example)[1]["body"]["details"]

    assert "$[0].body.firstName: " in details
    assert "$[1].body.channelType: " in details


def test_the_order_of_elements_can_be_free(desk: MakeDesk, example: Example) -> None:
    status, body = desk(auth=False, any_order=True).create(example[::-1])

    assert status == 200
    assert [element["reqId"] for element in body] == ["3", "1,", "2,"]
    assert [list(element["body"]) for element in body] == [["sequence"], ["conversationId"], ["msg"]]


def test_strict_reading_and_the_size_of_messages_are_settings(desk: MakeDesk, example: Example) -> None:
    example[1]["body"]["skillId"] = "12345678901"
    assert desk(auth=False).create(example)[0] == 200
    assert desk(auth=False, strict=True).create(example)[0] == 400
    assert desk(auth=False, max_message_chars=100).create(example)[0] == 400


@pytest.mark.parametrize("query", ["", "?v=2", "?v=3.0", "?v=", "?V=3"])
def test_only_version_3_is_served(desk: MakeDesk, query: str) -> None:
    asked = desk(auth=False)
    for target in (CREATE, CREATE.replace("?", "/send?")):
        assert asked.read("POST", target.replace("?v=3", query))[0] == 404


def test_a_refused_create_creates_nothing(desk: MakeDesk, example: Example) -> None:
    asked = desk()
    tokens = asked.headers("Ada")
    asked.create(example[:1], **tokens)
    asked.create(example)

    assert asked.stats()["conversations"]["opened"] == 0
    assert asked.create(example, **tokens)[0] == 200
