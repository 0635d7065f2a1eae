from collections.abc import Callable
from typing import Any

import pytest
from tests.mock.test_api import ACCOUNT, BASE, CREATE, FULL, SENTINEL, asked_example

Desk = Any
MakeDesk = Callable[..., Any]
Example = list[dict[str, Any]]


# Accounts, paths, methods


def test_one_account_can_be_the_only_one(desk: MakeDesk) -> None:
    only = desk(account=ACCOUNT)

    assert only.create(**only.headers())[0] == 200
    for method, target in [("POST", f"{SENTINEL}?{FULL}"), ("POST", f"{BASE}/consumer"), ("POST", CREATE)]:
        assert only.read(method, target.replace(ACCOUNT, "9"))[0] == 400


def test_an_account_may_be_written_in_percent_code(desk: MakeDesk) -> None:
    status, body = desk().read("GET", "/api/account/a%2Fb/service/idp/baseURI.json")

    assert (status, body["account"]) == (200, "a/b")


@pytest.mark.parametrize(
    "target", ["/", "", "*", "/api", CREATE.replace("?", "/?"), "//" + CREATE, "/api/account/1/2/consumer", "/%00"]
)
def test_other_paths_are_not_there(desk: MakeDesk, target: str) -> None:
    assert desk().read("POST", target)[0] == 404


def test_a_target_may_come_with_scheme_and_host(desk: MakeDesk) -> None:
    assert desk(auth=False).read("POST", "http://other.example:80" + CREATE, asked_example())[0] == 200


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("GET", CREATE, b"POST"),
        ("PUT", CREATE, b"POST"),
        ("HEAD", CREATE, b"POST"),
        ("OPTIONS", f"{BASE}/service/baseURI.json", b"GET, HEAD"),
        ("POST", "/__mock__/stats", b"GET, HEAD"),
    ],
)
def test_another_method_is_told_which_are_allowed(desk: MakeDesk, method: str, target: str, allow: bytes) -> None:
    reply = desk().ask(method, target)

    assert (reply.status, reply.headers) == (405, b"Allow: " + allow + b"\r\n")


def test_credentials_in_a_query_are_not_remembered(desk: MakeDesk) -> None:
    asked = desk()
    asked.app_token()
    asked.create(**asked.headers())
    kept = b" ".join(asked.api._known)

    assert CREATE.encode() in kept
    assert b"secret" not in kept


def test_remembered_paths_are_bounded(desk: MakeDesk) -> None:
    asked = desk()
    for number in range(3000):
        assert asked.read("GET", f"/api/account/{number}/service/idp/baseURI")[0] == 200

    assert len(asked.api._known) <= 1024
