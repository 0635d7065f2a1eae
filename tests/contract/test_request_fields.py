"""Every documented field of a create request: with its type, with another one, and left out."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from convload.contract.requests import Reading, check_request

ACCOUNT = "77"

EVERY_FIELD: list[Any] = [
    {
        "kind": "req",
        "id": "1,",
        "type": "userprofile.SetUserProfile",
        "body": {
            "firstName": "a",
            "lastName": "b",
            "userId": "c",
            "avatarUrl": "d",
            "role": "e",
            "backgndImgUri": "f",
            "description": "g",
            "privateData": {
                "mobileNum": "1",
                "mail": "m",
                "pushNotificationData": {"serviceName": "s", "certName": "c", "token": "t"},
            },
            "authenticatedData": {
                "lp_sdes": [
                    {
                        "type": "ctmrinfo",
                        "info": {
                            "cstatus": "a",
                            "ctype": "b",
                            "customerId": "c",
                            "balance": -400.99,
                            "currency": "EUR",
                            "socialId": "d",
                            "imei": "e",
                            "userName": "f",
                            "companySize": 500,
                            "companyBranch": "g",
                            "accountName": "h",
                            "role": "i",
                            "loginStatus": 1,
                            "lastPaymentDate": {"day": 15, "month": 10, "year": 2014},
                            "registrationDate": {"day": 23, "month": 5, "year": 2013},
                        },
                    },
                    {
                        "type": "personal",
                        "personal": {
                            "firstname": "a",
                            "lastname": "b",
                            "language": "en-US",
                            "company": "c",
                            "gender": "FEMALE",
                            "age": {"age": 34, "year": 1980, "month": 4, "day": 15},
                            "contacts": [
                                {
                                    "email": "e",
                                    "phone": "1",
                                    "phoneType": "HOME",
                                    "address": {"country": "c", "region": "r"},
                                }
                            ],
                        },
                    },
                ]
            },
        },
    },
    {
        "kind": "req",
        "id": "2,",
        "type": "cm.ConsumerRequestConversation",
        "body": {
            "brandId": ACCOUNT,
            "channelType": "MESSAGING",
            "ttrDefName": "NORMAL",
            "campaignInfo": {"campaignId": "1", "engagementId": "2"},
            "skillId": "-1",
            "conversationContext": {
                "type": "SharkContext",
                "visitorId": "v",
                "sessionId": "s",
                "interactionContextId": "2",
                "lang": "en-US",
                "features": ["PHOTO_SHARING"],
                "clientProperties": {},
            },
        },
    },
    {
        "kind": "req",
        "id": "3",
        "type": "ms.PublishEvent",
        "body": {
            "dialogId": "d",
            "conversationId": "c",
            "event": {"type": "ContentEvent", "contentType": "text/plain", "message": "hi"},
        },
    },
]

Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from leaves(inner, (*path, position))
    else:
        yield path


def changed(path: Path, value: Any) -> list[Any]:
    request = copy.deepcopy(EVERY_FIELD)
    place: Any = request
    for key in path[:-1]:
        place = place[key]
    if value is LEFT_OUT:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return request


LEFT_OUT = object()


def mistakes(request: Any, reading: Reading | None = None) -> list[str]:
    return [str(one) for one in check_request(json.dumps(request).encode(), ACCOUNT, reading or Reading()).mistakes]


def written(path: Path) -> str:
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def test_every_documented_field_is_accepted_even_strictly() -> None:
    assert mistakes(EVERY_FIELD) == []
    assert mistakes(EVERY_FIELD, Reading(strict=True)) == []


@pytest.mark.parametrize("path", list(leaves(EVERY_FIELD)), ids=written)
def test_a_field_of_another_type_is_told_by_its_path(path: Path) -> None:
    (mistake,) = mistakes(changed(path, [[]]))

    assert mistake.startswith(f"{written(path)}: ")


@pytest.mark.parametrize(
    "path",
    [
        *((position, key) for position in range(3) for key in ("id", "body")),
        (1, "body", "brandId"),
        (0, "body", "authenticatedData", "lp_sdes", 0, "info"),
        (0, "body", "authenticatedData", "lp_sdes", 1, "personal"),
        *(
            (0, "body", "authenticatedData", "lp_sdes", 0, "info", "lastPaymentDate", key)
            for key in ("day", "month", "year")
        ),
        (2, "body", "event"),
        (2, "body", "event", "contentType"),
        (2, "body", "event", "message"),
    ],
    ids=written,
)
def test_a_needed_field_that_is_missing_is_told_by_its_path(path: Path) -> None:
    assert mistakes(changed(path, LEFT_OUT)) == [f"{written(path)}: is missing"]


NEEDED = (
    "id",
    "body",
    "type",
    "brandId",
    "info",
    "personal",
    "day",
    "month",
    "year",
    "event",
    "contentType",
    "message",
)


@pytest.mark.parametrize(
    "path",
    [path for path in leaves(EVERY_FIELD) if path[-1] not in NEEDED or "age" in path],
    ids=written,
)
def test_every_other_field_may_be_left_out(path: Path) -> None:
    assert mistakes(changed(path, LEFT_OUT)) == []
