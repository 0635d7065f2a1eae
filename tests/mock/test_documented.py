"""What docs/mock.md shows, done as it stands there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

PAGE = Path(__file__).parents[2] / "docs" / "mock.md"
CALLS = ("app_token", "consumer_token", "create", "send", "close")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_five_documented_commands_open_and_close_a_conversation() -> None:
    section = PAGE.read_text().partition("## A conversation in five commands")[2].partition("\n## ")[0]
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
