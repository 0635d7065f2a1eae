"""What docs/mock.md shows, done as it stands there."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

DOCS = Path(__file__).parents[2] / "docs"
CALLS = ("app_token", "consumer_token", "create", "send", "close")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_five_documented_commands_open_and_close_a_conversation() -> None:
    section = (DOCS / "mock.md").read_text().partition("## A conversation in five commands")[2].partition("\n## ")[0]
    _, commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    shown = re.findall(r"`(\{.*?\})`", section)
    with start_mock(Behaviour()) as mock:
        script = commands.replace("http://127.0.0.1:8080", mock.url)
        done = subprocess.run(["/bin/bash", "-euc", script], capture_output=True, text=True, check=True, timeout=30)
        stats = mock.stats()

    assert commands.count("curl ") == len(CALLS)
    assert {name: (stats[name]["received"], stats[name]["accepted"]) for name in CALLS} == dict.fromkeys(CALLS, (1, 1))
    assert done.stdout == "".join(shown)
    assert [json.loads(answer)["code"] for answer in shown] == ["OK", "OK"]


@pytest.mark.parametrize(
    "what",
    [
        "`cart`",
        "`ext_consumer_id` that is a number",
        "`channelType: null`",
        "40400",
        "40100",
        "OK Conversation resolved successfully",
        "`bot_bridge`",
        "`require_client_properties`",
    ],
)
def test_what_nobody_has_published_is_marked_as_assumed(what: str) -> None:
    section = (DOCS / "api.md").read_text().partition("## Assumed")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if what in line]

    assert rows
    assert all("assumed" in row for row in rows)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("consumer?v=1.0", {"ext_consumer_id": 5}),
        ("consumer?v=1.0", {"ext_consumer_id": ""}),
        ("messaging/consumer/conversation?v=3", {"channelType": None}),
    ],
)
def test_what_is_assumed_to_be_refused_is_refused(desk: Callable[..., Any], path: str, body: dict[str, Any]) -> None:
    sent: Any = body
    if "channelType" in body:
        profile = {"kind": "req", "id": "1", "type": "userprofile.SetUserProfile", "body": {}}
        conversation = {"id": "2", "type": "cm.ConsumerRequestConversation", "body": {"brandId": "12345678", **body}}
        sent = [profile, conversation]
    status, answer = desk(auth=False).read("POST", f"/api/account/12345678/{path}", sent)

    assert (status, answer["body"]["errorCode"]) == (400, 40000)
