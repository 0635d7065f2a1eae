import json
from collections.abc import Callable
from typing import Any

import pytest

ACCOUNT = "12345678"
CREATE = f"/api/account/{ACCOUNT}/messaging/consumer/conversation?v=3"
CLOSE = {"field": "ConversationStateField", "conversationState": "CLOSE"}

MakeDesk = Callable[..., Any]
Example = list[dict[str, Any]]


def ledger(desk: Any, query: str = "") -> Any:
    return desk.read("GET", f"/__mock__/ledger{query}")


def test_every_request_is_counted_once_where_it_belongs(desk: MakeDesk, example: Example) -> None:
    asked = desk()
    ada, bob = asked.headers("Ada"), asked.headers("Bob")
    conversation_id = asked.create(example, **ada)[1][1]["body"]["conversationId"]
    asked.create(example, **bob)
    asked.create(example, **ada)
    asked.create(example)
    asked.read("POST", CREATE.replace("v=3", "v=2"), example)
    asked.send("userprofile.SetUserProfile", {}, **ada)
    closing = {"conversationId": conversation_id, "conversationField": CLOSE}
    asked.send("cm.UpdateConversationField", closing, **ada)
    asked.send("cm.UpdateConversationField", closing, **ada)
    asked.read("GET", f"/api/account/{ACCOUNT}/service/baseURI.json")
    asked.read("GET", "/nowhere")
    asked.read("GET", CREATE)
    stats = asked.stats()

    def tally(name: str) -> tuple[int, int, dict[str, int]]:
        return stats[name]["received"], stats[name]["accepted"], stats[name]["by_status"]

    assert tally("create") == (5, 2, {"200": 2, "400": 1, "401": 1, "404": 1})
    assert tally("send") == (1, 1, {"200": 1})
    assert tally("close") == (2, 1, {"200": 1, "400": 1})
    assert tally("app_token") == (2, 2, {"200": 2})
    assert tally("consumer_token") == (2, 2, {"201": 2})
    assert tally("domain") == (1, 1, {"200": 1})
    assert tally("other") == (2, 0, {"404": 1, "405": 1})
    assert stats["conversations"] == {"opened": 2, "closed": 1}


def test_accepted_creates_are_counted_by_shape(desk: MakeDesk, example: Example) -> None:
    asked = desk(auth=False)
    sdes = {"authenticatedData": {"lp_sdes": [{"type": "personal", "personal": {}}]}}
    plain = {"brandId": ACCOUNT}
    for profile, request, event in [
        ({}, plain, []),
        ({"authenticatedData": {"lp_sdes": []}}, plain, []),
        (sdes, plain, []),
        (sdes | {"role": "x"}, plain | {"skillId": None}, example[2:]),
        (example[0]["body"], example[1]["body"], example[2:]),
        ({}, {"brandId": "other"}, []),
    ]:
        asked.create([example[0] | {"body": profile}, example[1] | {"body": request}, *event])

    assert asked.stats()["shapes"] == {
        "2 elements": 2,
        "2 elements, sdes": 1,
        "3 elements, event, sdes, flat_profile, skill": 1,
        "3 elements, event, flat_profile, channel, ttr, campaign, skill, context": 1,
    }


def test_the_ledger_lists_every_accepted_conversation_in_pages(desk: MakeDesk, example: Example) -> None:
    asked = desk(auth=False)
    ids = [asked.create(example)[1][1]["body"]["conversationId"] for _ in range(25)]
    asked.create([])

    assert "ids" not in ledger(asked)[1]
    assert ledger(asked)[1]["accepted"]["create"] == 25
    assert ledger(asked, "?ids=1")[1]["ids"] == ids
    pages = [ledger(asked, f"?ids=1&offset={offset}&limit=10")[1] for offset in (0, 10, 20, 30)]
    assert [one for page in pages for one in page["ids"]] == ids
    assert [len(page["ids"]) for page in pages] == [10, 10, 5, 0]
    assert {page["total"] for page in pages} == {25}


@pytest.mark.parametrize("query", ["offset=-1", "offset=x", "limit=100001", "limit=x", f"offset={'9' * 5000}"])
def test_a_page_that_cannot_be_is_refused(desk: MakeDesk, query: str) -> None:
    assert ledger(desk(), f"?ids=1&{query}")[0] == 400


def test_what_the_mock_tells_of_itself_is_counted_nowhere(desk: MakeDesk) -> None:
    asked = desk()
    ledger(asked)
    before = asked.stats()

    assert asked.stats() == before
    assert not any(before[name]["received"] for name in ("create", "other", "domain"))


@pytest.mark.parametrize(
    ("share", "status"), [("http_4xx_share", 400), ("http_429_share", 429), ("http_5xx_share", 502)]
)
def test_a_fault_in_place_of_the_work_creates_nothing(desk: MakeDesk, share: str, status: int) -> None:
    asked = desk(**{share: 1.0})
    answered, body = asked.create()
    stats = asked.stats()

    assert (answered, body["code"], body["type"]) == (status, status, ".ReqBody$ErrorResp")
    assert stats["create"] == {"received": 1, "accepted": 0, "by_status": {str(status): 1}}
    assert stats["faults"] == {share.removesuffix("_share"): 1}


def test_the_502_is_the_published_sample(desk: MakeDesk) -> None:
    assert desk(http_5xx_share=1.0).create()[1]["body"] == {
        "title": "Unable to access resource",
        "details": "Failed to connect to AC for setting delay",
        "errorCode": 50201,
    }


def test_the_statuses_of_faults_can_be_chosen(desk: MakeDesk) -> None:
    assert desk(http_5xx_share=1.0, http_5xx_status=503).create()[0] == 503
    assert desk(http_4xx_share=1.0, http_4xx_status=418).create()[0] == 418


def test_a_reset_is_received_but_has_no_status(desk: MakeDesk) -> None:
    asked = desk(reset_share=1.0)
    reply = asked.ask("POST", CREATE)
    stats = asked.stats()

    assert reply.resets
    assert stats["create"] == {"received": 1, "accepted": 0, "by_status": {}}
    assert stats["faults"] == {"reset": 1}


def test_wrong_answers_leave_the_work_done(desk: MakeDesk, example: Example) -> None:
    for share in ("bad_json_share", "missing_id_share", "swapped_ids_share"):
        asked = desk(auth=False, **{share: 1.0})
        reply = asked.ask("POST", CREATE, example)
        stats = asked.stats()

        assert reply.status == 200
        assert stats["conversations"]["opened"] == stats["create"]["accepted"] == 1
        assert stats["faults"] == {share.removesuffix("_share"): 1}


def test_each_wrong_answer_is_wrong_in_its_own_way(desk: MakeDesk, example: Example) -> None:
    missing = desk(auth=False, missing_id_share=1.0).create(example)[1]
    swapped = desk(auth=False, swapped_ids_share=1.0).create(example)[1]
    broken = desk(auth=False, bad_json_share=1.0).ask("POST", CREATE, example).body

    assert missing[1] == {"code": "OK", "body": {}, "reqId": "1,"}
    assert [element["reqId"] for element in swapped] == ["1,", "3", "2,"]
    assert "conversationId" in swapped[1]["body"]
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(broken)


def test_ids_that_are_all_the_same_cannot_be_swapped(desk: MakeDesk, example: Example) -> None:
    asked = desk(auth=False, swapped_ids_share=1.0)
    asked.create([element | {"id": "1,"} for element in example])
    asked.create([example[0] | {"id": 1}, example[1] | {"id": "1"}])

    assert asked.stats()["faults"] == {}


def test_a_request_that_is_refused_anyway_gets_no_wrong_answer(desk: MakeDesk) -> None:
    asked = desk(bad_json_share=1.0)

    assert asked.create()[0] == 401
    assert asked.stats()["faults"] == {}


def test_faults_and_service_times_meet_creates_alone_by_default(desk: MakeDesk) -> None:
    asked = desk(http_5xx_share=1.0, service_time="constant(50ms)")

    assert asked.headers()
    assert asked.ask("POST", CREATE).delay_s == 0.05
    assert asked.ask("GET", f"/api/account/{ACCOUNT}/service/baseURI").delay_s == 0


def test_shares_of_faults_show_in_the_counts(desk: MakeDesk, example: Example) -> None:
    asked = desk(auth=False, seed=3, http_429_share=0.1, reset_share=0.1, missing_id_share=0.2)
    for _ in range(3000):
        asked.ask("POST", CREATE, example)
    stats = asked.stats()

    assert stats["create"]["received"] == 3000
    for fault, share in (("http_429", 0.1), ("reset", 0.1), ("missing_id", 0.2)):
        assert abs(stats["faults"][fault] - 3000 * share) < 4 * (3000 * share * (1 - share)) ** 0.5
    assert stats["create"]["by_status"]["429"] == stats["faults"]["http_429"]
    assert stats["create"]["by_status"]["200"] == stats["create"]["accepted"] == stats["conversations"]["opened"]


DOMAIN = f"/api/account/{ACCOUNT}/service/idp/baseURI.json?version=1.0"
SEND = CREATE.replace("?", "/send?")
UPDATE = {"kind": "req", "id": "1", "type": "cm.UpdateConversationField"}


@pytest.mark.parametrize("status", [201, 202, 302, 401, 500, 504])
def test_a_create_can_be_done_and_answered_with_any_status(desk: MakeDesk, example: Example, status: int) -> None:
    asked = desk(done_status_share=1.0, done_status=status)
    tokens = asked.headers()
    reply = asked.ask("POST", CREATE, example, **tokens)
    again, body = asked.create(example, **tokens)
    stats = asked.stats()

    assert reply.status == status
    assert (again, body[1]["code"]) == (400, "BAD_REQUEST")
    assert "already has open conversation" in body[1]["body"]["msg"]
    assert stats["create"] == {"received": 2, "accepted": 1, "by_status": {str(status): 1, "400": 1}}
    assert (stats["conversations"]["opened"], stats["faults"]) == (1, {"done_status": 1})
    assert (b"Location: " in reply.headers) == (status == 302)
    assert ("conversationId" in reply.body.decode()) == (status < 300)


@pytest.mark.parametrize("fault", ["done_reset", "done_stall"])
def test_a_create_can_be_done_and_never_answered(desk: MakeDesk, example: Example, fault: str) -> None:
    asked = desk(auth=False, **{f"{fault}_share": 1.0})
    reply = asked.ask("POST", CREATE, example)
    stats = asked.stats()

    assert (reply.resets, reply.stalls) == (fault == "done_reset", fault == "done_stall")
    assert stats["create"] == {"received": 1, "accepted": 1, "by_status": {}}
    assert (stats["conversations"]["opened"], stats["faults"]) == (1, {fault: 1})


def test_what_is_refused_is_not_done_and_failed(desk: MakeDesk) -> None:
    asked = desk(done_status_share=1.0)

    assert asked.create([])[0] == 401
    assert asked.stats()["faults"] == {}


def test_an_injected_401_has_the_documented_error_code(desk: MakeDesk) -> None:
    assert desk(http_4xx_share=1.0, http_4xx_status=401).create()[1]["body"] == {
        "title": "Invalid AppJWT",
        "details": "AppJWT has expired or is invalid",
        "errorCode": 40102,
    }


@pytest.mark.parametrize("step", ["create", "send", "close", "app_token", "consumer_token", "domain"])
def test_faults_can_be_laid_on_any_step_and_meet_no_other(desk: MakeDesk, example: Example, step: str) -> None:
    asked = desk(auth=False, fault_steps=step, http_5xx_share=1.0)
    conversation_id = asked.create(example)[1]
    conversation_id = "" if step == "create" else conversation_id[1]["body"]["conversationId"]
    event = {"dialogId": conversation_id, "event": example[2]["body"]["event"]}
    closing = {"conversationId": conversation_id, "conversationField": CLOSE}
    asked.read("GET", DOMAIN)
    asked.ask("POST", f"/sentinel/api/account/{ACCOUNT}/app/token", "grant_type=client_credentials&client_id=a")
    asked.ask("POST", f"/api/account/{ACCOUNT}/consumer", {"ext_consumer_id": "Ada"})
    if conversation_id:
        asked.send("ms.PublishEvent", event)
        asked.send("cm.UpdateConversationField", closing)
    stats = asked.stats()

    assert stats["faults"] == {"http_5xx" if step == "create" else f"{step}.http_5xx": 1}
    assert [name for name, tally in stats.items() if tally.get("by_status", {}).get("502")] == [step]


def test_a_close_can_be_done_and_answered_wrongly(desk: MakeDesk, example: Example) -> None:
    asked = desk(auth=False, fault_steps="send, close", done_status_share=1.0)
    conversation_id = asked.create(example)[1][1]["body"]["conversationId"]
    closing = {"conversationId": conversation_id, "conversationField": CLOSE}

    assert asked.send("cm.UpdateConversationField", closing)[0] == 504
    assert asked.send("cm.UpdateConversationField", closing)[0] == 400
    assert asked.stats()["conversations"] == {"opened": 1, "closed": 1}


@pytest.mark.parametrize("fault", ["missing_id", "swapped_ids"])
def test_a_wrong_id_where_there_is_none_is_no_fault(desk: MakeDesk, fault: str) -> None:
    asked = desk(fault_steps="app_token,consumer_token", **{f"{fault}_share": 1.0})

    assert asked.headers()
    assert asked.stats()["faults"] == {}
